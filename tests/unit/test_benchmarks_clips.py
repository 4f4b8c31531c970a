"""Folds: which model is tested on which clips."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib.clips import Fold, read_folds
from sonimate.errors import FileMissing, OptionOutOfRange


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
