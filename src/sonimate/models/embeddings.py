"""Sinusoidal embeddings of scalars, and the two-layer network that follows them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAX_PERIOD = 10_000
MIN_ROWS = 8
"""MKL uses other kernels for fewer than five rows, and they round differently."""


def sinusoidal_embedding(values: Tensor, dim: int) -> Tensor:
    """Scalars (n,) -> (n, dim) float32: cosines first, then sines, frequencies from 1 toward 1/10000."""
    half = dim // 2
    exponents = torch.arange(half, dtype=torch.float32, device=values.device) / half
    angles = values.float()[:, None] * torch.exp(-math.log(MAX_PERIOD) * exponents)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def with_min_rows(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`layer` of x (n, ..., c). Fewer than MIN_ROWS rows are padded with zeros before and cut off after.

    So a window's prediction is equal to the bit alone and in a batch; guidance would amplify a difference.
    """
    missing = max(MIN_ROWS - len(x), 0)
    return layer(F.pad(x, (0, 0) * (x.ndim - 1) + (0, missing)))[: len(x)]


class TimestepEmbedding(nn.Module):
    """Linear, SiLU, linear: (n, in_dim) -> (n, out_dim)."""

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(in_dim, hidden_dim)
        self.linear_2 = nn.Linear(hidden_dim, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        return with_min_rows(lambda rows: self.linear_2(F.silu(self.linear_1(rows))), x)
