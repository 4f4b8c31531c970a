"""Compare a checkpoint's tensor names and shapes with the architecture's; load only exact matches."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from sonimate.errors import InvalidCheckpoint

Shapes = dict[str, tuple[int, ...]]
"""Tensor name -> shape, in the file's order."""

_NAMES_SHOWN = 5


def read_manifest(path: Path) -> Shapes:
    """Read a gzipped JSON manifest, {name: [shape, dtype]}."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return {name: tuple(shape) for name, (shape, _) in json.load(file).items()}


def shapes_of(tensors: Mapping[str, Tensor]) -> Shapes:
    """The manifest of a state dict (which may live on the meta device)."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def check_shapes(
    found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]], source: str
) -> None:
    """Raise InvalidCheckpoint unless both sides have the same names and shapes, in any order.

    The message names the tensors on both sides that have no match. `source` names the checkpoint in it.
    """
    reshaped = [
        f"{name} (file {found[name]}, model {expected[name]})"
        for name in expected
        if name in found and found[name] != expected[name]
    ]
    differences = [
        _summary("missing from the file", [name for name in expected if name not in found]),
        _summary("unknown to the model", [name for name in found if name not in expected]),
        _summary("of another shape", reshaped),
    ]
    if any(differences):
        raise InvalidCheckpoint(
            f"{source} does not fit the model: {'; '.join(filter(None, differences))}. "
            f"The file has {len(found)} tensors, the model {len(expected)}. "
            "Check that this is the file for this component, and that its download is complete."
        )


def load_strict(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Make `tensors` those of `module`, all or none: raises InvalidCheckpoint as `check_shapes` does."""
    check_shapes(shapes_of(tensors), shapes_of(module.state_dict()), source)
    module.load_state_dict(tensors, strict=True, assign=True)


def _summary(what: str, names: list[str]) -> str:
    if not names:
        return ""
    rest = len(names) - _NAMES_SHOWN
    return f"{len(names)} {what}: {', '.join(names[:_NAMES_SHOWN])}{f' and {rest} more' if rest > 0 else ''}"
