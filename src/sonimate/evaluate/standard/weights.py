"""Published tensors into networks: nothing but tensors is unpickled, and every name and shape must match."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sonimate.errors import InvalidCheckpoint

Network = TypeVar("Network", bound=nn.Module)


def published_tensors(path: Path) -> dict[str, Any]:
    """What torch.save wrote. Raises InvalidCheckpoint where the file is damaged or holds more than
    tensors."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InvalidCheckpoint(f"{path} cannot be read ({error}). Download it again.") from error


def filled(network: Network, tensors: Mapping[str, Tensor], path: Path) -> Network:
    """The network with these tensors, ready for use. Raises InvalidCheckpoint where names or shapes
    differ."""
    try:
        network.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        raise InvalidCheckpoint(
            f"{path} does not fit {type(network).__name__} ({error}). Download it again."
        ) from error
    return network.eval().requires_grad_(False)
