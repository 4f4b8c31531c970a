"""The commands that go through all stages: all is checked first, and each step uses earlier results."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from train_samples import sample, write_data

from sonimate.apps.cli import build_parser, main
from sonimate.errors import EngineMissing, FileMissing, OptionOutOfRange, RecordingsMissing
from sonimate.footage import public_clips
from sonimate.footage.clip_id import ClipId
from sonimate.speech import corpus, recordings, voices
from sonimate.train import stages
from sonimate.train.config import read_changes, read_recipe
from sonimate.train.recipes import find_recipe
from sonimate.train.stages import STAGES, check_recipe, real_clips, recipe_commands, speaker_folds


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The arguments of the `sonimate` commands that would run; all succeed."""
    commands: list[list[str]] = []

    def run(command: list[str]) -> CompletedProcess:
        assert command[:3] == [sys.executable, "-m", "sonimate"]
        commands.append(command[3:])
        return CompletedProcess(command, 0)

    monkeypatch.setattr(stages.subprocess, "run", run)
    return commands


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with all speech engines and recordings."""
    monkeypatch.setattr(voices.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(corpus, "packaged", lambda *_, **__: {})


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    folder = tmp_path / "footage"
    folder.mkdir()
    (folder / "clip.mp4").touch()
    return folder


def test_every_step_is_a_verb_and_uses_earlier_results(tmp_path):
    out = tmp_path / "out"
    made = {"compact"}
    for command in recipe_commands(tmp_path / "footage", out, "compact", seed=3, jobs=2):
        build_parser().parse_args(command)
        _, *arguments = command
        made.add(arguments[arguments.index("-o") + 1] if "-o" in arguments else arguments[0])
        assert {word for word in arguments if word.startswith(str(out))} <= made
    assert str(out / "student") in made


def test_the_recipe_of_the_package_is_found_from_any_folder(tmp_path, monkeypatch, ran, installed, footage):
    monkeypatch.chdir(tmp_path)
    assert main(["recipe", str(footage), "-o", str(tmp_path / "out")]) == 0
    assert [command[0] for command in ran] == [
        "speech",
        "prepare",
        "footage",
        "features",
        "train",
        "train",
        "train",
    ]
    assert main(["recipe", str(footage), "-o", str(tmp_path / "out"), "--config", "absent.yaml"]) == 2
    assert len(ran) == 7


def test_without_footage_the_cleared_clips_are_fetched(tmp_path, monkeypatch, ran, installed):
    asked: list[tuple[Path, bool]] = []

    def fetch(folder: Path, *, uncleared: bool = False, progress: object) -> None:
        asked.append((folder, uncleared))

    monkeypatch.setattr(public_clips, "fetch_clips", fetch)
    assert main(["recipe", "-o", str(tmp_path / "out")]) == 0
    assert asked == [(tmp_path / "out" / "clips", False)]
    assert ran[1][:2] == ["prepare", str(tmp_path / "out" / "clips")]


def test_all_that_the_steps_need_is_checked_before_the_first(
    tmp_path, monkeypatch, installed, footage, capsys, ran
):
    check_recipe(footage, tmp_path, "compact")
    with pytest.raises(FileMissing, match=r"absent.yaml does not exist.* one of compact.yaml"):
        check_recipe(footage, tmp_path, "absent.yaml")
    with pytest.raises(OptionOutOfRange, match="recipe of the full model"):
        check_recipe(footage, tmp_path, "full")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileMissing, match="No videos"):
        check_recipe(tmp_path / "empty", tmp_path, "compact")
    narrow = tmp_path / "narrow.yaml"
    narrow.write_text(find_recipe("compact").read_text() + "frames: 0\n")
    with pytest.raises(OptionOutOfRange, match="frames = 0"):
        check_recipe(None, tmp_path, narrow)
    with monkeypatch.context() as patch:
        patch.setattr(voices.shutil, "which", lambda name: None)
        with pytest.raises(EngineMissing, match="apt install"):
            check_recipe(footage, tmp_path, "compact")
    monkeypatch.undo()
    monkeypatch.setattr(voices.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(recordings, "asterisk", lambda *_: [])
    with pytest.raises(RecordingsMissing, match="asterisk-core-sounds-en"):
        check_recipe(footage, tmp_path, "compact")


def test_a_step_that_fails_ends_the_recipe(tmp_path, monkeypatch, capsys, installed, footage):
    monkeypatch.setattr(stages.subprocess, "run", lambda command: CompletedProcess(command, 7))
    assert main(["recipe", str(footage), "-o", str(tmp_path / "out")]) == 2
    assert "`sonimate speech` ended with code 7" in capsys.readouterr().err


def test_files_of_the_package_are_found_by_name_and_their_paths_shown(capsys):
    with pytest.raises(SystemExit) as end:
        main(["train", "--show-path", "fsdp"])
    assert end.value.code == 0
    assert Path(capsys.readouterr().out.strip()) == find_recipe("fsdp.yaml")
    assert main(["train", "--show-path", "absent"]) == 2
    assert "cpu2.yaml, fsdp.yaml" in capsys.readouterr().err


def test_stages_change_settings_that_exist():
    for settings in STAGES.values():
        changes = read_changes(settings)
        config = read_recipe("compact", **changes)
        assert len(changes) == len(settings)
        assert {name: getattr(config, name) for name in changes} == {n: float(x) for n, x in changes.items()}


def test_folds_hold_every_speaker_once_and_about_as_much_footage():
    seconds = {"a": 20.0, "b": 10.0, **{f"s{i}": 3.0 for i in range(10)}}
    groups = speaker_folds(seconds, 4)
    assert sorted(name for group in groups for name in group) == sorted(seconds)
    lengths = sorted(sum(seconds[name] for name in group) for group in groups)
    assert lengths[-1] == 20.0
    assert lengths[-2] - lengths[0] <= 3.0


def test_all_clips_of_a_file_count_as_its_footage():
    some = sample("a", 0)
    nested = ClipId("one/b.mp4")
    clips = [nested, ClipId("one/b.mp4", 50), ClipId("one_b.mp4"), replace(nested, speed=0.9)]
    samples = [replace(some, clip_id=clip) for clip in clips] + [replace(some, kind="synthetic")]
    assert real_clips(samples) == {"a": {"one/b.mp4": 2 * 30 / 25, "one_b.mp4": 30 / 25}}


def test_folds_say_what_is_missing(tmp_path, capsys):
    command = ["folds", "compact", "--data", str(tmp_path / "absent"), "--init", "compact"]
    assert main([*command, "-o", str(tmp_path)]) == 2
    assert "absent holds no samples of footage" in capsys.readouterr().err


def test_folds_train_every_run_and_end_when_one_fails(tmp_path, monkeypatch, ran):
    """A model in the folder of a run may lack its second stage, or have other settings: only the run itself
    can tell, so no run is left out."""
    data = write_data(tmp_path / "data")
    (tmp_path / "fold0-real" / "model").mkdir(parents=True)
    (tmp_path / "fold0-real" / "model" / "model_index.json").write_text("{}")
    succeed = stages.subprocess.run
    monkeypatch.setattr(
        stages.subprocess, "run", lambda c: succeed(c) if len(ran) < 4 else CompletedProcess(c, 2)
    )
    command = ["folds", "compact", "--data", str(data), "-o", str(tmp_path), "--init", "compact"]
    assert main([*command, "--folds", "3"]) == 2
    outs = [Path(command[command.index("-o") + 1]).name for command in ran]
    assert outs == ["fold0-real", "fold1-real", "fold2-real", "fold0-student"]
    held = [read_changes(command[command.index("--set") + 1 :])["held_out"] for command in ran[:3]]
    assert sorted(name for names in held for name in names) == list("abcdef")
    assert len(json.loads((tmp_path / "real.json").read_text())["folds"]) == 3
    assert main([*command, "--folds", "7"]) == 2
