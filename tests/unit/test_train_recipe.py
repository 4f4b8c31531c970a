"""The one command behind the bundled model, and folds over speakers."""

from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

from sonimate.train.config import CompactConfig, read_config
from sonimate.train.folds import speaker_folds
from sonimate.train.recipe import STAGES, commands

CONFIG = Path(__file__).parents[2] / "configs" / "compact.yaml"


def test_every_command_is_a_module_and_uses_what_was_made_before(tmp_path):
    made = {"footage", str(CONFIG)}
    for module, *arguments in commands(Path("footage"), tmp_path, CONFIG, seed=3, jobs=2):
        assert find_spec(module) is not None
        made.add(arguments[arguments.index("-o") + 1] if "-o" in arguments else arguments[0])
        paths = [word for word in arguments if word.startswith(str(tmp_path))]
        assert set(paths) <= made
    assert str(tmp_path / "student") in made


def test_stages_change_settings_that_exist():
    known = {spec.name for spec in fields(CompactConfig)}
    for settings in STAGES.values():
        changes = dict(setting.split("=") for setting in settings)
        assert set(changes) <= known
        read_config(CONFIG, **{name: float(value) for name, value in changes.items() if "rate" in name})


def test_folds_hold_every_speaker_once_and_about_as_much_footage():
    seconds = {"a": 20.0, "b": 10.0, **{f"s{i}": 3.0 for i in range(10)}}
    groups = speaker_folds(seconds, 4)
    assert sorted(name for group in groups for name in group) == sorted(seconds)
    lengths = sorted(sum(seconds[name] for name in group) for group in groups)
    assert lengths[-1] == 20.0
    assert lengths[-2] - lengths[0] <= 3.0
