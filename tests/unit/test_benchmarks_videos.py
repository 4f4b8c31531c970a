"""Composed speech, and what counts as a playable video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lib.playable import faults, write_sound
from lib.speech import compose_speech
from sonimate.media.audio import read_audio
from sonimate.media.wav import write_wav
from sonimate.types import Waveform

RATE_HZ = 16_000


def tone(seconds: float, hz: float = 220.0) -> Waveform:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return Waveform((0.3 * np.sin(2 * np.pi * hz * time)).astype(np.float32), RATE_HZ)


def test_speech_is_composed_to_the_second_and_followed_by_silence(tmp_path: Path):
    paths = [write_wav(tmp_path / f"{hz}.wav", tone(1, hz)) for hz in (200, 300)]
    sound = compose_speech(paths, 3.0, then_silent_seconds=0.5)
    assert sound.seconds == pytest.approx(3.5)
    assert np.abs(sound.samples[3 * RATE_HZ :]).max() == 0
    assert sound.samples[2 * RATE_HZ : 3 * RATE_HZ] == pytest.approx(tone(1, 200).samples, abs=1e-4)


@pytest.mark.parametrize("suffix", [".mp3", ".m4a", ".mp4"])
def test_encoded_sounds_read_back(tmp_path: Path, suffix: str):
    path = write_sound(tmp_path / f"sound{suffix}", tone(1.5))
    found = read_audio(path)
    assert found.seconds == pytest.approx(1.5, abs=0.15)
    assert np.sqrt(np.mean(found.samples**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


def test_a_video_of_its_sounds_length_has_no_fault_and_any_other_does(tmp_path: Path):
    video = write_sound(tmp_path / "video.mp4", tone(1.0))
    assert faults(video, write_wav(tmp_path / "same.wav", tone(1.0))) == []
    assert faults(video, write_wav(tmp_path / "a_frame.wav", tone(1.03))) == []
    longer = " ".join(faults(video, write_wav(tmp_path / "longer.wav", tone(1.2))))
    assert "picture lasts 1.000 s, the sound given 1.200 s" in longer
