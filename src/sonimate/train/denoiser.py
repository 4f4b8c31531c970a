"""The networks that learn to denoise, as one module, for the optimiser, the average and checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sonimate.clock import LATENT_FPS
from sonimate.models.audio_tokens import AudioToTokens
from sonimate.models.unet import SpatioTemporalUNet
from sonimate.train.loss import velocity_target
from sonimate.train.task import Batch


class Denoiser(nn.Module):
    """UNet, audio tokens and the image branch, which is the identity where its results are stored."""

    def __init__(self, unet: SpatioTemporalUNet, audio_to_tokens: AudioToTokens, image_encoder: nn.Module):
        super().__init__()
        self.unet = unet
        self.audio_to_tokens = audio_to_tokens
        self.image_encoder = image_encoder

    def forward(self, batch: Batch) -> Tensor:
        """The loss of each row (b,): mean squared error of the velocity (paper section 3.1; NOTES 4.4)."""
        draws = batch.draws
        sigma = draws.sigma[:, None, None, None, None]
        velocity = self.velocity(batch, batch.latents + sigma * draws.noise)
        error = velocity.float() - velocity_target(batch.latents, draws.noise, sigma)
        return error.square().flatten(1).mean(1)

    def velocity(self, batch: Batch, noisy: Tensor) -> Tensor:
        """Velocity (b, f, c, h, w) of latents at the noise levels of the batch. What is dropped is what the
        branches of guidance lack (NOTES 4.6)."""
        frames, draws = noisy.shape[1], batch.draws
        tokens = self.audio_to_tokens.project(batch.features)
        tokens = torch.where(
            draws.drop_audio[:, None, None, None], self.audio_to_tokens.null_tokens(), tokens
        )
        seen = (~draws.drop_image).float()
        image = self.image_encoder(batch.image) * seen[:, None, None]
        reference = batch.reference * seen[:, None, None, None]
        sample = torch.cat(
            [
                noisy / (draws.sigma**2 + 1).sqrt()[:, None, None, None, None],
                reference[:, None].expand(-1, frames, -1, -1, -1),
            ],
            dim=2,
        )
        ids = torch.cat([batch.buckets.new_full((len(noisy), 1), LATENT_FPS), batch.buckets], dim=1)
        image = image[:, None].expand(-1, frames, -1, -1)
        return self.unet(sample, 0.25 * draws.sigma.log(), image, tokens, ids, batch.mask)
