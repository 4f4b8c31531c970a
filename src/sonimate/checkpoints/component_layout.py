"""A model folder's parts and what they hold, read from its small files and headers alone. Loads no torch."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from sonimate.checkpoints.model_folder import BUNDLED, INDEX
from sonimate.errors import FileMissing, InvalidCheckpoint

PIPELINE = "SonicPipeline"
Class = tuple[str, str]
"""Library and name, as model_index.json states them."""


@dataclass(frozen=True)
class ComponentInfo:
    """parameters: numbers in all tensors. dtypes: in safetensors' terms, such as F16. size_bytes: on disk."""

    name: str
    library: str
    class_name: str
    parameters: int
    dtypes: tuple[str, ...]
    size_bytes: int


def weights_path(folder: Path, library: str) -> Path:
    """Where a library's from_pretrained looks for the tensors of the component in `folder`."""
    return folder / ("diffusion_pytorch_model.safetensors" if library == "diffusers" else "model.safetensors")


def read_index(folder: Path) -> dict[str, Class]:
    """Components of a model folder. Raises InvalidCheckpoint."""
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        pipeline = index.get("_class_name", PIPELINE)
        components = [item for item in index.items() if not item[0].startswith("_")]
        classes = {name: (str(library), str(class_name)) for name, (library, class_name) in components}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InvalidCheckpoint(f"{path} cannot be read ({error}). Copy the model again.") from error
    if pipeline != PIPELINE:
        raise InvalidCheckpoint(f"{path} describes a {pipeline}, not a {PIPELINE}. Give a model of sonimate.")
    return classes


def describe(folder: Path) -> list[ComponentInfo]:
    """What a model folder holds. Raises InvalidCheckpoint, naming the file that cannot be read."""
    return [_describe(folder / name, *kind) for name, kind in read_index(folder).items()]


def find_models(folders: list[Path]) -> list[Path]:
    """Bundled models, then those that are, or lie directly in, `folders`. Raises FileMissing."""
    for folder in folders:
        if not folder.is_dir():
            raise FileMissing(f"{folder} is not a folder. Check the spelling of the path.")
    return [
        path.parent
        for folder in (BUNDLED, *folders)
        for path in (folder / INDEX, *sorted(folder.glob(f"*/{INDEX}")))
        if path.is_file()
    ]


def _describe(folder: Path, library: str, class_name: str) -> ComponentInfo:
    path = weights_path(folder, library)
    try:
        with safe_open(path, framework="np") as file:
            slices = [file.get_slice(name) for name in file.keys()]  # noqa: SIM118
            parameters = sum(math.prod(part.get_shape()) for part in slices)
            dtypes = tuple(sorted({part.get_dtype() for part in slices}))
        size_bytes = sum(file.stat().st_size for file in folder.iterdir())
    except (OSError, SafetensorError) as error:
        raise InvalidCheckpoint(f"{path} cannot be read ({error}). Copy the model again.") from error
    return ComponentInfo(folder.name, library, class_name, parameters, dtypes, size_bytes)
