"""Folders of videos against real clips: pairs, figures, intervals, skipped videos, and runs that go on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_samples import encode_video

from sonimate.apps.cli import main
from sonimate.evaluate import metric_table
from sonimate.evaluate.intervals import jackknife_interval, mean_interval
from sonimate.evaluate.metric import ClipMetric, Detect, Detector, Features, SetMetric
from sonimate.evaluate.protocol import Protocol, read_protocol
from sonimate.evaluate.suite import REAL, evaluate_folders, watch_in_processes
from sonimate.evaluate.video_pairs import find_videos, pair_videos
from sonimate.evaluate.viewing import SeenClip, View


def load_levels() -> Detect:
    """Brightness of the first frame."""

    def see(clip: SeenClip) -> Features:
        return {"level": np.array([next(clip.frames()).mean()])}

    return see


class Sum:
    def __init__(self, values: list[float]) -> None:
        self.values = values

    def merged(self, other: "Sum") -> "Sum":
        return Sum(self.values + other.values)


def level(features: Features) -> float:
    return float(features["level"][0])


def error(generated: float, real: float) -> float:
    return abs(generated - real)


def level_of_set(value: float) -> Sum:
    return Sum([value])


def distance(generated: Sum, real: Sum) -> float:
    return float(np.mean(generated.values) - np.mean(real.values))


LEVELS = Detector(name="levels", version="1", load=load_levels, reading=level)
METRICS = (
    ClipMetric(name="error", detector=LEVELS, better="lower", score=error),
    SetMetric(name="distance", detector=LEVELS, better="lower", statistic=level_of_set, score=distance),
)


def make(folder: Path, levels: list[int], name: str = "clip_{}.mp4") -> Path:
    folder.mkdir()
    for index, value in enumerate(levels):
        encode_video(folder / name.format(index), [0, 40], frames=[np.full((48, 64, 3), value, np.uint8)] * 2)
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    real = make(tmp_path / "real", [100, 110, 120, 130])
    return make(tmp_path / "ours", [110, 120, 130, 140], "p##Clip_{}_512.mp4"), real


def evaluate(results: Path, real: Path, cache: Path, **options: Any):
    paired = pair_videos(find_videos(results), list(find_videos(real)))
    return evaluate_folders({"ours": paired}, find_videos(real), METRICS, view=View(), cache=cache, **options)


def test_names_of_other_systems_are_paired_and_the_rest_is_named():
    generated = {
        name: Path(name) for name in ("portrait##clip_1_512", "clip_10", "noise", "a/clip_2", "b/clip_2")
    }
    paired = pair_videos(generated, ["clip_1", "clip_10", "clip_2"])
    assert paired.generated == {"clip_1": Path("portrait##clip_1_512"), "clip_10": Path("clip_10")}
    assert paired.unpaired == ("a/clip_2", "b/clip_2", "noise")


def test_figures_of_clips_and_of_sets(folders: tuple[Path, Path], tmp_path):
    found = evaluate(*folders, tmp_path / "cache").figures
    assert found["ours"]["error"].value == pytest.approx(10, abs=1)
    assert found["ours"]["distance"].value == pytest.approx(10, abs=1)
    assert found[REAL]["error"].value == found[REAL]["distance"].value == 0


def test_two_processes_give_the_same_figures(folders: tuple[Path, Path], tmp_path):
    from functools import partial

    here = evaluate(*folders, tmp_path / "one")
    there = evaluate(*folders, tmp_path / "two", run=partial(watch_in_processes, jobs=2))
    assert str(here.figures) == str(there.figures)


def test_a_run_that_was_stopped_goes_on(folders: tuple[Path, Path], tmp_path, monkeypatch):
    def stop(paths, watch):
        for path in paths[:4]:
            yield watch(path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(*folders, tmp_path / "cache", run=stop)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.safetensors")}
    assert len(kept) == 4
    whole = evaluate(*folders, tmp_path / "cache")
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    assert str(whole.figures) == str(evaluate(*folders, tmp_path / "other").figures)


def test_a_corrupt_video_is_named_skipped_and_told_by_the_exit_code(
    folders: tuple[Path, Path], tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(metric_table, "all_metrics", lambda: METRICS)
    results, real = folders
    broken = results / "p##Clip_0_512.mp4"
    broken.write_bytes(broken.read_bytes()[:300])
    report = tmp_path / "report"
    assert main(["evaluate", str(results), "--reference", str(real), "-o", str(report)]) == 1
    assert broken.name in capsys.readouterr().err
    written = json.loads((report / "report.json").read_text())
    assert list(written["skipped"]) == [str(broken)]
    assert written["figures"]["ours"]["error"]["clips"] == 3
    assert broken.name in (report / "report.md").read_text()
    assert "data:image/jpeg" in (report / "report.html").read_text()


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(200, 40))
    hits = [low < 0 < high for low, high in map(mean_interval, samples)]
    assert 0.88 < np.mean(hits) < 0.99
    groups = samples[:, :20]
    ends = [
        jackknife_interval(row.mean(), 20, lambda left, row=row: np.delete(row, left).mean())
        for row in groups
    ]
    assert 0.88 < np.mean([low < 0 < high for low, high in ends]) < 0.99


def test_a_draw_is_the_same_for_all_and_changes_little():
    protocol = Protocol(name="x", sha256="", view=View(), clips=3, seed=0)
    names = [f"c{index}" for index in range(20)]
    drawn = protocol.draw(names)
    assert drawn == protocol.draw(names[::-1])
    assert len(set(drawn) & set(protocol.draw([*names, "new"]))) >= 2


@pytest.mark.parametrize(("name", "clips"), [("paper", 100), ("paper-celebv-hq", 50)])
def test_the_papers_protocols(name, clips):
    protocol = read_protocol(name)
    assert (protocol.clips, protocol.view.seconds) == (clips, 4)
    assert len(protocol.sha256) == 64
