"""Where networks compute and in which numbers, and when they are on the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
from torch import nn

from sonimate.configs import Precision
from sonimate.errors import OptionOutOfRange


class Stage:
    """Networks that work together: on the device at once, or, offloaded, only within the `with` block."""

    def __init__(self, networks: Sequence[nn.Module], device: torch.device, offload: bool):
        self._networks, self._device, self._offload = networks, device, offload
        self._users = 0
        for network in networks:
            network.eval().requires_grad_(False).to("cpu" if offload else device)

    def __enter__(self) -> None:
        self._users += 1
        for network in self._networks:
            network.to(self._device)

    def __exit__(self, *_: object) -> None:
        self._users -= 1
        if self._offload and self._users == 0:
            for network in self._networks:
                network.to("cpu")


def choose_device(name: str) -> torch.device:
    """For "auto" CUDA, else Apple's MPS, else the CPU. Raises OptionOutOfRange for one that is not there."""
    counts = {
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    if name == "auto":
        return torch.device(next(kind for kind, count in counts.items() if count))
    kind, colon, index = name.partition(":")
    number = int(index) if index.isdecimal() else 0
    if number >= counts.get(kind, 0) or bool(colon) != index.isdecimal():
        there = ", ".join(kind for kind, count in counts.items() if count)
        raise OptionOutOfRange(f"device {name!r} is not available; this machine has {there}.")
    return torch.device(name)


def choose_dtype(name: Precision, device: torch.device, *, full: bool) -> torch.dtype:
    """The floating-point type that computes; see `SonicPipeline.from_pretrained`. Raises OptionOutOfRange."""
    if name == "auto":
        return torch.float16 if full and device.type != "cpu" else torch.float32
    if name not in get_args(Precision):
        raise OptionOutOfRange(f"dtype {name!r}; choose one of {', '.join(get_args(Precision))}.")
    return getattr(torch, name)
