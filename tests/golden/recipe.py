"""The weight recipe of README.md: weights that are not stored but drawn from their names."""

import gzip
import json
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

MODULES = Path(__file__).parent / "modules"


def recipe(name: str) -> dict:
    """The stored keys, shapes and kinds of the network `name`, and its configuration if it has one."""
    return json.loads(gzip.decompress((MODULES / f"{name}_recipe.json.gz").read_bytes()))


def recipe_weights(name: str) -> dict[str, Tensor]:
    """All tensors of the network `name`, float32."""
    return {key: _weight(name, key, t["shape"], t["kind"]) for key, t in recipe(name)["tensors"].items()}


def _weight(tag: str, name: str, shape: list[int], kind: str) -> Tensor:
    z = np.random.RandomState(zlib.crc32(f"{tag}/{name}".encode())).standard_normal(size=shape)
    value = {
        "mat": lambda: z / np.sqrt(np.prod(shape[1:])),
        "norm": lambda: 1 + 0.2 * z,
        "bias": lambda: 0.1 * z,
        "mix": lambda: 0.7 * z,
        "prelu": lambda: 0.25 + 0.1 * z,
    }[kind]()
    return torch.from_numpy(value.astype(np.float16)).float()
