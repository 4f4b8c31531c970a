"""One network on disk: config.json and a safetensors file, read strictly and written back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from sonimate.checkpoints.archive import SafetensorsFile
from sonimate.checkpoints.manifest import check_shapes, load_strict, shapes_of
from sonimate.checkpoints.writer import cast, check_tensor, read_checksums, write_tensors
from sonimate.errors import InvalidCheckpoint, SonimateError

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def load_network(
    folder: Path, network: type[nn.Module], config: Callable[..., Any], dtype: torch.dtype = torch.float32
) -> Any:
    """Our own `network` of a folder, in `dtype`. Raises InvalidCheckpoint, naming file and tensors."""
    values = read_config(folder)
    with built_on_meta(network.__name__, str(folder)):
        module = network(config(**values))
    fill(module, folder / WEIGHTS, dtype)
    return module


@contextmanager
def built_on_meta(class_name: str, source: str) -> Iterator[None]:
    """A block that builds a `class_name` from the config.json of `source`, without memory for its tensors.

    Raises InvalidCheckpoint, naming `source`, for whatever the block raises.
    """
    try:
        with torch.device("meta"):
            yield
    except SonimateError:
        raise
    except Exception as error:  # libraries refuse settings with errors of their own, of all kinds
        reason = " ".join(str(error).split())
        raise InvalidCheckpoint(
            f"The config.json of {source} does not describe a {class_name} ({reason}). Copy it again."
        ) from error


def save_network(module: nn.Module, folder: Path, dtype: torch.dtype = torch.float16) -> None:
    """Write config.json and model.safetensors of one of our own networks."""
    config: Any = module.config
    values = {"_class_name": type(module).__name__, **asdict(config)}
    write_network(module, folder, json.dumps(values, indent=2) + "\n", WEIGHTS, dtype)


def write_network(module: nn.Module, folder: Path, config: str, weights: str, dtype: torch.dtype) -> None:
    """Write any network: its config.json as given, and its tensors into the file `weights`.

    Raises InvalidCheckpoint, naming the tensor that `dtype` cannot hold.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = module.state_dict()
    tensors = ((name, cast(tensor, dtype, f"{name} of {folder.name}")) for name, tensor in state.items())
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
        InvalidCheckpoint: names or shapes differ, which is told before a value is read, or checksums; the
            message names the tensors.
    """
    check_shapes(SafetensorsFile(path).shapes, shapes_of(module.state_dict()), str(path))
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
