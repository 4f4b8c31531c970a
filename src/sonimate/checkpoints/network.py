"""One network on disk: config.json and a safetensors file, read strictly and written back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from sonimate.checkpoints.manifest import load_strict, shapes_of
from sonimate.checkpoints.writer import check_tensor, read_checksums, write_tensors
from sonimate.errors import InvalidCheckpoint

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def load_network(
    folder: Path, network: type[nn.Module], config: Callable[..., Any], dtype: torch.dtype = torch.float32
) -> Any:
    """Our own `network` of a folder, in `dtype`. Raises InvalidCheckpoint, naming file and tensors."""
    try:
        shape = config(**read_config(folder))
    except TypeError as error:
        raise InvalidCheckpoint(f"{folder / CONFIG} does not fit ({error}); copy the model again.") from error
    with torch.device("meta"):
        module = network(shape)
    fill(module, folder / WEIGHTS, dtype)
    return module


def save_network(module: nn.Module, folder: Path, dtype: torch.dtype = torch.float16) -> None:
    """Write config.json and model.safetensors of one of our own networks."""
    config: Any = module.config
    values = {"_class_name": type(module).__name__, **asdict(config)}
    write_network(module, folder, json.dumps(values, indent=2) + "\n", WEIGHTS, dtype)


def write_network(module: nn.Module, folder: Path, config: str, weights: str, dtype: torch.dtype) -> None:
    """Write any network: its config.json as given, and its tensors into the file `weights`."""
    folder.mkdir(parents=True, exist_ok=True)
    state = module.state_dict()
    tensors = ((name, tensor.detach().to("cpu", dtype)) for name, tensor in state.items())
    write_tensors(folder / weights, shapes_of(state), dtype, tensors)
    (folder / CONFIG).write_text(config)


def read_config(folder: Path) -> dict[str, Any]:
    """Settings of config.json, without those that only describe it. Raises InvalidCheckpoint."""
    try:
        values = json.loads((folder / CONFIG).read_text())
        return {name: value for name, value in values.items() if not name.startswith("_")}
    except (OSError, ValueError, AttributeError) as error:
        raise InvalidCheckpoint(f"{folder} cannot be read ({error}); copy the model again.") from error


def fill(module: nn.Module, path: Path, dtype: torch.dtype) -> None:
    """Give a network that was built on the meta device the tensors of `path` in `dtype`.

    Raises:
        InvalidCheckpoint: names, shapes or checksums differ; the message names the tensors.
    """
    load_strict(module, read_tensors(path, dtype), str(path))


def read_tensors(path: Path, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """Tensors of a safetensors file, each compared with its checksum if it has one, and cast to `dtype`.

    Raises InvalidCheckpoint, naming the tensor.
    """
    checksums = read_checksums(path)
    tensors = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                tensor = file.get_tensor(name)
                check_tensor(path, name, tensor, checksums)
                tensors[name] = tensor.to(dtype)
    except (OSError, SafetensorError) as error:
        raise InvalidCheckpoint(f"{path} cannot be read ({error}); copy the model again.") from error
    return tensors
