"""The recipes that the package holds, and accelerate's settings for several processes."""

from __future__ import annotations

from pathlib import Path

from sonimate.errors import FileMissing

FOLDER = Path(__file__).parent


def find_recipe(name: str | Path) -> Path:
    """A YAML file by its path, or one of the package by its name, such as "compact" or "fsdp.yaml".

    Raises FileMissing, listing the names of the package.
    """
    path = Path(name)
    if path.is_file():
        return path
    files = sorted(FOLDER.glob("*.yaml")) + sorted(FOLDER.glob("accelerate/*.yaml"))
    packaged = {file.name: file for file in files}
    found = packaged.get(f"{str(name).removesuffix('.yaml')}.yaml")
    if found is None:
        raise FileMissing(
            f"{name} does not exist. Give the path of a YAML file, or one of {', '.join(packaged)}, which "
            "the package holds."
        )
    return found
