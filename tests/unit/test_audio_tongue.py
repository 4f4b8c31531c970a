"""The tip of the tongue follows the sounds that are heard: up for L, T, D and N, between the teeth for TH."""

from functools import cache
from pathlib import Path

import numpy as np
from torch import Tensor

from sonimate.audio.tongue import tongue_track
from sonimate.checkpoints.store import load_components
from sonimate.conditioning import lead_of, mouth_tongue, read_in_passing
from sonimate.media.audio import read_audio
from sonimate.models.tongue_reader import TONGUE_SOUNDS
from sonimate.speech.recordings import Aligner

READING = Path(__file__).parents[2] / "examples/speech/ljspeech_LJ001-0001.wav"
WORDS = (
    "printing in the only sense with which we are at present concerned differs from most if not from all the "
    "arts and crafts represented in the exhibition"
)


@cache
def model():
    return load_components("compact")


def heard(*sounds: int) -> np.ndarray:
    """Rows that are sure of a sound each."""
    return np.eye(1 + len(TONGUE_SOUNDS))[list(sounds)]


def test_the_tongue_rises_and_falls_smoothly_around_its_sound():
    track = tongue_track(heard(*[0] * 40, *[1] * 8, *[0] * 40), 44)
    assert track[22, 0] == 1
    assert not track[:17].any()
    assert not track[27:].any()
    assert np.abs(np.diff(track[:, 0])).max() <= 0.5
    assert not track[:, 1].any()


def test_each_sound_has_its_place():
    other, up, between, behind = (tongue_track(heard(*[sound] * 20), 10)[5] for sound in range(4))
    assert not other.any()
    assert up[0] > behind[0] > 0.5
    assert up[1] == behind[1] == 0
    assert between[1] == 1


def test_a_track_longer_than_its_sound_goes_on_as_it_ended():
    track = tongue_track(heard(*[0] * 10, *[1] * 10), 30)
    assert track.shape == (30, 2)
    assert (track[12:, 0] == 1).all()


def read(samples: np.ndarray) -> list[Tensor]:
    """What the bundled reader says of a sound, in blocks."""
    found: list[Tensor] = []
    for _ in read_in_passing(model().tongue_reader, model().audio_encoder.stream(samples), found):
        pass
    return found


def test_the_bundled_reader_hears_the_tongue_in_a_reading():
    """Of a person whom it was not fitted on, with the words that pocketsphinx finds in it."""
    sound = read_audio(READING)
    frames = round(25 * sound.seconds)
    tongue = mouth_tongue(read(sound.samples), np.ones(frames, np.float32), lead=lead_of(model()))
    assert tongue is not None
    times = np.arange(frames) / 25
    spoken = np.zeros(frames, bool)
    for phone in Aligner().align(sound, WORDS, "en"):
        if any(phone.symbol in symbols for symbols in TONGUE_SOUNDS):
            spoken |= (times > phone.start_seconds - 0.06) & (times < phone.end_seconds + 0.06)
    assert 0.2 < spoken.mean() < 0.8
    assert tongue[spoken, 0].mean() > 4 * tongue[~spoken, 0].mean()


def test_without_a_reader_or_a_voice_the_tongue_lies_still():
    assert mouth_tongue([], np.ones(50, np.float32), lead=1) is None
    still = mouth_tongue(read(read_audio(READING).samples[:32_000]), np.zeros(50, np.float32), lead=1)
    assert still is not None
    assert not still.any()
