"""The bundled voice detector on sounds that it was not fitted on: noise and music keep the mouth at rest;
speech, quiet or whispered or sung, moves it; and pauses close it."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from lib.revoice import sung
from lib.sounds import speech_with_pauses, voiceless
from sonimate.checkpoints.store import load_components
from sonimate.conditioning import lead_of, mouth_gate, read_in_passing
from sonimate.media.audio import read_audio
from sonimate.speech.effort import whisper
from sonimate.types import Waveform

SPEECH = sorted((Path(__file__).parents[2] / "examples/speech").glob("*.wav"))
SECONDS = 4.0


@cache
def model():
    return load_components("compact")


def gate(sound: Waveform) -> np.ndarray:
    voice: list[Tensor] = []
    for _ in read_in_passing(model().voice_detector, model().audio_encoder.stream(sound.samples), voice):
        pass
    return mouth_gate(voice, round(25 * sound.seconds), lead=lead_of(model()))


def spoken() -> Waveform:
    return Waveform(read_audio(SPEECH[0]).samples[: round(16_000 * SECONDS)], 16_000)


@pytest.mark.parametrize("name", voiceless(0.2))
def test_the_mouth_rests_without_a_voice(name):
    assert gate(voiceless(SECONDS)[name]).mean() < 0.02


@pytest.mark.parametrize(
    "voice",
    [
        lambda sound: sound,
        lambda sound: Waveform(0.01 * sound.samples, 16_000),
        lambda sound: Waveform(whisper(sound.samples, np.random.default_rng(0)), 16_000),
        lambda sound: sung(sound, np.random.default_rng(0), 1.0),
        lambda sound: Waveform(sound.samples + 0.3 * voiceless(SECONDS)["melody"].samples, 16_000),
    ],
    ids=["spoken", "40 dB quieter", "whispered", "sung", "before music"],
)
def test_a_voice_moves_the_mouth(voice):
    assert gate(voice(spoken())).mean() > 0.85 * gate(spoken()).mean() > 0.6


def test_the_mouth_rests_in_every_pause():
    sound, pauses = speech_with_pauses(SPEECH)
    times, opened = np.arange(round(25 * sound.seconds)) / 25, gate(sound)
    for start, end in pauses:
        assert not opened[(times > start + 0.2) & (times < end - 0.3)].any()


def test_a_model_without_a_detector_leaves_the_mouth_free():
    assert mouth_gate([], 25, lead=1).all()
