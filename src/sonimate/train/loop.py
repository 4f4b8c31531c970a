"""The training loop: batch, loss, step; a moving average; checkpoints that resume exactly.

The batch of a step is a pure function of (seed, step), and each process takes its rows of it: one process or
many, killed or not, a run has the same loss curve, up to the order of sums (and up to dropout, which a
process draws for its own rows).
"""

from __future__ import annotations

import copy
import logging
import math
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, gather_object
from torch import Tensor
from torch.distributed.tensor import DTensor

from sonimate.diffusion.draws import row_generator
from sonimate.errors import TrainingDiverged
from sonimate.train.average import Average
from sonimate.train.config import TrainConfig
from sonimate.train.division import set_up_division
from sonimate.train.record import (
    PARTIAL,
    append_loss,
    forget_losses_from,
    newest_checkpoint,
    publish_checkpoint,
)
from sonimate.train.task import Task, on_device
from sonimate.types import Progress, no_progress

_log = logging.getLogger("sonimate")

REPORT_EVERY = 20
PATIENCE = timedelta(hours=3)
"""How long processes wait for the first one, which alone validates."""

ADVICE = (
    "If it is always the same sample, leave it out; else lower learning_rate. Either makes another run: "
    "choose a new RUN folder."
)


class Trainer:
    """Trains a task. out: run folder, to hold checkpoint, losses.jsonl and TensorBoard's log."""

    def __init__(self, task: Task, config: TrainConfig, out: Path):
        self.task, self.config, self.out = task, config, out
        out.mkdir(parents=True, exist_ok=True)
        self.accelerator = Accelerator(
            log_with="tensorboard",
            project_dir=str(out),
            mixed_precision=config.mixed_precision,
            gradient_accumulation_steps=config.accumulation,
            kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
        )
        self.accelerator.init_trackers("log")
        set_up_division(self.accelerator, config, task.networks)
        self._whole = copy.deepcopy(task.networks).cpu() if self.accelerator.is_main_process else None
        networks = task.networks.to(self.accelerator.device)
        optimiser = torch.optim.AdamW(
            [parameter for parameter in networks.parameters() if parameter.requires_grad],
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
        while self.step < self.config.steps:
            loss = self._train_step()
            self._log({"loss": loss, "rate": self._rate()})
            if self.accelerator.is_main_process:
                append_loss(self.out, self.step, loss, self._rate())
            self.step += 1
            progress(stage, self.step, self.config.steps)
            last = self.step == self.config.steps
            if self.step % REPORT_EVERY == 0 or last:
                _log.info("step %d/%d loss %.4f", self.step, self.config.steps, loss)
            if self.step % self.config.validate_every == 0 or last:
                self._validate()
            if self.step % self.config.checkpoint_every == 0 or last:
                self._checkpoint()
        if (networks := self.averaged()) is not None:
            self.task.save(networks, self.out)
        self.accelerator.wait_for_everyone()
        for tracker in self.accelerator.trackers:
            tracker.finish()

    def averaged(self) -> Any:
        """The averaged networks on the CPU in the first process, None in the others; all must call it."""
        averages = self.average.whole()
        if self._whole is None:
            return None
        self._whole.load_state_dict(self._whole.state_dict() | averages)
        return self._whole.eval()

    def _rate(self) -> float:
        """Learning rate of the present step: linear warm-up, then a cosine."""
        config = self.config
        if self.step < config.warmup_steps:
            return config.learning_rate * (self.step + 1) / config.warmup_steps
        progress = min((self.step - config.warmup_steps) / max(config.steps - config.warmup_steps, 1), 1.0)
        share = config.final_rate + (1 - config.final_rate) * 0.5 * (1 + math.cos(math.pi * progress))
        return config.learning_rate * share

    def _train_step(self) -> float:
        """One step of the optimiser; returns the mean loss of the whole batch."""
        self.networks.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        means, names = [], []
        for part in range(self.config.accumulation):
            batch: Any = self.task.batch(self.step, self._rows(part))
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
        """Mean over the processes' rows. Raises TrainingDiverged in all of them, naming the samples."""
        everyones = self.accelerator.gather(losses)
        assert isinstance(everyones, Tensor)
        if not everyones.isfinite().all():
            finite = everyones.isfinite().tolist()
            wrong = [name for name, fine in zip(gather_object(list(names)), finite, strict=True) if not fine]
            raise TrainingDiverged(
                f"The loss is {everyones.mean().item()} at step {self.step}, of {', '.join(wrong)}. " + ADVICE
            )
        return everyones.mean().item()

    def _check_gradient(self, norm: Tensor | float | None, names: list[str]) -> None:
        """Raise TrainingDiverged in all processes, before the step, unless the norm is finite. Half precision
        overflows now and then, and its scaler skips such a step."""
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        scaler = self.accelerator.scaler
        if norm is None or math.isfinite(norm) or (scaler is not None and scaler.get_scale() > 1):
            return
        everyones = ", ".join(dict.fromkeys(gather_object(names)))
        raise TrainingDiverged(
            f"The gradient's norm is {float(norm)} at step {self.step}, of a batch of {everyones}. " + ADVICE
        )

    def _validate(self) -> None:
        networks = self.averaged()
        if networks is not None:
            networks.to(self.accelerator.device)
            metrics = self.task.validate(networks, self.step)
            networks.cpu()
            self._log(metrics)
            for name, value in metrics.items():
                _log.info("step %d %s %.3f", self.step, name, value)
        self.accelerator.wait_for_everyone()

    def _log(self, values: dict[str, float]) -> None:
        self.accelerator.log(values, step=self.step)

    def _checkpoint(self) -> None:
        if self.accelerator.is_main_process:
            shutil.rmtree(self.out / PARTIAL, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(self.out / PARTIAL))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            publish_checkpoint(self.out, self.step)
        self.accelerator.wait_for_everyone()

    def _resume(self) -> None:
        newest = newest_checkpoint(self.out)
        if newest is not None:
            folder, self.step = newest
            self.accelerator.load_state(str(folder))
            _log.info("resuming at step %d", self.step)
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            forget_losses_from(self.out, self.step)
