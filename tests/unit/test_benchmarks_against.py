"""Comparing the working tree with a commit: where videos differ, and what a run measures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from media_samples import encode_video

from against import AFTER, ANIMATE, BEFORE, Tree, compare_videos, main, source_size, unpack


def frames(count: int, level: int = 60) -> list[np.ndarray]:
    return [np.full((64, 96, 3), level, np.uint8) for _ in range(count)]


def write(path: Path, pictures: list[np.ndarray]) -> Path:
    return encode_video(path, [40 * index for index in range(len(pictures))], frames=pictures)


def test_equal_videos_are_called_equal(tmp_path: Path):
    first, second = (write(tmp_path / f"{name}.mp4", frames(3)) for name in "ab")
    assert str(compare_videos(first, second)) == "all 3 frames are equal"


def test_a_difference_is_found_where_it_is(tmp_path: Path):
    changed = frames(4)
    changed[2][16:32, 48:64] = 220
    found = compare_videos(write(tmp_path / "a.mp4", frames(4)), write(tmp_path / "b.mp4", changed))
    assert found.largest == pytest.approx(160, abs=10)
    assert found.mean == pytest.approx(160 * 16 * 16 / (64 * 96 * 4), rel=0.1)
    assert found.visible_frames == 1
    assert found.rows == pytest.approx((16, 31), abs=2)
    assert found.columns == pytest.approx((48, 63), abs=2)
    assert "above 16 in 1 frames" in str(found)


def test_a_longer_video_is_not_equal(tmp_path: Path):
    found = compare_videos(write(tmp_path / "a.mp4", frames(3)), write(tmp_path / "b.mp4", frames(5)))
    assert found.frames == (3, 5)
    assert str(found) == "3 and 5 frames; difference at most 0, mean 0.000"


def test_source_size_counts_python_alone(tmp_path: Path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package/a.py").write_text("one\ntwo\n")
    (tmp_path / "b.py").write_text("three\n")
    (tmp_path / "notes.txt").write_text("four\n")
    assert source_size(tmp_path) == (2, 3)


def test_a_tree_runs_its_own_source_and_names_what_fails(tmp_path: Path):
    (tmp_path / "sonimate.py").write_text("WHO = 'this tree'\n")
    tree = Tree(BEFORE, tmp_path)
    assert tree.run("-c", "import sonimate; print(sonimate.WHO)")[1] == "this tree\n"
    with pytest.raises(SystemExit, match="no_such_module"):
        tree.run("-c", "import no_such_module")


def test_an_unknown_commit_is_named(tmp_path: Path):
    with pytest.raises(SystemExit, match="no-such-commit"):
        unpack("no-such-commit", tmp_path)


@pytest.mark.slow
def test_a_commit_against_itself_differs_in_no_frame(tmp_path: Path):
    main(["HEAD", "--runs", "1", "--seconds", "0.4", "--size", "256", "--out", str(tmp_path)])
    report = json.loads((tmp_path / "against.json").read_text())
    assert report["summary"]["frames of seed 1"] == "all 10 frames are equal"
    assert "equal" not in report["summary"]["frames of seed 1, two fixes undone"]
    rows = {row["measure"]: row for row in report["rows"]}
    assert min(rows[ANIMATE][BEFORE], rows[ANIMATE][AFTER]) > 0.1
