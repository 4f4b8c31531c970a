"""Convolutional parts of the UNet: residual blocks over space and time, and changes of resolution.

Feature maps are (b*f, c, h, w), channels-last in memory, so that views without a copy turn pixels into
tokens, and frames into a plane of time and pixels.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from sonimate.models.attention import GroupNorm, TimeMixer, row_by_row
from sonimate.models.embeddings import with_min_rows


class SpatialResBlock(nn.Module):
    """GroupNorm, SiLU, 3x3 convolution, twice, the time embedding added between; plus a shortcut."""

    def __init__(
        self, in_channels: int, out_channels: int, time_dim: int, *, eps: float, groups: int
    ) -> None:
        super().__init__()
        self.norm1 = GroupNorm(groups, in_channels, eps=eps)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time_emb_proj = nn.Linear(time_dim, out_channels)
        self.norm2 = GroupNorm(groups, out_channels, eps=eps)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        if in_channels != out_channels:
            self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """x (b*f, in, h, w), time (b*f, time_dim) after its SiLU -> (b*f, out, h, w)."""
        y = self.conv1(F.silu(self.norm1(x))) + with_min_rows(self.time_emb_proj, time)[:, :, None, None]
        y = self.conv2(F.silu(self.norm2(y)))
        return y + (_per_pixel(x, self.conv_shortcut) if hasattr(self, "conv_shortcut") else x)


def _per_pixel(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """A 1x1 convolution as a linear layer, which is faster when channels come last in memory."""
    return F.linear(x.permute(0, 2, 3, 1), conv.weight.flatten(1), conv.bias).permute(0, 3, 1, 2)


class TemporalConv(nn.Conv3d):
    """Convolution over three frames at each pixel: a (3, 1, 1) kernel, run in 2-D, which is faster."""

    bias: nn.Parameter

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, (3, 1, 1), padding=(1, 0, 0))

    def forward(self, plane: Tensor, scale: Tensor | float = 1.0) -> Tensor:
        """(b, c, f, h*w) -> same, times `scale`: the kernel is scaled, which is smaller than the result."""
        weight, bias = self.weight.squeeze(-1) * scale, self.bias * scale
        return row_by_row(lambda window: F.conv2d(window, weight, bias, padding=(1, 0)), plane)


class TemporalResBlock(nn.Module):
    """The same along time: convolutions over three frames at each pixel, norms over the whole window."""

    def __init__(self, channels: int, time_dim: int, *, eps: float, groups: int) -> None:
        super().__init__()
        self.norm1 = GroupNorm(groups, channels, eps=eps)
        self.conv1 = TemporalConv(channels)
        self.time_emb_proj = nn.Linear(time_dim, channels)
        self.norm2 = GroupNorm(groups, channels, eps=eps)
        self.conv2 = TemporalConv(channels)

    def forward(self, x: Tensor, time: Tensor, share: Tensor, frames: int) -> Tensor:
        """x (b*f, c, h, w), time (b*f, time_dim) -> x + share * residual."""
        plane = x.unflatten(0, (-1, frames)).flatten(3).transpose(1, 2)
        shift = with_min_rows(self.time_emb_proj, time).unflatten(0, (-1, frames)).transpose(1, 2)[..., None]
        y = self.conv1(F.silu(self.norm1(plane))) + shift
        y = self.conv2(F.silu(self.norm2(y)), share)
        return x + y.transpose(1, 2).flatten(0, 1).view_as(x)


class SpatioTemporalResBlock(nn.Module):
    """A spatial residual block, then a learned share of a temporal one."""

    def __init__(
        self, in_channels: int, out_channels: int, time_dim: int, *, eps: float, groups: int
    ) -> None:
        super().__init__()
        self.spatial_res_block = SpatialResBlock(in_channels, out_channels, time_dim, eps=eps, groups=groups)
        self.temporal_res_block = TemporalResBlock(out_channels, time_dim, eps=eps, groups=groups)
        self.time_mixer = TimeMixer()

    def forward(self, x: Tensor, time: Tensor, frames: int) -> Tensor:
        """x (b*f, in, h, w), time (b*f, time_dim) after its SiLU -> (b*f, out, h, w)."""
        x = self.spatial_res_block(x, time)
        return self.temporal_res_block(x, time, self.time_mixer.temporal_share, frames)


class Downsample(nn.Module):
    """Halve height and width with a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Upsample(nn.Module):
    """Double height and width (nearest), then convolve."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
