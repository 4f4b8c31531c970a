"""`sonimate evaluate` on clips of talking faces: from the cache, after SIGKILL and on Ray, the same figures.
The benchmark evaluate_again.py does the same with 200 clips."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate_again import LIGHT, evaluate_command, figures, kill_half_way
from lib.short_clips import break_video, make_short_clips
from sonimate.apps.cli import main
from sonimate.evaluate.feature_cache import FeatureCache

CLIPS = 6


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Of `sonimate evaluate` on a few clips, of which one is broken, without -o."""
    folder = tmp_path_factory.mktemp("clips")
    results, real = make_short_clips(folder, CLIPS, frames=10, size_px=256, portraits=1)
    break_video(results / "clip_003.mp4")
    return evaluate_command(results, real, LIGHT)


@pytest.fixture(scope="module")
def first(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of an undisturbed run."""
    out = tmp_path_factory.mktemp("first")
    assert evaluate(command, out) == 1
    return out


def evaluate(command: list[str], out: Path, *more: str) -> int:
    return main([*command[command.index("evaluate") :], "-o", str(out), *more])


def test_a_broken_video_is_named_and_nothing_is_seen_twice(command, first, monkeypatch, capsys):
    def refuse(*_: object) -> None:
        raise AssertionError("A video was seen again.")

    before = figures(first)
    monkeypatch.setattr(FeatureCache, "_see", refuse)
    assert evaluate(command, first) == 1
    said = capsys.readouterr().err
    assert "without 1 videos" in said
    assert "results/clip_003.mp4" in said
    assert figures(first) == before
    assert (first / "report.csv").read_text().count("clip_005") >= 1


def test_a_killed_run_goes_on(command, first, tmp_path):
    kept = kill_half_way([*command, "-o", str(tmp_path)], tmp_path / "cache", CLIPS)
    assert kept >= CLIPS
    seen = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.safetensors")}
    assert evaluate(command, tmp_path) == 1
    assert {path: path.stat().st_mtime_ns for path in seen} == seen
    assert figures(tmp_path) == figures(first)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")  # Ray sets its own deprecated options
def test_two_ray_workers_give_the_same_figures(command, first, tmp_path):
    assert evaluate(command, tmp_path, "--jobs", "2", "--ray", "local") == 1
    assert figures(tmp_path) == figures(first)
