"""What a run is of: its folder says so, and refuses to go on as another one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sonimate.errors import OptionOutOfRange
from sonimate.media.files import write_errors
from sonimate.train.config import TrainConfig
from sonimate.train.record import newest_checkpoint

ABOUT = "run.json"
FREE = frozenset(
    {
        *("accumulation", "gradient_checkpointing", "checkpoint_every"),
        *("validate_every", "validation_clips", "sampling"),
    }
)
"""Settings that change no trained number: what a step holds in memory, what is kept, what is looked at."""
TAIL = 1 << 20


def about_run(config: TrainConfig, init: Path | None, data: Iterable[object]) -> dict[str, Any]:
    """Readable, as JSON. init: a model's folder. data: whatever tells each sample from others by its repr."""
    settings = {name: value for name, value in asdict(config).items() if name not in FREE}
    rows = sorted(map(repr, data))
    about = {
        "size": type(config).__name__,
        "settings": settings,
        "init": None if init is None else digest_of_weights(init),
        "data": f"{len(rows)} samples, {_digest(row.encode() for row in rows)}",
    }
    return json.loads(json.dumps(about))


def claim(out: Path, about: dict[str, Any]) -> None:
    """Make the folder that of this run. Raises OptionOutOfRange if it holds a checkpoint of another one."""
    path = out / ABOUT
    if newest_checkpoint(out) is None:
        out.mkdir(parents=True, exist_ok=True)
        with write_errors(path):
            path.write_text(json.dumps(about, indent=1) + "\n")
        return
    if not path.exists():
        raise OptionOutOfRange(
            f"{out} holds a run that does not say what it is of: {ABOUT} is missing. Choose "
            "another RUN folder."
        )
    wrong = differences(json.loads(path.read_text()), about)
    if wrong:
        raise OptionOutOfRange(
            f"{out} holds another run, which differs in {', '.join(wrong)}. Choose another RUN folder, or "
            f"repeat that run with its own settings, which {path} lists."
        )


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs, with both values where they are short."""
    told = []
    for name in {**old, **new}:
        one, other = old.get(name), new.get(name)
        if name == "settings":
            told += differences(one or {}, other or {})
        elif one != other:
            values = f" ({one!r} there, {other!r} here)"
            told.append(name + values if len(values) < 120 else name)
    return told


def digest_of_weights(model: Path) -> str:
    """Of the names, sizes and ends of a model's files of weights: cheap, and no two trainings agree in it."""

    def pieces() -> Iterable[bytes]:
        for path in sorted(model.rglob("*.safetensors")):
            with path.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(size - TAIL, 0))
                yield f"{path.relative_to(model)} {size}".encode()
                yield file.read()

    return _digest(pieces())


def _digest(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()[:16]
