"""The paper's tables at tiny size: they are written, they go on where they stopped, and their statistics are
paired."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from faces import example
from media_samples import EXAMPLES
from talking_clips import talking_landmarks
from train_samples import CONFIG, write_data, write_recipe

from sonimate.apps.cli import main
from sonimate.evaluate import control_videos, intervals
from sonimate.media.audio import read_audio
from sonimate.media.video_writer import VideoWriter
from sonimate.train import ablations
from sonimate.types import Waveform

SECONDS = 2.4
TINY = replace(CONFIG, steps=2, frames=4, bucket_steps=0)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """Two people whose heads go around, with speech."""
    folder = tmp_path_factory.mktemp("clips")
    sound = read_audio(EXAMPLES / "speech/jfk_inaugural.wav").samples
    count = round(SECONDS * 16_000)
    for index, name in enumerate(("obama", "mona_lisa")):
        frame = cv2.resize(example(name).pixels, (256, 256), interpolation=cv2.INTER_AREA)
        part = Waveform(sound[index * count : (index + 1) * count], 16_000)
        with VideoWriter(folder / f"{name}.mp4", width=256, height=256, sound=part) as writer:
            for time in range(round(SECONDS * 25)):
                writer.write(np.roll(frame, round(3 * np.sin(time / 4)), axis=1))
    return folder


def reproduce(*arguments: object) -> int:
    return main(["reproduce", *map(str, arguments)])


def test_table_4_measures_every_strategy_and_goes_on(clips, tmp_path, capsys):
    command = ("table4", clips, "-o", tmp_path, "--steps", 1)
    assert reproduce(*command) == 0
    text = (tmp_path / "table4.md").read_text()
    for strategy in ("shift", "motion frames", "overlap", "independent"):
        assert f"| {strategy} |" in text
    kept = sorted((tmp_path / "figures").rglob("*.json"))
    assert len(kept) == 8
    kept[0].unlink()
    times = [path.stat().st_mtime_ns for path in kept[1:]]
    assert reproduce(*command) == 0
    assert kept[0].exists()
    assert [path.stat().st_mtime_ns for path in kept[1:]] == times
    assert reproduce(*command[:-1], 2) == 2
    assert "steps" in capsys.readouterr().err


def test_table_1_has_the_model_and_its_controls(clips, tmp_path):
    command = ("table1", clips, "-o", tmp_path, "--steps", 1, "--metrics", "lip-r")
    assert reproduce(*command) == 0
    figures = json.loads((tmp_path / "report.json").read_text())["figures"]
    assert set(figures) == {"real video", "compact", control_videos.FROZEN, control_videos.OTHER_SOUND}
    assert figures["real video"]["lip-r"]["value"] == pytest.approx(1)
    assert abs(figures[control_videos.FROZEN]["lip-r"]["value"]) < 0.5
    videos = {path: path.stat().st_mtime_ns for path in (tmp_path / "videos").rglob("*.mp4")}
    assert len(videos) == 6
    removed = next(path for path in videos if path.parent.name == "compact")
    removed.unlink()
    assert reproduce(*command) == 0
    assert all(path.stat().st_mtime_ns == time for path, time in videos.items() if path != removed)
    assert removed.exists()


def test_table_3_trains_until_the_target_and_goes_on(clips, tmp_path, monkeypatch, capsys):
    data, recipe = write_data(tmp_path / "data"), write_recipe(tmp_path / "recipe.yaml", TINY)
    out = tmp_path / "out"
    command = ("table3", clips, "--data", data, "-o", out, "--recipe", recipe, "--pieces", 2, "--seeds", 1)
    command += ("--set", "steps=2", "batch_size=2", "warmup_steps=1", "real_share=1.0")
    train, trained = ablations.train, []
    monkeypatch.setattr(intervals, "DRAWS", 20)
    # Networks of this size do not hear Whisper's hidden states; table 4 animates with a real model.
    monkeypatch.setattr(ablations, "animated_landmarks", lambda *_, **__: talking_landmarks(60))

    def stop_at_third(recipe, data, run, **options):
        if len(trained) == 3:
            raise KeyboardInterrupt
        trained.append((run.name, options["init"]))
        return train(recipe, data, run, **options)

    monkeypatch.setattr(ablations, "train", stop_at_third)
    assert reproduce(*command) == 130
    first = trained.copy()
    monkeypatch.setattr(
        ablations, "train", lambda *a, **o: (trained.append((a[2].name, o["init"])), train(*a, **o))[1]
    )
    assert reproduce(*command) == 0
    assert trained[:3] == first
    assert len({name for name, _ in trained}) == len(trained) == 3 * 2
    init = dict(trained)
    assert init["full-seed0-piece1"] is None
    assert init["full-seed0-piece2"].endswith("full-seed0-piece1/model")
    config = json.loads((out / "runs/without-temporal-audio-seed0-piece2/model/unet/config.json").read_text())
    assert config["without"] == ["temporal_audio"]
    text = (out / "table3.md").read_text()
    assert "without motion controller less full" in text
    assert "head, pitch, 1 s" in text
    assert "| 0.5 s, independent |" in text
    assert "below 0.5" in capsys.readouterr().err


def test_training_stops_at_the_target():
    """Pieces are added until the full model reaches it; no other model decides."""

    class Known(ablations.AblationRun):
        def _figures(self, model, variant, seed, pieces):
            r = 0.2 * pieces if model.name == "full" else 0.0
            return {clip: {"opening r": r} for clip in "ab"}

    plan = ablations.AblationPlan(data=Path(), target_r=0.5)
    _, pieces = Known(plan, [], Path(), lambda *_: None).rows()
    assert pieces == 3


def test_variants_of_a_seed_see_the_same_windows():
    plan = ablations.AblationPlan(data=Path())
    full, other, *_ = (plan.settings(model, 1, 2) for model in ablations.MODELS)
    assert {**full, "temporal_audio": False} == other
    assert full["seed"] != plan.settings(ablations.FULL_VARIANT, 1, 3)["seed"]
