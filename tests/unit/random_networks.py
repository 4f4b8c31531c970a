"""Networks with random weights whose features vary with the input, saved as their published files are."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from sonimate.evaluate.standard.standard_files import StandardFile

Network = TypeVar("Network", bound=nn.Module)


def randomised(network: Network, seed: int = 0) -> Network:
    """Weights that keep the size of activations, and statistics of norms unlike those of a new network."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
        elif tensor.ndim > 1:
            bound = (6 / tensor[0].numel()) ** 0.5
            tensor.copy_((2 * torch.rand(tensor.shape, generator=generator) - 1) * bound)
        elif tensor.is_floating_point():
            tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
    return network.eval()


def published(file: StandardFile, folder: Path, content: Any) -> StandardFile:
    """The entry of `file` as if `content`, saved in the folder under its name, were what was published."""
    path = folder / file.names[0]
    torch.save(content, path)
    return replace(file, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
