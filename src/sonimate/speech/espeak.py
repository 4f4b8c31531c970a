"""libespeak-ng through ctypes: speech with phoneme events, and letters to phones in many languages.

The library has one global state in a process, and its sound depends a little on the texts before. So `speak`
runs it in a process of its own (this file as a program): the same text then gives the same sound.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
import tempfile
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from sonimate.errors import SynthesisFailed
from sonimate.media.wav import from_pcm16
from sonimate.speech.phones import SILENCE, Phone, Speech, from_ipa
from sonimate.types import Waveform

# Constants of speak_lib.h.
_SYNCHRONOUS, _PHONEME_EVENTS_IN_IPA, _UTF8 = 2, 3, 1
_EVENT_LIST_END, _EVENT_PHONEME = 0, 7
_RATE, _PITCH = 1, 3
_IPA_WITH_SEPARATOR = 0x02 | (ord("_") << 8)
_ELISION_SECONDS = 0.1
_LANGUAGE_SWITCH = re.compile(r"\([a-z-]+\)")
TRIES_SECONDS = (120, 240)
"""How long an engine may take for a sentence, at the first and at the second try. A sentence takes a second
or less: the first limit ends an engine that hangs, the second one lets a busy machine speak the same
sentences as an idle one."""


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("ipa", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class _Library:
    """The initialised library, with the sound and the events of the text that it speaks."""

    def __init__(self) -> None:
        self.lib = ctypes.CDLL("libespeak-ng.so.1")
        self.rate_hz = self.lib.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS_IN_IPA)
        self.lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self.chunks: list[np.ndarray] = []
        self.events: list[tuple[float, str]] = []
        self.callback = _Callback(self._receive)
        self.lib.espeak_SetSynthCallback(self.callback)

    def _receive(self, samples, count: int, events) -> int:
        if count > 0:
            self.chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _EVENT_LIST_END:
            if events[index].type == _EVENT_PHONEME:
                name = events[index].ipa.decode("utf-8", "ignore")
                self.events.append((events[index].audio_position_ms / 1000, name))
            index += 1
        return 0

    def select(self, name: str) -> None:
        if self.lib.espeak_SetVoiceByName(name.encode()):
            raise SynthesisFailed(f"espeak-ng has no voice {name!r}; `espeak-ng --voices` lists them")


_library = cache(_Library)


def speak(text: str, voice: str, *, words_per_minute: int, pitch: int) -> Speech:
    """Speak a text. Pitch is espeak's own scale, 0 .. 99.

    An event marks where its phone's own sound begins, which for a voiceless stop is the burst: the silence
    that the library puts before it comes after the previous phone's event.
    Raises UnknownPhone, and SynthesisFailed: no library, no such voice, or no answer in time.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "speech.npz")
        command = [sys.executable, "-m", __spec__.name, voice, str(words_per_minute), str(pitch), str(path)]
        run_engine(f"espeak-ng voice {voice}", command, text)
        with np.load(path) as file:
            waveform = Waveform(from_pcm16(file["samples"]), int(file["rate_hz"]))
            events = list(zip(file["times"].tolist(), file["names"].tolist(), strict=True))
    return waveform, _phones(events, waveform.seconds)


def run_engine(name: str, command: list[str], stdin: str | None = None) -> str:
    """The standard output of a speech engine. Raises SynthesisFailed when it fails, or hangs at every try."""
    for seconds in TRIES_SECONDS:
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            continue
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise SynthesisFailed(f"{name} failed ({done.returncode}): {reason[0][:300]}")
        return done.stdout
    raise SynthesisFailed(f"{name} did not end within {TRIES_SECONDS[-1]} s")


def _speak_here(text: str, voice: str, words_per_minute: int, pitch: int, path: Path) -> None:
    """Speak in this process and write samples, rate_hz, and the events' times (seconds) and names (IPA)."""
    library = _library()
    library.select(voice)
    library.lib.espeak_SetParameter(_RATE, words_per_minute, 0)
    library.lib.espeak_SetParameter(_PITCH, min(max(pitch, 0), 99), 0)
    encoded = text.encode() + b"\0"
    library.lib.espeak_Synth(encoded, len(encoded), 0, 1, 0, _UTF8, None, None)
    np.savez(
        path,
        samples=np.concatenate([*library.chunks, np.zeros(0, np.int16)]),
        rate_hz=np.array(library.rate_hz),
        times=np.array([time for time, _ in library.events]),
        names=np.array([name for _, name in library.events], dtype=np.str_),
    )


def _phones(events: list[tuple[float, str]], seconds: float) -> list[Phone]:
    """Contiguous phones. The symbols of one name share its time; a short event without a name (an elided
    vowel, a mark of stress) belongs to the phone before it."""
    phones = [Phone(SILENCE, 0.0, events[0][0])] if events and events[0][0] > 0 else []
    for (start, name), end in zip(events, [*(time for time, _ in events[1:]), seconds], strict=True):
        symbols = from_ipa(name)
        if not symbols and phones and end - start < _ELISION_SECONDS:
            phones[-1] = phones[-1].at(phones[-1].start_seconds, end)
            continue
        symbols = symbols or [SILENCE]
        edges = np.linspace(start, min(end, seconds), len(symbols) + 1)
        spans = zip(symbols, pairwise(edges.tolist()), strict=True)
        phones += [Phone(symbol, left, right) for symbol, (left, right) in spans if right > left]
    return phones


def pronounce(word: str, language: str) -> list[str]:
    """Letters (or digits) to symbols of `phones.INVENTORY`; empty when nothing is spoken."""
    library = _library()
    library.select(language)
    pointer = ctypes.c_char_p(word.encode())
    ipa = []
    while pointer.value:
        phonemes = library.lib.espeak_TextToPhonemes(ctypes.byref(pointer), _UTF8, _IPA_WITH_SEPARATOR)
        ipa.append(phonemes.decode())
    return from_ipa(_LANGUAGE_SWITCH.sub("", "".join(ipa)))


if __name__ == "__main__":
    _speak_here(sys.stdin.read(), sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
