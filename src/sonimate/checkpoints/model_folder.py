"""Where models are. Loads no torch, so that a wrong name is refused at once."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from sonimate.errors import UnknownModel

BUNDLED = Path(str(files("sonimate"))) / "bundled"
INDEX = "model_index.json"


def model_folder(model: str | Path) -> Path:
    """The folder of a bundled model's name, or the folder itself. Raises UnknownModel."""
    for folder in (BUNDLED / str(model), Path(model)):
        if (folder / INDEX).is_file():
            return folder
    names = ", ".join(sorted(path.parent.name for path in BUNDLED.glob(f"*/{INDEX}")))
    raise UnknownModel(f"There is no model {str(model)!r}. Give a folder with {INDEX}, or one of: {names}.")


def is_full(folder: Path) -> bool:
    """Whether a model's folder holds the full size, which has an autoencoder. Raises UnknownModel."""
    try:
        return "vae" in {**json.loads((folder / INDEX).read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError) as error:
        raise UnknownModel(f"{folder / INDEX} is damaged ({error}); copy the model again.") from error
