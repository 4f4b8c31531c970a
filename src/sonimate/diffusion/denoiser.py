"""The networks that learn to denoise and their loss (paper section 3.1; NOTES 4.4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sonimate.clock import LATENT_FPS
from sonimate.diffusion.precondition import add_noise, network_input, timestep_of, velocity_target
from sonimate.models.audio_networks import AudioToTokens
from sonimate.models.unet import SpatioTemporalUNet


@dataclass(frozen=True)
class Draws:
    """Random numbers of b rows: noise (b, f, c, h, w), noise levels sigma (b,), and which conditions are
    dropped, drop_audio and drop_image (b,), bool."""

    noise: Tensor
    sigma: Tensor
    drop_audio: Tensor
    drop_image: Tensor


@dataclass(frozen=True)
class Batch:
    """b training windows of f frames, of either model size.

    names: of the samples. latents: (b, f, c, h, w), of unit variance. reference: (b, c, h, w), the UNet's
    input beside the noisy latents. image: the image encoder's input. features: (b, f, d), windows of hidden
    states, flattened (and reduced) as AudioToTokens.project takes them. buckets: (b, 2), motion buckets, head
    then expression. mask: (1 or b, 1, H, W), 1 on the face. draws: the random numbers.
    """

    names: tuple[str, ...]
    latents: Tensor
    reference: Tensor
    image: Tensor
    features: Tensor
    buckets: Tensor
    mask: Tensor
    draws: Draws

    @property
    def sigma(self) -> Tensor:
        """Noise levels (b, 1, 1, 1, 1), which broadcast with the latents."""
        return self.draws.sigma[:, None, None, None, None]

    @property
    def noisy_latents(self) -> Tensor:
        """(b, f, c, h, w), at the noise levels of the batch."""
        return add_noise(self.latents, self.draws.noise, self.sigma)


class Denoiser(nn.Module):
    """UNet, audio tokens and image encoder as one module, to train, average and save together.

    image_encoder: the identity where the features of the images were computed before.
    """

    def __init__(self, unet: SpatioTemporalUNet, audio_to_tokens: AudioToTokens, image_encoder: nn.Module):
        super().__init__()
        self.unet = unet
        self.audio_to_tokens = audio_to_tokens
        self.image_encoder = image_encoder

    def forward(self, batch: Batch) -> Tensor:
        """The loss of each row (b,): mean squared error of the predicted velocity."""
        target = velocity_target(batch.latents, batch.draws.noise, batch.sigma)
        error = self.velocity(batch, batch.noisy_latents).float() - target
        return error.square().flatten(1).mean(1)

    def velocity(self, batch: Batch, noisy: Tensor) -> Tensor:
        """Predicted velocity (b, f, c, h, w) of latents `noisy` at the noise levels of the batch.

        Dropped conditions are replaced as in guidance (NOTES 4.6): audio by null tokens, the image by zeros.
        """
        frames, draws = noisy.shape[1], batch.draws
        tokens = self.audio_to_tokens.project(batch.features)
        tokens = torch.where(
            draws.drop_audio[:, None, None, None], self.audio_to_tokens.null_tokens(), tokens
        )
        kept = (~draws.drop_image).float()
        image = self.image_encoder(batch.image) * kept[:, None, None]
        reference = batch.reference * kept[:, None, None, None]
        sample = torch.cat(
            [network_input(noisy, batch.sigma), reference[:, None].expand(-1, frames, -1, -1, -1)], dim=2
        )
        ids = torch.cat([batch.buckets.new_full((len(noisy), 1), LATENT_FPS), batch.buckets], dim=1)
        image = image[:, None].expand(-1, frames, -1, -1)
        return self.unet(sample, timestep_of(draws.sigma), image, tokens, ids, batch.mask)
