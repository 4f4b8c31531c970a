"""Text to speech with known phone times, through the engines of the system: flite, festival, espeak-ng.

None is a dependency of the package: a voice whose engine is absent raises EngineMissing. Debian's names of
the packages are flite, festival with festvox-kallpc16k and festvox-us-slt-hts, espeak-ng.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.errors import EngineMissing, SynthesisFailed
from sonimate.media.wav import read_wav
from sonimate.speech import espeak
from sonimate.speech.espeak import run_engine
from sonimate.speech.phones import SILENCE, Phone, from_radio, mark_stress, split_silences
from sonimate.types import Waveform

PACKAGES = {
    "flite": "flite",
    "festival": "festival festvox-kallpc16k festvox-us-slt-hts",
    "espeak-ng": "espeak-ng",
}
"""Debian's packages of each program."""


@dataclass(frozen=True, kw_only=True)
class Voice:
    """engine: `flite`, `festival` or `espeak`. name: the engine's own name of the voice; for espeak a
    variant may follow a plus sign (`en-us+f3`). language: ISO 639-1. pitch_hz: its usual mean pitch.
    """

    engine: str
    name: str
    language: str = "en"
    pitch_hz: float = 120.0


FLITE_VOICES = (
    Voice(engine="flite", name="slt", pitch_hz=175.0),
    Voice(engine="flite", name="rms", pitch_hz=95.0),
    Voice(engine="flite", name="awb", pitch_hz=125.0),
    Voice(engine="flite", name="kal16", pitch_hz=95.0),
)
FESTIVAL_VOICES = (
    Voice(engine="festival", name="cmu_us_slt_arctic_hts", pitch_hz=175.0),
    Voice(engine="festival", name="kal_diphone", pitch_hz=105.0),
)
ESPEAK_VOICES = tuple(
    Voice(engine="espeak", name=f"{name}{variant}", language=name[:2])
    for name in ("en-us", "en-gb-x-rp", "es", "fr", "it", "ru", "de")
    for variant in ("", "+m3", "+m7", "+f2", "+f4")
)


def synthesize(
    text: str, voice: Voice, *, rate: float = 1.0, pitch: float = 1.0
) -> tuple[Waveform, list[Phone]]:
    """Speak `text`: mono 16 kHz sound and its phones, contiguous from 0 to the end, stress marked.

    rate: speed relative to the voice's own, 0.5 .. 2. pitch: factor on its mean pitch, 0.6 .. 1.6.
    Raises EngineMissing, SynthesisFailed, UnknownPhone.
    """
    engines = {"flite": _flite, "festival": _festival, "espeak": _espeak}
    samples, rate_hz, phones = engines[voice.engine](text, voice, rate, pitch)
    if len(samples) < rate_hz // 10 or not any(phone.is_vowel for phone in phones):
        raise SynthesisFailed(
            f"{voice.engine} voice {voice.name} spoke nothing for {text!r}; choose other text"
        )
    samples = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ) if rate_hz != SAMPLE_RATE_HZ else samples
    waveform = Waveform(samples.astype(np.float32), SAMPLE_RATE_HZ)
    return waveform, mark_stress(split_silences(phones, waveform), waveform)


def _from_ends(ends: list[tuple[str, float]], seconds: float) -> list[Phone]:
    """Phones from (symbol, end time) pairs, the last one reaching exactly the end of the sound."""
    phones = []
    start = 0.0
    for symbol, end in ends:
        end = min(end, seconds)
        if end > start:
            phones.append(Phone(symbol, start, end))
            start = end
    return [*phones, Phone(SILENCE, start, seconds)] if start < seconds else phones


def require_engines(*programs: str) -> None:
    """Raises EngineMissing unless these programs, by default all, are installed."""
    for program in programs or PACKAGES:
        if shutil.which(program) is None:
            raise EngineMissing(f"{program} is not installed: apt install {PACKAGES[program]}")


def _run(command: list[str], stdin: str | None = None) -> str:
    require_engines(command[0])
    return run_engine(command[0], command, stdin)


def _flite(text: str, voice: Voice, rate: float, pitch: float) -> tuple[np.ndarray, int, list[Phone]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "speech.wav")
        command = ["flite", "-voice", voice.name, "-psdur", "--setf", f"duration_stretch={1 / rate:.4f}"]
        command += ["--setf", f"int_f0_target_mean={voice.pitch_hz * pitch:.1f}"]
        command += ["--setf", f"f0_shift={pitch:.4f}", "-t", text, "-o", str(path)]
        listing = _run(command)
        waveform = read_wav(path)
    pairs = (item.rsplit(":", 1) for item in listing.split())
    ends = [(from_radio(name), float(end)) for name, end in pairs]
    return waveform.samples, waveform.rate_hz, _from_ends(ends, waveform.seconds)


def _festival(text: str, voice: Voice, rate: float, pitch: float) -> tuple[np.ndarray, int, list[Phone]]:
    spoken = text.replace("\\", " ").replace('"', " ")
    with tempfile.TemporaryDirectory() as folder:
        sound, segments = Path(folder, "speech.wav"), Path(folder, "speech.seg")
        script = f"""(voice_{voice.name})
            (Parameter.set 'Duration_Stretch {1 / rate:.4f})
            (set! int_lr_params (list (list 'target_f0_mean {voice.pitch_hz * pitch:.1f})
              '(target_f0_std 14) '(model_f0_mean 170) '(model_f0_std 34)))
            (set! spoken (utt.synth (Utterance Text "{spoken}")))
            (utt.save.wave spoken "{sound}" 'riff)
            (utt.save.segs spoken "{segments}")"""
        _run(["festival", "--pipe"], script)
        if not (sound.exists() and segments.exists()):
            raise SynthesisFailed(
                f"festival voice {voice.name} spoke nothing for {text!r}; choose other text"
            )
        waveform = read_wav(sound)
        rows = [line.split() for line in segments.read_text().splitlines() if len(line.split()) == 3]
    ends = [(from_radio(name), float(end)) for end, _, name in rows]
    return waveform.samples, waveform.rate_hz, _from_ends(ends, waveform.seconds)


def _espeak(text: str, voice: Voice, rate: float, pitch: float) -> tuple[np.ndarray, int, list[Phone]]:
    require_engines("espeak-ng")
    return espeak.speak(text, voice.name, words_per_minute=round(165 * rate), pitch=round(50 * pitch))
