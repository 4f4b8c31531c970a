"""Transformer layers of the UNet: attention within a frame, along time, and to image and audio.

Paper section 3.1. Everything works on tokens, channels last: (n, tokens, c).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonimate.models.embeddings import TimestepEmbedding, sinusoidal_embedding, with_min_rows


def token_grid(height: int, width: int, n_tokens: int) -> tuple[int, int]:
    """Rows and columns of the token grid under a mask of height x width, from its aspect ratio alone.

    Float32 on purpose: 8064 tokens under 896x576 are 112 rows, which float64 would round down to 111.
    """
    rows = int(np.sqrt(np.float32(n_tokens / (width / height))))
    rows += n_tokens % rows != 0
    return rows, n_tokens // rows


def downsample_mask(mask: Tensor, n_tokens: int) -> Tensor:
    """Face mask (b, 1, h, w) -> (b, n_tokens): its bicubic copy on the token grid, row by row.

    Values from -0.1 to 1.2, which bicubic interpolation makes, are kept: the released weights were trained
    with them. If the grid does not hold n_tokens exactly, the end is cut or filled with zeros.
    """
    rows, columns = token_grid(mask.shape[-2], mask.shape[-1], n_tokens)
    grid = F.interpolate(mask, size=(rows, columns), mode="bicubic", align_corners=False).flatten(1)
    return F.pad(grid, (0, n_tokens - rows * columns))


@dataclass(frozen=True)
class Context:
    """Inputs of every cross-attention in one forward pass.

    image: (b, f, 1, c). audio: (b, f, k, c). mask: (1 or b, 1, h, w); None is 1 everywhere.
    """

    image: Tensor
    audio: Tensor
    mask: Tensor | None = None
    _masks: dict[int, Tensor] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        return self.image.shape[1]

    def per_window(self) -> tuple[Tensor, Tensor]:
        """(b, 1, c) and (b, k, c), means over the window's frames, for temporal attention (eq. 2)."""
        return self.image.mean(1), self.audio.mean(1)

    def mask_for(self, n_tokens: int) -> Tensor | None:
        """The mask on a grid of n_tokens, (1 or b*f, n_tokens, 1); each grid is made once."""
        if self.mask is None:
            return None
        if n_tokens not in self._masks:
            rows = downsample_mask(self.mask, n_tokens)[..., None]
            self._masks[n_tokens] = rows if len(rows) == 1 else rows.repeat_interleave(self.frames, dim=0)
        return self._masks[n_tokens]


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Multi-head scaled dot-product attention, (n, q, c) x (n, k, c) -> (n, q, c).

    On a CPU always in float32: PyTorch's bfloat16 kernel takes up to ten times as long in the backward pass.
    """
    on_cpu = query.device.type == "cpu"
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))
    with torch.autocast("cpu", enabled=False) if on_cpu else nullcontext():
        if on_cpu:
            q, k, v = q.float(), k.float(), v.float()
        result = F.scaled_dot_product_attention(q, k, v)
    return result.transpose(1, 2).flatten(2).to(query.dtype)


class SelfAttention(nn.Module):
    """(n, t, c) -> (n, t, c)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(channels, channels, bias=False)
        self.to_v = nn.Linear(channels, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        return self.to_out[0](attend(self.to_q(x), self.to_k(x), self.to_v(x), self.heads))


class AudioAdapter(nn.Module):
    """Key and value projections of the audio tokens, beside those of the image (released names)."""

    def __init__(self, channels: int, context_dim: int) -> None:
        super().__init__()
        self.to_k_ip = nn.ModuleList([nn.Linear(context_dim, channels, bias=False)])
        self.to_v_ip = nn.ModuleList([nn.Linear(context_dim, channels, bias=False)])


class CrossAttention(nn.Module):
    """Attention to the image token plus, within the mask, to the audio tokens (eq. 1 and 2).

    The image is a single token, whose softmax weight is 1, so its attention is its value. `to_k` is
    frozen: it belongs to the checkpoint format, but changes nothing.
    """

    use_audio = True

    def __init__(self, channels: int, heads: int, context_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context_dim, channels, bias=False).requires_grad_(False)
        self.to_v = nn.Linear(context_dim, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])
        self.processor = AudioAdapter(channels, context_dim)

    def forward(self, x: Tensor, image: Tensor, audio: Tensor, mask: Tensor | None = None) -> Tensor:
        """x (n, t, c), image (n, 1, context), audio (n, k, context), mask (1 or n, t, 1) -> (n, t, c)."""
        return self.attend(x, *self.project(image, audio), mask)

    def project(self, image: Tensor, audio: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The image's value (n, 1, c), and the audio's keys and values (n, k, c), or None without audio."""
        image_value = with_min_rows(self.to_v, image)
        if not self.use_audio:
            return image_value, None, None
        return image_value, self.processor.to_k_ip[0](audio), self.processor.to_v_ip[0](audio)

    def attend(
        self,
        x: Tensor,
        image_value: Tensor,
        key: Tensor | None,
        value: Tensor | None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Attention of x (n, t, c) to the results of `project`."""
        if key is None or value is None:
            return self.to_out[0](image_value).expand_as(x)
        audio = attend(self.to_q(x), key, value, self.heads)
        if mask is not None:
            audio = audio * mask.to(audio.dtype)
        return self.to_out[0](image_value + audio)


class GEGLU(nn.Module):
    """Linear to twice the width, one half gating the other."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, 2 * hidden)

    def forward(self, x: Tensor) -> Tensor:
        # Halving the weight rather than the result keeps both halves contiguous: no copies backward.
        (value, gate), (value_bias, gate_bias) = self.proj.weight.chunk(2), self.proj.bias.chunk(2)
        return F.linear(x, value, value_bias) * F.gelu(F.linear(x, gate, gate_bias))


class FeedForward(nn.Module):
    """(..., c) -> (..., c) through 4c gated channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.ModuleList(
            [GEGLU(channels, 4 * channels), nn.Identity(), nn.Linear(4 * channels, channels)]
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net[2](self.net[0](x))


PIECE_TOKENS = 2048
"""Enough for a fast matrix product; few enough that their 4c channels fit into a processor's cache."""


def in_pieces(
    layer: Callable[..., Tensor], tokens: int, *inputs: Tensor, dim: int = 0, window: int | None = None
) -> Tensor:
    """`layer(*inputs)`, computed on a CPU in pieces of rows along `dim`.

    Rows, of `tokens` tokens each, must not depend on one another. window: rows of one window, if there are
    several along `dim`; no piece holds rows of two windows, so that a window's result is the same alone and
    in a batch (see `with_min_rows`).

    Pieces keep temporary tensors small. Large ones do not fit into the caches, and the system fills new
    memory with zeros for each, which took a third of a transformer's time at 80 channels. Not in training,
    which stores these tensors for the backward pass, nor when compiled: a compiler makes fewer of them.
    """
    x = inputs[0]
    stored = torch.is_grad_enabled() or torch.compiler.is_compiling()
    if stored or x.device.type != "cpu":
        return layer(*inputs)
    rows, window = max(PIECE_TOKENS // tokens, 1), window or x.shape[dim]
    sizes = [min(rows, window - start) for start in range(0, window, rows)] * (x.shape[dim] // window)
    if len(sizes) == 1:
        return layer(*inputs)
    pieces = zip(*(tensor.split(sizes, dim) for tensor in inputs), strict=True)
    return torch.cat([layer(*piece) for piece in pieces], dim)


def row_by_row(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`layer` of x (n, ...), computed on a CPU for each row alone: its kernels round differently for
    different numbers of rows, see `with_min_rows`."""
    return in_pieces(layer, PIECE_TOKENS, x)


LARGE_MAP = 1024
"""From this many pixels on, PyTorch's norms divide one map among threads; each smaller map has one thread."""


class GroupNorm(nn.GroupNorm):
    """(n, c, ...) -> same; large maps are normed one after the other."""

    def forward(self, x: Tensor) -> Tensor:
        return row_by_row(super().forward, x) if x[0, 0].numel() >= LARGE_MAP else super().forward(x)


class SpatialLayer(nn.Module):
    """Self-attention among a frame's pixels, masked cross-attention, feed-forward."""

    def __init__(self, channels: int, heads: int, context_dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn1 = SelfAttention(channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.attn2 = CrossAttention(channels, heads, context_dim)
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(b*f, h*w, c) -> same."""
        inputs = (x, context.image.flatten(0, 1), context.audio.flatten(0, 1))
        mask = context.mask_for(x.shape[1])
        if mask is not None:
            inputs = (*inputs, mask.expand(len(x), -1, -1))
        return in_pieces(self.frames, x.shape[1], *inputs, window=context.frames)

    def frames(self, x: Tensor, image: Tensor, audio: Tensor, mask: Tensor | None = None) -> Tensor:
        """Some frames (n, h*w, c), each with its context."""
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), image, audio, mask)
        return x + self.ff(self.norm3(x))


class TemporalLayer(nn.Module):
    """Self-attention of each pixel along time, cross-attention to the window's mean context, feed-forward."""

    def __init__(self, channels: int, heads: int, context_dim: int) -> None:
        super().__init__()
        self.norm_in = nn.LayerNorm(channels)
        self.ff_in = FeedForward(channels)
        self.norm1 = nn.LayerNorm(channels)
        self.attn1 = SelfAttention(channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.attn2 = CrossAttention(channels, heads, context_dim)
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels)

    def disable_audio(self) -> None:
        """Leave the audio out (table 3 of the paper) and freeze the parameters that only audio needs."""
        self.attn2.use_audio = False
        for part in (self.norm2, self.attn2.to_q, self.attn2.processor):
            part.requires_grad_(False)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(b, h*w, f, c) -> same. All pixels and frames of a window attend to the same keys."""
        projected = self.attn2.project(*context.per_window())

        def pixels(x: Tensor) -> Tensor:
            shape = x.shape
            x = x + self.ff_in(self.norm_in(x))
            x = x.flatten(0, 1)
            x = x + self.attn1(self.norm1(x))
            x = x.view(shape[0], -1, shape[-1])
            x = x + self.attn2.attend(self.norm2(x), *projected)
            x = x + self.ff(self.norm3(x))
            return x.view(shape)

        windows, _, frames, _ = x.shape
        return in_pieces(pixels, windows * frames, x, dim=1)


class TimeMixer(nn.Module):
    """Learned blend of the spatial and the temporal path, alpha = sigmoid(mix_factor) for the spatial."""

    def __init__(self) -> None:
        super().__init__()
        self.mix_factor = nn.Parameter(torch.zeros(1))

    @property
    def temporal_share(self) -> Tensor:
        return torch.sigmoid(-self.mix_factor)

    def forward(self, spatial: Tensor, temporal: Tensor) -> Tensor:
        return torch.lerp(spatial, temporal, self.temporal_share.to(spatial.dtype))


class SpatioTemporalTransformer(nn.Module):
    """Pairs of a spatial and a temporal layer over feature maps (b*f, c, h, w)."""

    def __init__(self, channels: int, heads: int, context_dim: int, layers: int, norm_groups: int) -> None:
        super().__init__()
        self.norm = GroupNorm(norm_groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList(
            SpatialLayer(channels, heads, context_dim) for _ in range(layers)
        )
        self.temporal_transformer_blocks = nn.ModuleList(
            TemporalLayer(channels, heads, context_dim) for _ in range(layers)
        )
        self.time_pos_embed = TimestepEmbedding(channels, 4 * channels, channels)
        self.time_mixer = TimeMixer()
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, features: Tensor, context: Context) -> Tensor:
        height, width = features.shape[-2:]
        weight = self.time_pos_embed.linear_1.weight
        frames = torch.arange(context.frames, device=weight.device)  # from 0 in every window
        positions = self.time_pos_embed(sinusoidal_embedding(frames, weight.shape[1]).to(weight.dtype))
        x = self.proj_in(self.norm(features).permute(0, 2, 3, 1).flatten(1, 2))
        for spatial, temporal in zip(self.transformer_blocks, self.temporal_transformer_blocks, strict=True):
            x = spatial(x, context)
            by_frame = x.unflatten(0, (-1, context.frames))
            by_pixel = (by_frame + positions[:, None]).transpose(1, 2).contiguous()
            x = self.time_mixer(by_frame, temporal(by_pixel, context).transpose(1, 2)).flatten(0, 1)
        x = self.proj_out(x).unflatten(1, (height, width)).permute(0, 3, 1, 2)
        return features + x
