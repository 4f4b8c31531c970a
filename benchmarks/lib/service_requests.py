"""Hooks of schemathesis: all files are a video of a speaker, which is both a portrait and a sound."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import schemathesis
from hypothesis import strategies
from PIL import Image

from lib.command import REPOSITORY
from sonimate.media.audio import read_audio
from sonimate.media.video_writer import VideoWriter
from sonimate.types import Waveform

WIDTH, HEIGHT, SECONDS = 228, 284, 0.4


def speaker() -> bytes:
    """A short mp4 of a still face with a voice."""
    voice = read_audio(REPOSITORY / "examples/speech/librivox_ss_0890.wav")
    with Image.open(REPOSITORY / "examples/portraits/obama.jpg") as picture, TemporaryDirectory() as folder:
        pixels = np.asarray(picture.convert("RGB").resize((WIDTH, HEIGHT)))
        path, sound = Path(folder, "a.mp4"), voice.samples[: int(SECONDS * voice.rate_hz)]
        with VideoWriter(path, width=WIDTH, height=HEIGHT, sound=Waveform(sound, voice.rate_hz)) as writer:
            for _ in range(round(SECONDS * 25)):
                writer.write(pixels)
        return path.read_bytes()


schemathesis.openapi.format("binary", strategies.just(speaker()))
