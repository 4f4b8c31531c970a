"""Text to speech with known phone times, through the engines of the system: flite, festival, espeak-ng.

None of them is a dependency of the package: a voice of an absent engine raises EngineMissing.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.errors import EngineMissing, SynthesisFailed
from sonimate.media.audio import resample
from sonimate.media.wav import read_wav
from sonimate.speech.espeak import run_engine, speak
from sonimate.speech.phones import Phone, Speech, fill_silences, from_radio, mark_stress, split_silences
from sonimate.types import Waveform

PACKAGES = {
    "flite": "flite",
    "festival": "festival festvox-kallpc16k festvox-us-slt-hts",
    "espeak-ng": "espeak-ng",
}
"""Debian's packages of each program."""


@dataclass(frozen=True)
class Voice:
    """engine: `flite`, `festival` or `espeak`. name: the engine's own name of the voice; for espeak a
    variant may follow a plus sign (`en-us+f3`). pitch_hz: its usual mean pitch, which espeak does not need.
    language: ISO 639-1.
    """

    engine: str
    name: str
    pitch_hz: float = 120.0
    language: str = "en"


VOICES = {
    "flite": [
        Voice("flite", "slt", 175.0),
        Voice("flite", "rms", 95.0),
        Voice("flite", "awb", 125.0),
        Voice("flite", "kal16", 95.0),
    ],
    "festival": [Voice("festival", "cmu_us_slt_arctic_hts", 175.0), Voice("festival", "kal_diphone", 105.0)],
    "espeak": [
        Voice("espeak", f"{name}{variant}", language=name[:2])
        for name in ("en-us", "en-gb-x-rp", "es", "fr", "it", "ru", "de")
        for variant in ("", "+m3", "+m7", "+f2", "+f4")
    ],
}


def synthesize(text: str, voice: Voice, *, rate: float, pitch: float) -> Speech:
    """Speak `text`: mono 16 kHz sound and its phones, contiguous from 0 to the end, stress marked.

    rate: speed relative to the voice's own, 0.5 .. 2. pitch: factor on its mean pitch, 0.6 .. 1.6.
    Raises EngineMissing, SynthesisFailed, UnknownPhone.
    """
    engines = {"flite": _flite, "festival": _festival, "espeak": _espeak}
    spoken, phones = engines[voice.engine](text, voice, rate, pitch)
    if spoken.seconds < 0.1 or not any(phone.is_vowel for phone in phones):
        raise _nothing_spoken(text, voice)
    waveform = at_speech_rate(spoken)
    return waveform, mark_stress(split_silences(phones, waveform), waveform)


def _nothing_spoken(text: str, voice: Voice) -> SynthesisFailed:
    return SynthesisFailed(f"{voice.engine} voice {voice.name} spoke nothing for {text!r}; choose other text")


def at_speech_rate(waveform: Waveform) -> Waveform:
    """The same sound at SAMPLE_RATE_HZ."""
    return Waveform(resample(waveform.samples, waveform.rate_hz, SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)


def _with_phones(waveform: Waveform, ends: Iterable[Sequence[str]]) -> Speech:
    """Phones from pairs of a radio name and an end time; silence until the end of the sound."""
    phones, start = [], 0.0
    for name, end_text in ends:
        symbol, end = from_radio(name), min(float(end_text), waveform.seconds)
        if end > start:
            phones.append(Phone(symbol, start, end))
            start = end
    return waveform, fill_silences(phones, waveform.seconds)


def require_engines(*programs: str) -> None:
    """Raises EngineMissing unless these programs, by default all, are installed."""
    for program in programs or PACKAGES:
        if shutil.which(program) is None:
            raise EngineMissing(f"{program} is not installed: apt install {PACKAGES[program]}")


def _espeak(text: str, voice: Voice, rate: float, pitch: float) -> Speech:
    require_engines("espeak-ng")
    return speak(text, voice.name, words_per_minute=round(165 * rate), pitch=round(50 * pitch))


def _flite(text: str, voice: Voice, rate: float, pitch: float) -> Speech:
    require_engines("flite")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "speech.wav")
        command = ["flite", "-voice", voice.name, "-psdur", "--setf", f"duration_stretch={1 / rate:.4f}"]
        command += ["--setf", f"int_f0_target_mean={voice.pitch_hz * pitch:.1f}"]
        command += ["--setf", f"f0_shift={pitch:.4f}", "-t", text, "-o", str(path)]
        pairs = (item.rsplit(":", 1) for item in run_engine("flite", command).split())
        return _with_phones(read_wav(path), pairs)


def _festival(text: str, voice: Voice, rate: float, pitch: float) -> Speech:
    require_engines("festival")
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
        run_engine("festival", ["festival", "--pipe"], script)
        if not (sound.exists() and segments.exists()):
            raise _nothing_spoken(text, voice)
        rows = [
            row for line in segments.read_text(encoding="utf-8").splitlines() if len(row := line.split()) == 3
        ]
        return _with_phones(read_wav(sound), ((name, end) for end, _, name in rows))
