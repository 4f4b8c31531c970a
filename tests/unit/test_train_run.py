"""The folder of a run continues this run only, through both stages."""

import json
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import DEFAULT_HANDLERS, signal_handlers
from torch.testing import assert_close
from train_samples import CONFIG, DATA, write_data, write_recipe

from sonimate.apps.cli import main
from sonimate.checkpoints.registry import AUDIO_TO_BUCKET
from sonimate.checkpoints.store import load_network
from sonimate.errors import FolderInUse, FolderOfAnotherRun, InvalidCheckpoint
from sonimate.media.folders import locked
from sonimate.train import run as runs
from sonimate.train.loop import Trainer
from sonimate.train.run import run_record, train
from sonimate.train.run_folder import LOSSES, RECORD, RunFolder

SHORT = replace(CONFIG, steps=2, bucket_steps=2, bucket_batch_size=2)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("prepared") / "data")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe") / "recipe.yaml", SHORT)


@pytest.fixture(scope="module")
def done(data: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of both stages."""
    out = tmp_path_factory.mktemp("run")
    train(recipe, data, out)
    return out


def test_a_run_repeated_is_the_same_run(data, recipe, done):
    losses = (done / LOSSES).read_text()
    train(recipe, data, done, changes={"checkpoint_every": 1, "validate_every": 7, "sampling": {"steps": 2}})
    assert (done / LOSSES).read_text() == losses


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"learning_rate": 1.0}, r"learning_rate \(0\.003 there, 1\.0 here\)"),
        ({"steps": 3, "seed": 4}, r"steps \(2 there, 3 here\), seed \(0 there, 4 here\)"),
        ({"unet": {**CONFIG.unet, "block_out_channels": [8, 16]}}, "unet"),
        ({"held_out": ["b"]}, "held_out"),
        ({"bucket_steps": 1}, "bucket_steps"),
    ],
)
def test_other_settings_are_another_run(data, recipe, done, changes, named):
    before = (done / RECORD).read_text()
    with pytest.raises(FolderOfAnotherRun, match=f"{named}.* Choose another RUN folder"):
        train(recipe, data, done, changes=changes)
    assert (done / RECORD).read_text() == before


def test_other_data_and_another_start_are_another_run(data, recipe, done, tmp_path):
    fewer = write_data(tmp_path / "fewer")
    next((fewer / "samples").glob("f-*.npz")).unlink()
    with pytest.raises(FolderOfAnotherRun, match=r"differs in data \('6 samples, .* there, '5 samples, "):
        train(recipe, fewer, done)
    with pytest.raises(FolderOfAnotherRun, match=r"differs in init \(None there, "):
        train(recipe, data, done, init=str(done))


def test_a_start_of_another_shape_is_refused_by_its_tensors(data, recipe, done, tmp_path):
    wider = {"unet": {**CONFIG.unet, "block_out_channels": [8, 16]}}
    with pytest.raises(
        InvalidCheckpoint,
        match=r"unet, of --init, does not fit .* of another shape: conv_in\.weight",
    ):
        train(recipe, data, tmp_path, init=str(done), changes=wider)
    assert train(recipe, data, tmp_path, init=str(done)) == tmp_path / "model"


def test_a_folder_without_a_checkpoint_is_free_and_one_without_a_record_refused(tmp_path):
    one, other = (run_record(replace(SHORT, seed=seed), None, ["a"]) for seed in (0, 1))
    folder = RunFolder(tmp_path)
    folder.claim(one, write=True)
    folder.claim(other, write=True)
    folder.claim(one, write=False)
    assert json.loads((tmp_path / RECORD).read_text()) == other
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "step.json").write_text('{"step": 1}')
    folder.claim(other, write=True)
    with pytest.raises(FolderOfAnotherRun, match=r"differs in seed \(1 there, 0 here\)"):
        folder.claim(one, write=False)
    (tmp_path / RECORD).unlink()
    with pytest.raises(FolderOfAnotherRun, match=r"holds results, but no run\.json"):
        folder.claim(other, write=True)


def test_the_record_does_not_depend_on_the_order_of_samples():
    assert run_record(SHORT, None, DATA.samples[:2]) == run_record(SHORT, None, DATA.samples[1::-1])


def test_one_process_at_a_time_trains_in_a_folder(data, recipe, done):
    with locked(done), pytest.raises(FolderInUse, match="Another run is writing"):
        train(recipe, data, done)


def test_a_run_killed_between_its_stages_does_the_second_when_repeated(
    data, recipe, done, tmp_path, monkeypatch
):
    class Killed(Trainer):
        def __init__(self, task, config, out):
            if out.name == "audio_to_bucket":
                raise KeyboardInterrupt
            super().__init__(task, config, out)

    with monkeypatch.context() as patches:
        patches.setattr(runs, "Trainer", Killed)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, data, tmp_path)
    assert (tmp_path / "model" / "model_index.json").exists()
    model = train(recipe, data, tmp_path)
    assert list(RunFolder(tmp_path / "audio_to_bucket").losses()) == [0, 1]
    networks = [load_network(x, AUDIO_TO_BUCKET) for x in (model, done / "model")]
    one, other = (network.state_dict() for network in networks)
    assert_close(one, other, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "absent"], "absent holds no data of the compact model"),
        (["--data", "."], "holds no data of the compact model"),
        (["--set", "sampling={a"], "is not YAML"),
        (["--set", "held_out=ida"], "no speaker is named 'ida'; the data has a, b, c, d, e, f"),
        (["--hold-out", ""], "no speaker is named ''"),
        (["--hold-out", "a,b,c,d,e,f"], "all 6 speakers"),
    ],
)
def test_errors_for_users_are_one_line(data, recipe, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    command = ["train", str(recipe), "--data", str(data), "-o", str(tmp_path / "run")]
    assert main([*command, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_signal_that_a_library_catches_ends_training_at_the_next_step(data, recipe, tmp_path, monkeypatch):
    """The step catches the exception of the signal, as Cython modules do; the first step must be the last."""

    def step(self: Trainer, batches: Iterator[Any], step=Trainer._train_step) -> float:
        steps.append(self.step)
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return step(self, batches)

    steps: list[int] = []
    monkeypatch.setattr(Trainer, "_train_step", step)
    with signal_handlers(DEFAULT_HANDLERS):
        code = main(["train", str(recipe), "--data", str(data), "-o", str(tmp_path / "run")])
    assert (code, steps) == (130, [0])


def test_training_shows_its_progress_on_standard_error(data, recipe, tmp_path, capsys):
    assert main(["train", str(recipe), "--data", str(data), "-o", str(tmp_path / "run")]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"The model is {tmp_path / 'run' / 'model'}"]
    stages = [line.split()[0] for line in err.splitlines() if line.endswith(" s")]
    assert stages == ["train", "buckets"]
    assert "step 2/2 loss" in err
