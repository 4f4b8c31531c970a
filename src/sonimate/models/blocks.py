"""Levels of the UNet: residual blocks, each with or without a transformer, then a change of resolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sonimate.models.attention import Context, SpatioTemporalTransformer
from sonimate.models.resnet import Downsample, SpatioTemporalResBlock, Upsample

# The reference forwards its configured 1e-5 to some kinds of block only (NOTES 3.9); weights depend on it.
EPS_ATTENTION_DOWN = 1e-6
EPS_PLAIN_DOWN = 1e-5
EPS_MID = 1e-5
EPS_UP = 1e-6


@dataclass(frozen=True, kw_only=True)
class LevelShape:
    """Settings shared by all blocks of one level. heads: None where the level has no attention."""

    channels: int
    time_dim: int
    norm_groups: int
    context_dim: int
    heads: int | None
    transformer_layers: int

    def resnet(self, in_channels: int, eps: float) -> SpatioTemporalResBlock:
        return SpatioTemporalResBlock(
            in_channels, self.channels, self.time_dim, eps=eps, groups=self.norm_groups
        )

    def transformers(self, count: int) -> nn.ModuleList:
        assert self.heads is not None
        return nn.ModuleList(
            SpatioTemporalTransformer(
                self.channels, self.heads, self.context_dim, self.transformer_layers, self.norm_groups
            )
            for _ in range(count)
        )


class Level(nn.Module):
    """Base of all levels: a resnet and its transformer, whose activations are stored or recomputed."""

    attentions: nn.ModuleList
    resnets: nn.ModuleList
    checkpointing = False

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

    def __init__(self, shape: LevelShape, in_channels: int, *, layers: int, downsample: bool) -> None:
        super().__init__()
        if shape.heads:
            self.attentions = shape.transformers(layers)
        eps = EPS_ATTENTION_DOWN if shape.heads else EPS_PLAIN_DOWN
        inputs = [in_channels] + [shape.channels] * (layers - 1)
        self.resnets = nn.ModuleList(shape.resnet(channels, eps) for channels in inputs)
        if downsample:
            self.downsamplers = nn.ModuleList([Downsample(shape.channels)])

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

    def __init__(self, shape: LevelShape) -> None:
        super().__init__()
        self.attentions = shape.transformers(1)
        self.resnets = nn.ModuleList(shape.resnet(shape.channels, EPS_MID) for _ in range(2))

    def forward(self, x: Tensor, time: Tensor, context: Context) -> Tensor:
        x = self.step(0, x, time, context)
        return self.run(self.resnets[1], x, time, context.frames)


class UpBlock(Level):
    """(b*f, in, h, w) -> (b*f, out, 2h, 2w), and takes its skip connections from the end of the list."""

    def __init__(
        self, shape: LevelShape, in_channels: int, skip_channels: Sequence[int], *, upsample: bool
    ) -> None:
        super().__init__()
        if shape.heads:
            self.attentions = shape.transformers(len(skip_channels))
        inputs = [in_channels] + [shape.channels] * (len(skip_channels) - 1)
        self.resnets = nn.ModuleList(
            shape.resnet(below + skip, EPS_UP) for below, skip in zip(inputs, skip_channels, strict=True)
        )
        if upsample:
            self.upsamplers = nn.ModuleList([Upsample(shape.channels)])

    def forward(self, x: Tensor, skips: list[Tensor], time: Tensor, context: Context) -> Tensor:
        for index in range(len(self.resnets)):
            x = self.step(index, torch.cat([x, skips.pop()], dim=1), time, context)
        return self.upsamplers[0](x) if hasattr(self, "upsamplers") else x
