"""RIFE's frame interpolation: the frame halfway between two (Huang et al., arXiv 2011.06294).

The layout and parameter names are those of the released flownet.pkl without its `module.` (NOTES 5.1), so
that its weights load strictly.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SCALES = (4, 2, 1)
"""Each block estimates motion at 1/scale of the frames' size, coarse to fine."""

STRIDE = 4
"""Downsampling inside a block; both sides of its input must be multiples of this."""

FLOW_CHANNELS = 4
"""x, y in px from the middle frame to the first, then to the second."""


@dataclass(frozen=True, kw_only=True)
class IFNetConfig:
    """channels: width of the blocks; the default is the released network's."""

    channels: int = 90


class IFBlock(nn.Module):
    """Strided convolutions, residual convolutions, and one upsampling head each for flow and mask."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv0 = nn.Sequential(_conv(in_channels, half, stride=2), _conv(half, channels, stride=2))
        self.convblock0 = _residual(channels)
        self.convblock1 = _residual(channels)
        self.convblock2 = _residual(channels)
        self.convblock3 = _residual(channels)
        self.conv1 = _head(channels, FLOW_CHANNELS)
        self.conv2 = _head(channels, 1)

    def forward(self, frames: Tensor, mask: Tensor, flow: Tensor, scale: int) -> tuple[Tensor, Tensor]:
        """frames (b, c, h, w), mask logits (b, 1, h, w), flow (b, 4, h, w) -> changes of flow and mask."""
        small = _resize(torch.cat([frames, mask], dim=1), 1 / scale)
        x = self.conv0(torch.cat([small, _resize(flow, 1 / scale) / scale], dim=1))
        for block in (self.convblock0, self.convblock1, self.convblock2, self.convblock3):
            x = x + block(x)
        return _resize(self.conv1(x), scale) * scale, _resize(self.conv2(x), scale)


class IFNet(nn.Module):
    """Three blocks refine the motion between two frames; both are warped to the middle and blended."""

    def __init__(self, config: IFNetConfig) -> None:
        super().__init__()
        self.config = config
        inputs = 2 * 3 + 1 + FLOW_CHANNELS
        self.block0 = IFBlock(inputs, config.channels)
        self.block1 = IFBlock(inputs, config.channels)
        self.block2 = IFBlock(inputs, config.channels)
        # The teacher (paper section 3.4), which also gets the true middle frame; only for strict loading.
        self.block_tea = IFBlock(inputs + 3, config.channels)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Frames (b, 3, h, w) float32 in [0, 1], of any size -> the frame between, not clamped."""
        return self.motion(first, second)[0]

    def motion(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The frame of `forward`, with the flow and the mask that made it.

        flow: (b, 4, h, w) in px from the frame's pixels into the first frame (x, y) and into the second.
        mask: (b, 1, h, w) in [0, 1], the first frame's share.
        """
        height, width = first.shape[-2:]
        multiple = SCALES[0] * STRIDE
        padding = (0, -width % multiple, 0, -height % multiple)
        frames = torch.cat([first, second], dim=1)
        frame, flow, mask = (
            part[..., :height, :width]
            for part in self._refine(*F.pad(frames, padding, mode="replicate").chunk(2, dim=1))
        )
        return frame, flow, mask

    def _refine(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        b, _, height, width = first.shape
        flow = first.new_zeros(b, FLOW_CHANNELS, height, width)
        mask = first.new_zeros(b, 1, height, width)
        warped = first, second
        for block, scale in zip((self.block0, self.block1, self.block2), SCALES, strict=True):
            # Both orders of the frames in one batch; their mean favours neither direction (NOTES 5.1).
            frames = torch.cat([torch.cat(warped, dim=1), torch.cat(warped[::-1], dim=1)])
            both_flows = torch.cat([flow, _swap(flow)])
            flow_steps, mask_steps = block(frames, torch.cat([mask, -mask]), both_flows, scale)
            flow = flow + (flow_steps[:b] + _swap(flow_steps[b:])) / 2
            mask = mask + (mask_steps[:b] - mask_steps[b:]) / 2
            warped = warp(first, flow[:, :2]), warp(second, flow[:, 2:])
        share = mask.sigmoid()
        return share * warped[0] + (1 - share) * warped[1], flow, share


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """Sample image (b, c, h, w) at each pixel plus flow (b, 2, h, w) in px, bilinearly, edges held."""
    height, width = image.shape[-2:]
    x = torch.linspace(-1, 1, width, device=image.device) + flow[:, 0] * (2 / (width - 1))
    y = torch.linspace(-1, 1, height, device=image.device)[:, None] + flow[:, 1] * (2 / (height - 1))
    return F.grid_sample(image, torch.stack([x, y], dim=-1), padding_mode="border", align_corners=True)


def _swap(flow: Tensor) -> Tensor:
    return flow.roll(2, dims=1)


def _resize(x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else F.interpolate(x, scale_factor=factor, mode="bilinear")


def _conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, stride, 1), nn.PReLU(out_channels))


def _residual(channels: int) -> nn.Sequential:
    return nn.Sequential(_conv(channels, channels), _conv(channels, channels))


def _head(channels: int, out_channels: int) -> nn.Sequential:
    half = channels // 2
    up = nn.ConvTranspose2d(channels, half, 4, 2, 1)
    return nn.Sequential(up, nn.PReLU(half), nn.ConvTranspose2d(half, out_channels, 4, 2, 1))
