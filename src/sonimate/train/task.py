"""What the training loop asks of what it trains."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Named(Protocol):
    """Any batch: a dataclass of tensors and the samples' names."""

    @property
    def names(self) -> tuple[str, ...]: ...


class Task(Protocol):
    """Networks to train, their data, and how to judge and keep them.

    networks: a module whose forward takes a batch and returns the loss of each of its rows (b,).
    """

    @property
    def networks(self) -> nn.Module: ...

    def batch(self, step: int, rows: range) -> Named:
        """Some rows of the batch of a step: a pure function of the configured seed, the step and the rows."""
        ...

    def validate(self, networks: Any, step: int) -> dict[str, float]:
        """Numbers to log, of averaged networks that nothing else uses meanwhile."""
        ...

    def save(self, networks: Any, folder: Path) -> None:
        """Write what a pipeline loads."""
        ...


def on_device(batch: Any, device: torch.device) -> Any:
    """The batch with its tensors on a device."""
    moved = {}
    for spec in fields(batch):
        value = getattr(batch, spec.name)
        if isinstance(value, Tensor):
            moved[spec.name] = value.to(device)
        elif is_dataclass(value):
            moved[spec.name] = on_device(value, device)
    return replace(batch, **moved)
