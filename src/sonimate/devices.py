"""Where networks compute, in which floating-point type, when they are on the device, and torch.compile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import get_args

import torch
from torch import nn

from sonimate.configs import Precision
from sonimate.errors import CompilationFailed, OptionOutOfRange


class Stage:
    """Networks that work together: always on the device, or with `offload` only inside the `with` block."""

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
    """The device of that name. "auto" is the first of CUDA, Apple's MPS and the CPU that this machine has.

    Raises OptionOutOfRange if the machine has no such device.
    """
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
    """The networks' floating-point type. "auto" is float16 for the full model on a GPU, else float32.

    Raises OptionOutOfRange.
    """
    if name == "auto":
        return torch.float16 if full and device.type != "cpu" else torch.float32
    if name not in get_args(Precision):
        raise OptionOutOfRange(f"dtype {name!r}; choose one of {', '.join(get_args(Precision))}.")
    return getattr(torch, name)


def compile_network(network: nn.Module) -> None:
    """Compile in place by torch.compile, for static shapes; each shape compiles at its first call, which
    belongs inside `wrap_compile_errors`."""
    network.compile(dynamic=False)


@contextmanager
def wrap_compile_errors() -> Iterator[None]:
    """Within the block, errors of torch.compile are raised as CompilationFailed; all others pass."""
    try:
        yield
    except RuntimeError as error:
        from torch._dynamo.exc import TorchDynamoException  # takes seconds, so only after an error

        if not isinstance(error, TorchDynamoException):
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CompilationFailed(
            f"torch.compile failed: {reason}. On a CPU it needs a C++ compiler such as g++, on an NVIDIA GPU "
            "Triton and a C compiler. Install them, or leave out --compile."
        ) from error
