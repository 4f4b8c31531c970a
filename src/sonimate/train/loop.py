"""The training loop: noise, predict, step; a moving average; checkpoints that resume exactly."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.optim.swa_utils import PARAM_LIST, AveragedModel, get_ema_multi_avg_fn

from sonimate.codecs.mesh import MeshCodec
from sonimate.data.features import Reducer
from sonimate.data.samples import Sample
from sonimate.errors import SonimateError
from sonimate.train.config import TrainConfig
from sonimate.train.loss import sample_sigmas, velocity_target
from sonimate.train.networks import Networks, on_device, outside_rows
from sonimate.train.windows import Batch, WindowSampler

Validate = Callable[[Networks, int], dict[str, float]]


class TrainingDiverged(SonimateError):
    """The loss is no longer a finite number."""


class Trainer:
    """Trains the networks of a compact model on prepared samples.

    samples: all of them; those of `config.held_out` speakers are left out. out: run folder.
    validate: called every `validate_every` steps with the averaged networks; its numbers are logged.
    """

    def __init__(
        self,
        config: TrainConfig,
        samples: list[Sample],
        codec: MeshCodec,
        reducers: tuple[Reducer, Reducer],
        out: Path,
        validate: Validate = lambda networks, step: {},
    ):
        self.config, self.out, self.validate = config, out, validate
        out.mkdir(parents=True, exist_ok=True)
        set_seed(config.seed)
        self.accelerator = Accelerator(
            log_with="tensorboard", project_dir=str(out), mixed_precision=config.mixed_precision
        )
        self.accelerator.init_trackers("log")
        training = [sample for sample in samples if sample.speaker not in config.held_out]
        self.windows = WindowSampler(
            training,
            codec,
            frames=config.frames,
            batch_size=config.batch_size,
            real_share=config.real_share,
            reference_noise=config.reference_noise,
            seed=config.seed,
            silence_rows=(outside_rows(reducers[0]), outside_rows(reducers[1])),
        )
        self.mask = codec.mask[None, None].to(self.accelerator.device)
        networks = Networks(config, *reducers).to(self.accelerator.device)
        self.average = AveragedModel(networks, multi_avg_fn=_average(config.ema_decay), use_buffers=False)
        optimiser = torch.optim.AdamW(
            networks.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            betas=(0.9, 0.99),
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self._rate)
        self.networks, self.optimiser, self.schedule = self.accelerator.prepare(networks, optimiser, schedule)
        self.accelerator.register_for_checkpointing(self.average)
        self.step = 0

    def _rate(self, step: int) -> float:
        """Linear warm-up, then a cosine to a twentieth."""
        warmup, total = self.config.warmup_steps, self.config.steps
        if step < warmup:
            return (step + 1) / warmup
        progress = min((step - warmup) / max(total - warmup, 1), 1.0)
        return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress))

    def run(self) -> Networks:
        """Train to the end, from the last checkpoint if there is one; returns the averaged networks."""
        self._resume()
        while self.step < self.config.steps:
            loss = self._train_step()
            self.step += 1
            if self.step % 20 == 0:
                self.accelerator.log({"loss": loss, "rate": self.schedule.get_last_lr()[0]}, step=self.step)
            if self.step % self.config.validate_every == 0 or self.step == self.config.steps:
                metrics = self.validate(self.averaged, self.step)
                self.accelerator.log(metrics, step=self.step)
                self.accelerator.print(f"step {self.step} loss {loss:.4f} {_format(metrics)}", flush=True)
            if self.step % self.config.checkpoint_every == 0 or self.step == self.config.steps:
                self._checkpoint()
        self.accelerator.end_training()
        return self.averaged

    @property
    def averaged(self) -> Networks:
        module = self.average.module
        assert isinstance(module, Networks)
        return module.eval()

    def _train_step(self) -> float:
        config = self.config
        self.networks.train()
        torch.manual_seed(hash((config.seed, self.step)) % 2**31)
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + self.step)
        batch = on_device(self.windows.batch(self.step), self.accelerator.device)
        loss = self._loss(batch, generator)
        if not torch.isfinite(loss):
            raise TrainingDiverged(f"Loss is {loss.item()} at step {self.step}; lower learning_rate.")
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.networks.parameters(), config.gradient_clip)
        self.optimiser.step()
        self.schedule.step()
        self.optimiser.zero_grad()
        self.average.update_parameters(self.accelerator.unwrap_model(self.networks))
        return loss.item()

    def _loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Chance is drawn on the CPU, so that a seed means the same on every device."""
        config, count, device = self.config, len(batch.latents), batch.latents.device
        sigma = sample_sigmas(count, mean=config.sigma_mean, std=config.sigma_std, generator=generator)
        noise = torch.randn(batch.latents.shape, generator=generator).to(device)
        chance = torch.rand(count, generator=generator).to(device)
        sigma = sigma.to(device)
        level = sigma[:, None, None, None, None]
        both = chance < config.drop_both
        audio = both | ((chance >= config.drop_both) & (chance < config.drop_both + config.drop_audio))
        image = both | (chance > 1 - config.drop_image)
        velocity = self.networks(batch, batch.latents + level * noise, sigma, audio, image, self.mask)
        return nn.functional.mse_loss(velocity, velocity_target(batch.latents, noise, level))

    def _checkpoint(self) -> None:
        folder = self.out / "checkpoint"
        self.accelerator.save_state(str(self.out / "checkpoint.partial"))
        (self.out / "checkpoint.partial" / "step.json").write_text(json.dumps({"step": self.step}))
        previous = self.out / "checkpoint.previous"
        shutil.rmtree(previous, ignore_errors=True)
        if folder.exists():
            folder.rename(previous)
        (self.out / "checkpoint.partial").rename(folder)
        shutil.rmtree(previous, ignore_errors=True)

    def _resume(self) -> None:
        for name in ("checkpoint", "checkpoint.previous"):
            folder = self.out / name
            if (folder / "step.json").exists():
                self.accelerator.load_state(str(folder))
                self.step = json.loads((folder / "step.json").read_text())["step"]
                self.accelerator.print(f"resuming at step {self.step}")
                return


def _average(decay: float) -> Callable[[PARAM_LIST, PARAM_LIST, Tensor | int], None]:
    """Exponential moving average whose memory grows with the number of steps at first."""

    def update(averages: PARAM_LIST, values: PARAM_LIST, count: Tensor | int) -> None:
        keep = min(decay, (1 + int(count)) / (10 + int(count)))
        get_ema_multi_avg_fn(keep)(averages, values, count)

    return update


def _format(metrics: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.3f}" for name, value in metrics.items())
