"""A protocol: how videos are looked at, and which clips of a dataset are measured. One YAML file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

from sonimate.errors import OptionOutOfRange, extra_needed
from sonimate.evaluate.viewing import View
from sonimate.media.files import require_file

PROTOCOLS = Path(__file__).parent / "protocols"
CROPS = ("none", "centre", "face")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """name: of the file. sha256: of its content. clips: how many are drawn, None for all; seed: of the
    draw."""

    name: str
    sha256: str
    view: View
    clips: int | None = None
    seed: int = 0

    def draw(self, names: Sequence[str]) -> list[str]:
        """The clips that are measured: those with the smallest SHA-256 of "SEED:NAME", in order of names.
        Anyone with the same files draws the same clips, and a clip more or less changes one at most."""

        def digest(name: str) -> str:
            return hashlib.sha256(f"{self.seed}:{name}".encode()).hexdigest()

        return sorted(sorted(names, key=digest)[: self.clips])


def read_protocol(named: str) -> Protocol:
    """A protocol of the package by its name, or a YAML file. Raises FileMissing, OptionOutOfRange,
    ExtraMissing."""
    with extra_needed("eval"):
        import yaml
    inside = PROTOCOLS / f"{named}.yaml"
    path = inside if inside.exists() else require_file(named)
    content = path.read_bytes()
    try:
        loaded = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise OptionOutOfRange(f"{path} is no YAML ({error}).") from error
    settings = cast(dict[str, Any], loaded) if isinstance(loaded, dict) else {"": loaded}
    known = {"clips": int, "seed": int, "fps": float, "crop": str, "size_px": int, "seconds": float}
    for key, value in settings.items():
        right = key in known and not isinstance(value, bool) and isinstance(value, known[key] | int)
        if (
            not right
            or (key == "crop" and value not in CROPS)
            or (key not in ("crop", "seed") and float(value) <= 0)
        ):
            raise OptionOutOfRange(
                f"{path}: {key}: {value!r} is no setting of a protocol. It takes {', '.join(known)}; numbers "
                f"above 0, and crop {', '.join(CROPS)}."
            )
    view = {field.name: settings[field.name] for field in fields(View) if field.name in settings}
    drawn = {key: settings[key] for key in ("clips", "seed") if key in settings}
    return Protocol(name=path.stem, sha256=hashlib.sha256(content).hexdigest(), view=View(**view), **drawn)
