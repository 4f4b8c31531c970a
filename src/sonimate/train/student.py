"""Guidance distillation (Meng et al. 2023, stage one): one prediction learns what guidance makes of two."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sonimate.diffusion.denoiser import Batch, Denoiser


class Student(Denoiser):
    """Learns the teacher's velocity, guided by the voice. Where sound is dropped, it learns the teacher's as
    it is, so that any other guidance can still be mixed of its own two predictions."""

    def __init__(self, own: Denoiser, teacher: Denoiser, guidance: float):
        """own: the networks to train, as `teacher` at first."""
        super().__init__(own.unet, own.audio_to_tokens, own.image_encoder)
        self._guidance = guidance
        self._teacher = (teacher.eval().requires_grad_(False),)
        """In a tuple, for it is no part of what is trained, averaged and kept."""

    def forward(self, batch: Batch) -> Tensor:
        """The loss of each row (b,): mean squared difference of the velocity to the teacher's."""
        noisy = batch.noisy_latents
        error = self.velocity(batch, noisy).float() - self._target(batch, noisy)
        return error.square().flatten(1).mean(1)

    @torch.no_grad()
    def _target(self, batch: Batch, noisy: Tensor) -> Tensor:
        teacher = self._teacher[0].to(noisy.device)
        silent = replace(batch.draws, drop_audio=torch.ones_like(batch.draws.drop_audio))
        image = teacher.velocity(replace(batch, draws=silent), noisy).float()
        audio = teacher.velocity(batch, noisy).float()
        return image + self._guidance * (audio - image)
