"""The training loop: batch, loss, step; a moving average; checkpoints that resume exactly.

The batch of a step is a pure function of (seed, step), and each process takes its rows of it. So a run has
the same loss curve with one process or many, killed and resumed or not, up to the order of sums (and up to
dropout, which each process draws for its own rows).
"""

from __future__ import annotations

import copy
import logging
import math
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, gather_object
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from sonimate.errors import OptionOutOfRange, TrainingDiverged
from sonimate.prefetch import prefetched
from sonimate.train.config import TrainConfig
from sonimate.train.draws import row_generator
from sonimate.train.run_folder import RunFolder
from sonimate.train.task import Task, on_device
from sonimate.types import Progress, no_progress

_log = logging.getLogger("sonimate")

REPORT_EVERY = 20
VALIDATION_TIMEOUT = timedelta(hours=3)
"""How long the other processes wait for the first one, which alone validates."""

ADVICE = (
    "If it is always the same sample, leave it out; otherwise lower learning_rate. Either makes another run: "
    "choose a new RUN folder."
)


class Average:
    """Exponential moving averages of a network's trained parameters, float32. Each is on its parameter's
    device, and divided among processes as FSDP divides the parameter.

    `update` keeps min(decay, n / (n + 9)) of the average after n steps: a young average forgets faster.
    """

    def __init__(self, networks: nn.Module, decay: float):
        self.decay, self.count = decay, 0
        self.values = {name: p.detach().clone().float() for name, p in trained_parameters(networks)}

    @torch.no_grad()
    def update(self, networks: nn.Module) -> None:
        """Add the parameters after a step to the average."""
        keep = min(self.decay, self.count / (self.count + 9))
        for name, parameter in trained_parameters(networks):
            self.values[name].mul_(keep).add_(parameter.detach(), alpha=1 - keep)
        self.count += 1

    def whole(self) -> dict[str, Tensor]:
        """All averages, undivided, on the CPU. All processes must call it together."""
        return {
            name: (value.full_tensor() if isinstance(value, DTensor) else value).detach().cpu()
            for name, value in self.values.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """For accelerate, which calls it in all processes and stores the first process's result."""
        return {"count": self.count, "values": self.whole()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`, for any division among processes."""
        self.count = state["count"]
        for name, value in self.values.items():
            stored = state["values"][name].to(value.device)
            if isinstance(value, DTensor):
                stored = distribute_tensor(stored, value.device_mesh, value.placements)
            value.copy_(stored)


def trained_parameters(networks: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in networks.named_parameters() if p.requires_grad]


class Trainer:
    """Trains a task. out: the folder of the run, see RunFolder; it also holds TensorBoard's log."""

    def __init__(self, task: Task, config: TrainConfig, out: Path):
        self.task, self.config, self.folder = task, config, RunFolder(out)
        out.mkdir(parents=True, exist_ok=True)
        self.accelerator = Accelerator(
            log_with="tensorboard",
            project_dir=str(out),
            mixed_precision=config.mixed_precision,
            gradient_accumulation_steps=config.accumulation,
            kwargs_handlers=[InitProcessGroupKwargs(timeout=VALIDATION_TIMEOUT)],
        )
        self.accelerator.init_trackers("log")
        set_up_processes(self.accelerator, config, task.networks)
        self._whole = copy.deepcopy(task.networks).cpu() if self.accelerator.is_main_process else None
        networks = task.networks.to(self.accelerator.device)
        optimiser = torch.optim.AdamW(
            [parameter for _, parameter in trained_parameters(networks)],
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            betas=(0.9, config.adam_beta2),
        )
        self.networks, self.optimiser = self.accelerator.prepare(networks, optimiser)
        self.average = Average(self.accelerator.unwrap_model(self.networks), config.ema_decay)
        self.accelerator.register_for_checkpointing(self.average)
        self.step = 0

    def run(self, progress: Progress = no_progress, stage: str = "train") -> None:
        """Train to the end, from the last checkpoint if there is one, and save the averaged networks.

        progress: called after every step, with `stage` as its first argument.
        Raises TrainingDiverged.
        """
        self._resume()
        with self._batches() as batches:
            while self.step < self.config.steps:
                self._do_step(batches)
                progress(stage, self.step, self.config.steps)
        if (networks := self.averaged()) is not None:
            self.task.save(networks, self.folder.path)
        self.accelerator.wait_for_everyone()
        for tracker in self.accelerator.trackers:
            tracker.finish()

    def _do_step(self, batches: Iterator[Any]) -> None:
        """One step, and the report, validation and checkpoint that are due after it."""
        loss = self._train_step(batches)
        self.accelerator.log({"loss": loss, "rate": self._rate()}, step=self.step)
        if self.accelerator.is_main_process:
            self.folder.append_loss(self.step, loss, self._rate())
        self.step += 1
        last = self.step == self.config.steps
        if self.step % REPORT_EVERY == 0 or last:
            _log.info("step %d/%d loss %.4f", self.step, self.config.steps, loss)
        if self.step % self.config.validate_every == 0 or last:
            self._validate()
        if self.step % self.config.checkpoint_every == 0 or last:
            self._checkpoint()

    def _batches(self) -> AbstractContextManager[Iterator[Any]]:
        """This process's part of the batches of all steps left, in order, prepared ahead of their use."""
        parts = product(range(self.step, self.config.steps), range(self.config.accumulation))
        return prefetched(lambda key: self.task.batch(key[0], self._rows(key[1])), parts)

    def averaged(self) -> Any:
        """The averaged networks on the CPU in the first process, None in the others. All processes must call
        it together."""
        averages = self.average.whole()
        if self._whole is None:
            return None
        self._whole.load_state_dict(self._whole.state_dict() | averages)
        return self._whole.eval()

    def _rate(self) -> float:
        """Learning rate of the current step: a linear warm-up, then a cosine."""
        config = self.config
        if self.step < config.warmup_steps:
            return config.learning_rate * (self.step + 1) / config.warmup_steps
        progress = min((self.step - config.warmup_steps) / max(config.steps - config.warmup_steps, 1), 1.0)
        share = config.final_rate + (1 - config.final_rate) * 0.5 * (1 + math.cos(math.pi * progress))
        return config.learning_rate * share

    def _train_step(self, batches: Iterator[Any]) -> float:
        """One step of the optimiser; returns the mean loss of the whole batch. Takes as many batches as a
        step has parts."""
        self.networks.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        means, names = [], []
        for part in range(self.config.accumulation):
            batch = next(batches)
            own = (self.config.seed, self.step, part, self.accelerator.process_index)
            torch.manual_seed(row_generator(*own).initial_seed())
            with self.accelerator.accumulate(self.networks):
                with self.accelerator.autocast():
                    losses = self.networks(on_device(batch, self.accelerator.device))
                means.append(self._mean(losses.detach(), batch.names))
                names += batch.names
                self.accelerator.backward(losses.mean())
                if self.accelerator.sync_gradients:
                    parameters, clip = self.networks.parameters(), self.config.gradient_clip
                    self._check_gradient(self.accelerator.clip_grad_norm_(parameters, clip), names)
                self.optimiser.step()
                self.optimiser.zero_grad()
        self.average.update(self.accelerator.unwrap_model(self.networks))
        return sum(means) / len(means)

    def _rows(self, part: int) -> range:
        """This process's rows of the batch, in one of `accumulation` parts."""
        count = self.config.batch_size // (self.accelerator.num_processes * self.config.accumulation)
        start = (part * self.accelerator.num_processes + self.accelerator.process_index) * count
        return range(start, start + count)

    def _mean(self, losses: Tensor, names: tuple[str, ...]) -> float:
        """Mean over the rows of all processes. Raises TrainingDiverged in all of them, naming the samples."""
        gathered = self.accelerator.gather(losses)
        assert isinstance(gathered, Tensor)
        if not gathered.isfinite().all():
            finite = gathered.isfinite().tolist()
            wrong = [name for name, fine in zip(gather_object(list(names)), finite, strict=True) if not fine]
            raise TrainingDiverged(
                f"The loss is {gathered.mean().item()} at step {self.step}, of {', '.join(wrong)}. " + ADVICE
            )
        return gathered.mean().item()

    def _check_gradient(self, norm: Tensor | float | None, names: list[str]) -> None:
        """Raise TrainingDiverged in all processes, before the step, unless the norm is finite. float16
        overflows now and then: the scaler then skips the step, and no error is raised."""
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        scaler = self.accelerator.scaler
        if norm is None or math.isfinite(norm) or (scaler is not None and scaler.get_scale() > 1):
            return
        gathered = ", ".join(dict.fromkeys(gather_object(names)))
        raise TrainingDiverged(
            f"The gradient's norm is {float(norm)} at step {self.step}, of a batch of {gathered}. " + ADVICE
        )

    def _validate(self) -> None:
        networks = self.averaged()
        if networks is not None:
            networks.to(self.accelerator.device)
            metrics = self.task.validate(networks, self.step)
            networks.cpu()
            self.accelerator.log(metrics, step=self.step)
            for name, value in metrics.items():
                _log.info("step %d %s %.3f", self.step, name, value)
        self.accelerator.wait_for_everyone()

    def _checkpoint(self) -> None:
        if self.accelerator.is_main_process:
            shutil.rmtree(self.folder.partial, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(self.folder.partial))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            self.folder.publish_checkpoint(self.step)
        self.accelerator.wait_for_everyone()

    def _resume(self) -> None:
        newest = self.folder.newest_checkpoint()
        if newest is not None:
            folder, self.step = newest
            self.accelerator.load_state(str(folder))
            _log.info("resuming at step %d", self.step)
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            self.folder.remove_losses_from(self.step)


def set_up_processes(accelerator: Accelerator, config: TrainConfig, networks: nn.Module) -> None:
    """Set accelerate's plugins for a configuration and its networks, before `accelerator.prepare`.

    The settings of `accelerate launch` are those of the first stage. The second stage has an accumulation of
    its own, and its network lacks the parts that FSDP gathers one by one: it is gathered as one part.
    Raises OptionOutOfRange if the batch cannot be divided among the processes.
    """
    parts = accelerator.num_processes * config.accumulation
    if config.batch_size % parts:
        raise OptionOutOfRange(
            f"batch_size = {config.batch_size} does not divide into {parts} parts: "
            f"{accelerator.num_processes} processes, accumulation = {config.accumulation}."
        )
    accelerator.gradient_accumulation_steps = config.accumulation
    deepspeed = accelerator.state.deepspeed_plugin
    if deepspeed is not None:
        deepspeed.deepspeed_config["train_micro_batch_size_per_gpu"] = config.batch_size // parts
        deepspeed.deepspeed_config["gradient_accumulation_steps"] = config.accumulation
    fsdp = getattr(accelerator.state, "fsdp_plugin", None)
    present = {type(module).__name__ for module in networks.modules()}
    if fsdp is not None and present.isdisjoint(fsdp.transformer_cls_names_to_wrap or ()):
        fsdp.transformer_cls_names_to_wrap = []
