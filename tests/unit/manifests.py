"""Names and shapes of the released files' tensors, from tests/golden/manifests."""

import gzip
import json
from pathlib import Path

from sonimate.checkpoints.stream import Shapes


def read_manifest(path: Path) -> Shapes:
    """Read gzipped JSON, {name: [shape, dtype]}."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return {name: tuple(shape) for name, (shape, _) in json.load(file).items()}
