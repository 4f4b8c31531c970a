"""The one command behind the bundled model, and folds over speakers."""

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from train_samples import sample, write_data

from sonimate.footage.clip_id import ClipId
from sonimate.train import folds
from sonimate.train.config import read_changes, read_config
from sonimate.train.folds import real_clips, speaker_folds
from sonimate.train.recipe import STAGES, commands

CONFIG = Path(__file__).parents[2] / "configs" / "compact.yaml"


@pytest.mark.parametrize("footage", [Path("footage"), None])
def test_every_command_is_a_module_and_uses_what_was_made_before(tmp_path, footage):
    """Without footage, public clips are fetched first."""
    made = {"footage", str(CONFIG)}
    for module, *arguments in commands(footage, tmp_path, CONFIG, seed=3, jobs=2):
        assert find_spec(module) is not None
        made.add(arguments[arguments.index("-o") + 1] if "-o" in arguments else arguments[0])
        paths = [word for word in arguments if word.startswith(str(tmp_path))]
        assert set(paths) <= made
    assert str(tmp_path / "student") in made


def test_stages_change_settings_that_exist():
    for settings in STAGES.values():
        changes = read_changes(settings)
        config = read_config(CONFIG, **changes)
        assert len(changes) == len(settings)
        assert {name: getattr(config, name) for name in changes} == {n: float(x) for n, x in changes.items()}


def test_folds_hold_every_speaker_once_and_about_as_much_footage():
    seconds = {"a": 20.0, "b": 10.0, **{f"s{i}": 3.0 for i in range(10)}}
    groups = speaker_folds(seconds, 4)
    assert sorted(name for group in groups for name in group) == sorted(seconds)
    lengths = sorted(sum(seconds[name] for name in group) for group in groups)
    assert lengths[-1] == 20.0
    assert lengths[-2] - lengths[0] <= 3.0


def test_all_clips_of_a_file_count_as_its_footage(tmp_path):
    some = sample("a", 0)
    nested = ClipId("one/b.mp4")
    clips = [nested, ClipId("one/b.mp4", 50), ClipId("one_b.mp4"), replace(nested, speed=0.9)]
    samples = [replace(some, clip_id=clip) for clip in clips] + [replace(some, kind="synthetic")]
    assert real_clips(samples) == {"a": {"one/b.mp4": 2 * 30 / 25, "one_b.mp4": 30 / 25}}


def test_folds_tell_what_they_lack(tmp_path, capsys):
    command = [str(CONFIG), "--data", str(tmp_path / "absent"), "--out", str(tmp_path), "--init", "compact"]
    assert folds.main(command) == 2
    assert "absent holds no real samples" in capsys.readouterr().err


def test_folds_train_each_run_whatever_is_there_and_end_with_its_failure(tmp_path, monkeypatch):
    """A model in a run's folder may lack its second stage, or be of other settings: the run itself knows."""
    data = write_data(tmp_path / "data")
    (tmp_path / "fold0-real" / "model").mkdir(parents=True)
    (tmp_path / "fold0-real" / "model" / "model_index.json").write_text("{}")
    ran = []

    def run(command: list[str]) -> CompletedProcess:
        ran.append(command)
        return CompletedProcess(command, 0 if len(ran) < 4 else 2)

    monkeypatch.setattr(folds.subprocess, "run", run)
    command = [str(CONFIG), "--data", str(data), "--out", str(tmp_path), "--init", "compact", "--folds", "3"]
    assert folds.main(command) == 2
    outs = [Path(command[command.index("--out") + 1]).name for command in ran]
    assert outs == ["fold0-real", "fold1-real", "fold2-real", "fold0-student"]
    held = [read_changes(command[command.index("--set") + 1 :])["held_out"] for command in ran[:3]]
    assert sorted(name for names in held for name in names) == list("abcdef")
    assert len(json.loads((tmp_path / "real.json").read_text())["folds"]) == 3
    assert folds.main([*command[:-1], "7"]) == 2
