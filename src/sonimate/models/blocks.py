"""Levels of the UNet: residual blocks, each with or without a transformer, then a change of resolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sonimate.models.attention import Context, SpatioTemporalTransformer
from sonimate.models.resnet import Downsample, SpatioTemporalResBlock, Upsample

if TYPE_CHECKING:
    from sonimate.models.unet import UNetConfig

# The reference forwards its configured 1e-5 to some kinds of block only (NOTES 3.9); weights depend on it.
EPS_ATTENTION_DOWN = 1e-6
EPS_PLAIN_DOWN = 1e-5
EPS_MID = 1e-5
EPS_UP = 1e-6

ATTENDS = "CrossAttn"
"""Start of the block types with transformers."""


class Level(nn.Module):
    """Base of all levels: resnets, each with or without a transformer, whose activations are stored or
    recomputed. inputs: channels into each resnet. transformers: how many, after the first resnets."""

    checkpointing = False

    def __init__(
        self, config: UNetConfig, index: int, inputs: Sequence[int], eps: float, transformers: int
    ) -> None:
        super().__init__()
        channels, groups = config.block_out_channels[index], config.norm_num_groups
        if transformers:
            heads, width = config.num_attention_heads[index], config.cross_attention_dim
            layers = config.transformer_layers_per_block
            self.attentions = nn.ModuleList(
                SpatioTemporalTransformer(channels, heads, width, layers, groups) for _ in range(transformers)
            )
        self.resnets = nn.ModuleList(
            SpatioTemporalResBlock(before, channels, config.time_dim, eps=eps, groups=groups)
            for before in inputs
        )

    def run(self, block: Callable[..., Tensor], *args: object) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(block, *args, use_reentrant=False)
        return block(*args)

    def step(self, index: int, x: Tensor, time: Tensor, context: Context) -> Tensor:
        x = self.run(self.resnets[index], x, time, context.frames)
        if hasattr(self, "attentions"):
            x = self.run(self.attentions[index], x, context)
        return x


class DownBlock(Level):
    """(b*f, in, h, w) -> (b*f, out, h/2, w/2), and appends its skip connections to the list."""

    def __init__(self, config: UNetConfig, index: int) -> None:
        channels, layers = config.block_out_channels, config.layers_per_block
        attends = config.down_block_types[index].startswith(ATTENDS)
        inputs = [channels[max(index - 1, 0)]] + [channels[index]] * (layers - 1)
        eps = EPS_ATTENTION_DOWN if attends else EPS_PLAIN_DOWN
        super().__init__(config, index, inputs, eps, layers if attends else 0)
        if index < len(channels) - 1:
            self.downsamplers = nn.ModuleList([Downsample(channels[index])])

    def forward(self, x: Tensor, skips: list[Tensor], time: Tensor, context: Context) -> Tensor:
        for index in range(len(self.resnets)):
            x = self.step(index, x, time, context)
            skips.append(x)
        if hasattr(self, "downsamplers"):
            x = self.downsamplers[0](x)
            skips.append(x)
        return x


class MidBlock(Level):
    """Resnet, transformer, resnet at the lowest resolution."""

    def __init__(self, config: UNetConfig) -> None:
        channels = config.block_out_channels
        super().__init__(config, len(channels) - 1, [channels[-1]] * 2, EPS_MID, 1)

    def forward(self, x: Tensor, time: Tensor, context: Context) -> Tensor:
        x = self.step(0, x, time, context)
        return self.run(self.resnets[1], x, time, context.frames)


class UpBlock(Level):
    """(b*f, in, h, w) -> (b*f, out, 2h, 2w), and takes its skip connections from the end of the list: those
    of the down level of its resolution, and the one before them."""

    def __init__(self, config: UNetConfig, index: int) -> None:
        channels, layers = config.block_out_channels, config.layers_per_block
        attends = config.up_block_types[-1 - index].startswith(ATTENDS)
        skips = [channels[index]] * layers + [channels[max(index - 1, 0)]]
        below = [channels[min(index + 1, len(channels) - 1)]] + [channels[index]] * layers
        inputs = [sum(pair) for pair in zip(below, skips, strict=True)]
        super().__init__(config, index, inputs, EPS_UP, len(inputs) if attends else 0)
        if index > 0:
            self.upsamplers = nn.ModuleList([Upsample(channels[index])])

    def forward(self, x: Tensor, skips: list[Tensor], time: Tensor, context: Context) -> Tensor:
        for index in range(len(self.resnets)):
            x = self.step(index, torch.cat([x, skips.pop()], dim=1), time, context)
        return self.upsamplers[0](x) if hasattr(self, "upsamplers") else x
