"""The networks of a model as one module, for the optimiser, the moving average and checkpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sonimate.checkpoints.saved import save_network
from sonimate.data.features import Reducer
from sonimate.models.audio_tokens import AudioTokensConfig, AudioToTokens, WindowNetwork
from sonimate.models.motion_bucket import AudioToBucket, AudioToBucketConfig
from sonimate.models.reference import ReferenceEncoder, ReferenceEncoderConfig
from sonimate.models.unet import SpatioTemporalUNet, UNetConfig
from sonimate.train.config import TrainConfig
from sonimate.train.windows import Batch

FPS = 12.5


class Networks(nn.Module):
    """UNet, audio tokens, motion buckets and the reference encoder of a compact model."""

    def __init__(self, config: TrainConfig, tokens: Reducer, buckets: Reducer):
        super().__init__()
        self.unet = SpatioTemporalUNet(UNetConfig(**config.unet))
        self.audio_to_tokens = AudioToTokens(AudioTokensConfig(**config.audio_tokens))
        self.audio_to_bucket = AudioToBucket(AudioToBucketConfig(**config.audio_bucket))
        self.image_encoder = ReferenceEncoder(ReferenceEncoderConfig(**config.reference_encoder))
        _set_reducer(self.audio_to_tokens, tokens)
        _set_reducer(self.audio_to_bucket, buckets)

    def forward(
        self, batch: Batch, noisy: Tensor, sigma: Tensor, drop_audio: Tensor, drop_image: Tensor, mask: Tensor
    ) -> Tensor:
        """Velocity (b, f, c, h, w). noisy: latents at noise level sigma (b,). drop_audio, drop_image: (b,)
        bool."""
        count, frames = noisy.shape[:2]
        tokens = self.audio_to_tokens.project(batch.features)
        tokens = torch.where(drop_audio[:, None, None, None], self.audio_to_tokens.null_tokens(), tokens)
        seen = (~drop_image).float()
        image = self.image_encoder(batch.reference) * seen[:, None, None]
        reference = batch.reference * seen[:, None, None, None]
        sample = torch.cat(
            [
                noisy / (sigma**2 + 1).sqrt()[:, None, None, None, None],
                reference[:, None].expand(-1, frames, -1, -1, -1),
            ],
            dim=2,
        )
        ids = torch.cat([batch.buckets.new_full((count, 1), FPS), batch.buckets], dim=1)
        return self.unet(
            sample, 0.25 * sigma.log(), image[:, None].expand(-1, frames, -1, -1), tokens, ids, mask
        )

    def save(self, folder: Path) -> None:
        """Write each network as a component of a saved model."""
        for name, module in self.named_children():
            save_network(module, folder / name)


def _set_reducer(network: WindowNetwork, reducer: Reducer) -> None:
    if network.reduced:
        network.reducer_mean.copy_(torch.from_numpy(reducer.mean))
        network.reducer_components.copy_(torch.from_numpy(reducer.components))


def on_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on a device."""
    return Batch(**{name: tensor.to(device) for name, tensor in vars(batch).items()})


def outside_rows(reducer: Reducer) -> np.ndarray:
    """What a zero hidden state reduces to: the features beyond a sound's ends."""
    return reducer(np.zeros_like(reducer.mean)).astype(np.float32)
