"""Typed text as a sound file, by the speech engines that are installed: no phones, so of any language."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sonimate.errors import EngineMissing, SynthesisFailed, WrongUsage
from sonimate.media.files import replacing
from sonimate.speech.espeak import run_engine

MAX_LETTERS = 5_000
"""About five minutes of speech."""


@dataclass(frozen=True)
class Reader:
    """A voice that reads text aloud. program: of the engine. voice: the engine's name of it."""

    label: str
    program: str
    voice: str


READERS = (
    Reader("English (slt)", "flite", "slt"),
    Reader("English (rms)", "flite", "rms"),
    Reader("English (US)", "espeak-ng", "en-us"),
    Reader("English (GB)", "espeak-ng", "en-gb"),
    Reader("中文（普通话）", "espeak-ng", "cmn"),
    Reader("中文（粤语）", "espeak-ng", "yue"),
    Reader("Deutsch", "espeak-ng", "de"),
    Reader("Español", "espeak-ng", "es"),
    Reader("Français", "espeak-ng", "fr-fr"),
    Reader("Italiano", "espeak-ng", "it"),
    Reader("Português", "espeak-ng", "pt-br"),
    Reader("Русский", "espeak-ng", "ru"),
    Reader("한국어", "espeak-ng", "ko"),
    Reader("हिन्दी", "espeak-ng", "hi"),
)


def installed_readers() -> list[Reader]:
    """Those of READERS whose engine is installed."""
    return [reader for reader in READERS if shutil.which(reader.program)]


def read_aloud(text: str, reader: Reader, path: Path) -> Path:
    """Write `text`, spoken, to the wav file `path`, and return it.

    Raises WrongUsage for a text that is empty or has more than MAX_LETTERS letters, EngineMissing,
    SynthesisFailed, OutputNotWritable.
    """
    if not text.strip():
        raise WrongUsage("There is no text to speak. Type a sentence first.")
    if len(text) > MAX_LETTERS:
        raise WrongUsage(f"The text has {len(text)} letters; at most {MAX_LETTERS} are spoken. Shorten it.")
    if not shutil.which(reader.program):
        raise EngineMissing(f"{reader.program} is not installed. Install it by: apt install {reader.program}")
    with replacing(path) as partial, TemporaryDirectory() as folder:
        if reader.program == "flite":
            (typed := Path(folder, "text")).write_text(text, encoding="utf-8")
            command = ["flite", "-voice", reader.voice, "-f", str(typed), "-o", str(partial)]
        else:
            command = ["espeak-ng", "-v", reader.voice, "-b", "1", "--stdin", "-w", str(partial)]
        run_engine(f"{reader.program} voice {reader.voice}", command, text)
        if not partial.stat().st_size:
            raise SynthesisFailed(f"{reader.label} spoke nothing for this text. Choose another voice.")
    return path
