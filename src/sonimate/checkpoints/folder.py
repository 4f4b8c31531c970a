"""Where models are. Loads no torch, so that a wrong name is refused at once."""

from __future__ import annotations

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
