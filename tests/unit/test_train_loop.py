"""A tiny training run learns, continues exactly after a kill, and says why it fails."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from train_samples import CONFIG, DATA, SAMPLES

from sonimate.diffusion.denoiser import Denoiser
from sonimate.errors import OptionOutOfRange, TrainingDiverged
from sonimate.train.compact_task import CompactTask
from sonimate.train.config import CompactConfig
from sonimate.train.loop import Trainer
from sonimate.train.run_folder import LOSSES, RunFolder
from sonimate.train.task import bucket_config

CALM = replace(
    CONFIG,
    audio_tokens=CONFIG.audio_tokens | {"dropout": 0.0},
    reference_encoder=CONFIG.reference_encoder | {"dropout": 0.0, "noise": 0.0},
)
"""Without dropout and noise, which each process draws for its own rows."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Killed(Trainer):
    """Dies before a chosen step."""

    dies_at: int

    def _train_step(self, batches: Iterator) -> float:
        if self.step == self.dies_at:
            raise KeyboardInterrupt
        return super()._train_step(batches)


def trainer(out: Path, config: CompactConfig = CONFIG, kind: type[Trainer] = Trainer) -> Trainer:
    return kind(CompactTask(config, DATA), config, out)


def kill(out: Path, step: int) -> None:
    run = trainer(out, kind=Killed)
    run.dies_at = step  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        run.run()


def test_the_loss_falls_on_one_batch(tmp_path):
    """At this much noise, only a network that has memorised the batch can predict it."""
    learn = replace(CONFIG, steps=60, checkpoint_every=1000, sigma_mean=3.0, sigma_std=0.1, drop_both=0.0)
    run = trainer(tmp_path, replace(learn, drop_audio=0.0, drop_image=0.0, learning_rate=1e-2))
    batch = run.task.batch(0, range(2))
    run.task.batch = lambda step, rows: batch
    run.run()
    losses = list(RunFolder(tmp_path).losses().values())
    assert np.mean(losses[-10:]) < 0.3 * np.mean(losses[:5])


def test_a_killed_run_continues_exactly(tmp_path):
    whole = trainer(tmp_path / "whole")
    whole.run()
    kill(tmp_path / "killed", 6)
    resumed = trainer(tmp_path / "killed")
    resumed.run()
    losses, expected = RunFolder(tmp_path / "killed").losses(), RunFolder(tmp_path / "whole").losses()
    assert list(losses) == list(expected) == list(range(CONFIG.steps))
    assert losses == pytest.approx(expected, abs=1e-6)
    for name, tensor in whole.averaged().state_dict().items():
        torch.testing.assert_close(resumed.averaged().state_dict()[name], tensor, atol=1e-6, rtol=1e-5)


def test_a_kill_between_checkpoints_falls_back_to_the_previous(tmp_path):
    kill(tmp_path, 5)
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.previous")
    (tmp_path / "checkpoint.partial").mkdir()
    resumed = trainer(tmp_path)
    resumed._resume()
    assert resumed.step == 4
    resumed.run()
    assert json.loads((tmp_path / "checkpoint" / "step.json").read_text()) == {"step": CONFIG.steps}
    assert not (tmp_path / "checkpoint.previous").exists()


def test_a_finished_run_trains_no_further(tmp_path):
    trainer(tmp_path).run()
    before = (tmp_path / LOSSES).read_text()
    again = trainer(tmp_path)
    again._train_step = lambda batches: math.nan
    again.run()
    assert (tmp_path / LOSSES).read_text() == before


def test_losses_of_steps_to_be_done_again_are_removed(tmp_path):
    lines = [json.dumps({"step": step, "loss": step / 2, "rate": 1.0}) for step in range(5)]
    (tmp_path / LOSSES).write_text("\n".join(lines) + '\n{"step": 5, "lo')
    assert RunFolder(tmp_path).losses() == {step: step / 2 for step in range(5)}
    RunFolder(tmp_path).remove_losses_from(3)
    assert RunFolder(tmp_path).losses() == {0: 0.0, 1: 0.5, 2: 1.0}


def test_parts_of_a_batch_give_the_gradient_of_the_whole(tmp_path):
    """So one process and several, or one pass and several, train alike."""
    large = replace(CALM, batch_size=4, steps=6)
    parts = replace(large, accumulation=2)
    trainer(tmp_path / "whole", large).run()
    trainer(tmp_path / "parts", parts).run()
    whole = RunFolder(tmp_path / "whole").losses()
    assert RunFolder(tmp_path / "parts").losses() == pytest.approx(whole, abs=1e-4)
    assert len(set(whole.values())) == 6


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    with pytest.raises(OptionOutOfRange, match="accumulation = 3"):
        trainer(tmp_path, replace(CONFIG, batch_size=4, accumulation=3))


def test_divergence_stops_with_the_samples_name(tmp_path):
    """One sample is broken; the error of the first batch that holds it names this sample only."""
    broken = replace(SAMPLES[2], token_rows=np.full_like(SAMPLES[2].token_rows, np.nan))
    data = replace(DATA, samples=[*SAMPLES[:2], broken, *SAMPLES[3:]])
    config = replace(CALM, batch_size=32)
    with pytest.raises(
        TrainingDiverged, match=r"nan at step 0, of c#0@1\.0v0(, c#\S*)*\. .*lower learning_rate"
    ) as error:
        Trainer(CompactTask(config, data), config, tmp_path).run()
    assert error.value.exit_code == 2


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_gradient_that_is_not_finite_changes_no_parameter(tmp_path, accumulation):
    """The loss is finite; the run ends before the step, and names the whole batch."""
    run = trainer(tmp_path, replace(CONFIG, batch_size=4, accumulation=accumulation))
    parameter = next(p for p in run.networks.parameters() if p.requires_grad)
    parameter.register_hook(lambda gradient: gradient * (math.nan if run.step == 5 else 1.0))
    with pytest.raises(TrainingDiverged, match=r"gradient's norm is nan at step 5, of a batch of ") as error:
        run.run()
    assert run.step == 5
    named = str(error.value).partition("a batch of ")[2].partition(". ")[0].split(", ")
    assert set(named) == set(run.task.batch(5, range(4)).names)
    assert all(p.isfinite().all() for p in run.networks.parameters())
    assert all(value.isfinite().all() for value in run.average.values.values())


def test_a_launcher_does_not_change_the_accumulation(tmp_path, monkeypatch):
    """DeepSpeed's sets a variable for the first stage, which the second would inherit."""
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "2")
    run = trainer(tmp_path)
    assert run.accelerator.gradient_accumulation_steps == 1
    before = {name: p.detach().clone() for name, p in run.networks.named_parameters()}
    with run._batches() as batches:
        run._train_step(batches)
    assert any(not torch.equal(before[name], p) for name, p in run.networks.named_parameters())


def test_the_average_lies_among_the_steps(tmp_path):
    run = trainer(tmp_path, replace(CONFIG, steps=3))
    steps: list[dict[str, torch.Tensor]] = []
    take_step = run._train_step

    def watched(batches: Iterator) -> float:
        loss = take_step(batches)
        steps.append({name: p.detach().clone() for name, p in run.networks.named_parameters()})
        return loss

    run._train_step = watched
    run.run()
    moved = 0
    for name, average in run.averaged().named_parameters():
        path = torch.stack([step[name] for step in steps])
        assert torch.all(path.amin(0) - 1e-6 <= average)
        assert torch.all(average <= path.amax(0) + 1e-6)
        moved += int((path.amin(0) < path.amax(0)).any())
    assert moved > 50


def test_validation_sees_the_averaged_networks_at_its_steps(tmp_path):
    seen = []

    def validate(networks: Denoiser, step: int) -> dict[str, float]:
        seen.append((step, networks.training))
        return {"score": 1.0}

    run = trainer(tmp_path, replace(CONFIG, steps=5, validate_every=2))
    run.task.validate = validate
    run.run()
    assert seen == [(2, False), (4, False), (5, False)]


def test_the_second_stage_learns_motion_buckets(tmp_path):
    config = replace(CONFIG, bucket_steps=150, bucket_batch_size=8, bucket_rate=3e-3)
    task = CompactTask(config, DATA)
    task.save(task.networks, tmp_path)
    second = task.bucket_task(tmp_path / "model")
    before = second.validate(second.networks, 0)["bucket_error"]
    run = Trainer(second, bucket_config(config), tmp_path / "buckets")
    run.run()
    assert second.validate(run.averaged(), 0)["bucket_error"] < 0.6 * before
    assert list(RunFolder(tmp_path / "buckets").losses()) == list(range(150))


def test_the_rate_warms_up_and_falls_to_its_share(tmp_path):
    run = trainer(tmp_path, replace(CONFIG, steps=10, warmup_steps=4, learning_rate=1.0, final_rate=0.1))
    rates = []
    for step in range(11):
        run.step = step
        rates.append(run._rate())
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[10] == pytest.approx(0.1)
    assert sorted(rates[4:], reverse=True) == rates[4:]


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_both_stages_have_one_precision(precision):
    """accelerate settles it once a process, and refuses another one."""
    assert bucket_config(replace(CONFIG, mixed_precision=precision)).mixed_precision == precision
