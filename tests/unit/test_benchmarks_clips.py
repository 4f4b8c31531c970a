"""Folds: which model is tested on which clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from faces import example
from moved_faces import landmarks_of, still_face

from lib.clips import Fold, read_folds
from sonimate.clock import SAMPLE_RATE_HZ, VIDEO_FPS
from sonimate.errors import FileMissing, OptionOutOfRange
from sonimate.evaluate.face_curves import face_curves, shape_curves
from sonimate.evaluate.lips import Clip
from sonimate.footage import clip_reading as clips
from sonimate.footage.clip_reading import beginning, read_clips
from sonimate.media.video_writer import VideoWriter
from sonimate.types import Waveform


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


def test_clips_in_folders_are_found_and_kept_apart_from_clips_of_similar_names(tmp_path: Path, monkeypatch):
    """Two files that differ in a slash and an underscore only, accepted by data preparation."""
    frame = cv2.resize(example("obama").pixels, (192, 192), interpolation=cv2.INTER_AREA)
    lengths = {"a/b.mp4": 8, "a_b.mp4": 10}
    for name, count in lengths.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        noise = 0.1 * np.random.default_rng(0).normal(size=round(count / VIDEO_FPS * SAMPLE_RATE_HZ))
        sound = Waveform(noise.astype(np.float32), SAMPLE_RATE_HZ)
        with VideoWriter(tmp_path / name, width=192, height=192, sound=sound) as writer:
            for _ in range(count):
                writer.write(frame)
    monkeypatch.setattr(clips, "accepted_names", lambda folder: sorted(lengths))
    found = read_clips(tmp_path)
    assert {clip.name: len(clip.curves) for clip in found} == lengths
    assert len({clip.key for clip in found}) == 2
    assert [clip.name for clip in read_clips(tmp_path, ["a/b.mp4"])] == ["a/b.mp4"]


def test_landmarks_are_tracked_once_for_each_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    unused: Any = None
    seen: list[Path] = []

    def track(video: Path, mesh: object) -> np.ndarray:
        seen.append(video)
        return np.full((2, 478, 3), len(seen), np.float32)

    monkeypatch.setattr(clips, "video_landmarks", track)
    first, copy, other = (tmp_path / name for name in ("a.mp4", "b.mp4", "c.mp4"))
    for path, content in ((first, b"x"), (copy, b"x"), (other, b"y")):
        path.write_bytes(content)
    kept = tmp_path / "new" / "landmarks"
    found = [clips.tracked(path, unused, kept)[0, 0, 0] for path in (first, copy, other, first)]
    assert found == [1, 1, 2, 1]
    assert seen == [first, other]
    assert clips.tracked(first, unused, None)[0, 0, 0] == 3


def test_a_beginning_is_cut_from_all_of_a_clip():
    landmarks = landmarks_of(*still_face())[:50]
    sound = Waveform(np.arange(32_000, dtype=np.float32), SAMPLE_RATE_HZ)
    picture = np.zeros((8, 8, 3), np.uint8)
    clip = Clip("a", "a", "a", picture, sound, face_curves(landmarks), shape_curves(landmarks))
    short = beginning(clip, 0.8)
    assert len(short.curves) == len(short.shapes) == 20
    assert len(short.waveform.samples) == 20 * 640
    assert len(beginning(clip, 9.0).curves) == 50
