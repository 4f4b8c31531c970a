"""Test sounds and the controls that must not fit the picture; folds; what counts as playable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sonimate.evaluate.lip_sync import Fold, Score, lip_checks, read_folds, summarise
from sonimate.evaluate.playable import faults, write_sound
from sonimate.evaluate.sounds import compose_speech, fit_length, half_turn, partners

from sonimate.errors import FileMissing, OptionOutOfRange
from sonimate.evaluate.curves import correlation
from sonimate.media.audio import read_audio
from sonimate.media.wav import write_wav
from sonimate.types import Waveform

RATE_HZ = 16000


def tone(seconds: float, hz: float = 220.0) -> Waveform:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return Waveform((0.3 * np.sin(2 * np.pi * hz * time)).astype(np.float32), RATE_HZ)


def test_nobody_gets_their_own_sound_or_that_of_their_own_speaker():
    speakers = ["a", "a", "a", "b", "c", "c", "d"]
    for index, other in enumerate(partners(speakers)):
        assert speakers[index] != speakers[other]


def test_everybodys_sound_is_used_once_when_all_speakers_differ():
    assert sorted(partners(list("abcdefg"))) == list(range(7))
    assert partners(list("abcd")) == [2, 3, 0, 1]


def test_one_speaker_cannot_be_shuffled():
    with pytest.raises(OptionOutOfRange, match="two speakers"):
        partners(["a", "a"])


def test_a_half_turn_keeps_the_sound_but_breaks_the_sync():
    envelope = np.convolve(np.random.default_rng(0).normal(size=408), np.hanning(9), mode="valid")
    turned = half_turn(envelope)
    assert np.array_equal(np.sort(turned), np.sort(envelope))
    assert abs(correlation(turned, envelope)) < 0.2


def test_sounds_are_trimmed_or_repeated_to_length():
    assert fit_length(np.arange(3.0), 7).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert fit_length(np.arange(9.0), 4).tolist() == [0, 1, 2, 3]


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


def test_folds_name_clips_or_speakers(tmp_path: Path):
    path = tmp_path / "folds.json"
    entries = [
        {"model": "a", "clips": ["1.mp4"], "speakers": ["x"]},
        {"model": "b", "speakers": ["y", "z"]},
    ]
    path.write_text(json.dumps({"folds": entries}))
    speakers = {"1.mp4": "x", "2.mp4": "y", "3.mp4": "z", "music.mp4": "x"}
    assert read_folds(path, speakers) == [Fold("a", ("1.mp4",)), Fold("b", ("2.mp4", "3.mp4"))]


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([{"model": "a", "clips": ["1"]}, {"model": "b", "clips": ["1"]}], "1 are in two folds"),
        ([{"clips": ["1"]}], '"model"'),
        ([{"model": "a", "speakers": ["nobody"]}], "no clip"),
    ],
)
def test_folds_that_do_not_separate_are_refused(tmp_path: Path, folds: list, message: str):
    path = tmp_path / "folds.json"
    path.write_text(json.dumps({"folds": folds}))
    with pytest.raises(OptionOutOfRange, match=message):
        read_folds(path, {})
    with pytest.raises(FileMissing):
        read_folds(tmp_path / "none.json", {})


def score(**changes: float) -> Score:
    values = dict.fromkeys(Score.__dataclass_fields__, 0.0) | {"r": 0.5, "amplitude": 1.0, "seconds": 40.0}
    return Score(**(values | {"clip": "x"} | changes))  # type: ignore[arg-type]


def test_late_and_early_lags_do_not_cancel():
    summary = summarise([score(lag_ms=-120.0), score(lag_ms=120.0)])
    assert summary["mean lag_ms"] == 0
    assert summary["median |lag_ms|"] == 120
    assert [check.name for check in lip_checks(summary) if not check.met] == ["median |lag| in ms"]


def test_a_long_clip_weighs_more_in_the_mean_by_second():
    summary = summarise([score(r=0.2, seconds=30.0), score(r=0.6, seconds=10.0)])
    assert summary["mean r"] == pytest.approx(0.4)
    assert summary["mean r by second"] == pytest.approx(0.3)
    assert summary["footage seconds"] == 40
    assert "seconds of footage" in [check.name for check in lip_checks(summary) if not check.met]
