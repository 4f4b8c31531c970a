"""One folder, one corpus: what utterances lie in it and what they were made with."""

from __future__ import annotations

import json
from pathlib import Path

from sonimate.errors import FileMissing, OtherCorpus
from sonimate.media.files import replacing

RECORD = "corpus.json"
FIRST_SEED = 0
"""Of folders that hold no record: earlier versions wrote none."""


def utterance_path(folder: Path, index: int) -> Path:
    return folder / f"{index:04d}.npz"


def find_utterances(folder: Path) -> list[Path]:
    """The utterances of a folder, in order. Raises FileMissing when there is none."""
    found = _finished(folder)
    if not found:
        raise FileMissing(
            f"{folder} holds no utterances. Make them with python -m sonimate.speech, or leave --speech out."
        )
    return found


def claim(folder: Path, *, seed: int, count: int) -> None:
    """Note with what seed a folder's utterances are made. Those of another seed, and those beyond `count`,
    would make a corpus that no single run makes: OtherCorpus. Fewer are gone on with."""
    there = _finished(folder)
    record = folder / RECORD
    made_with = json.loads(record.read_text())["seed"] if record.exists() else FIRST_SEED
    if there and made_with != seed:
        raise OtherCorpus(
            f"{folder} holds utterances made with --seed {made_with}. Choose another folder, or that seed."
        )
    if any(int(path.stem) >= count for path in there):
        raise OtherCorpus(
            f"{folder} holds {len(there)} utterances, more than the {count} asked for. Choose another "
            "folder, or more --minutes."
        )
    with replacing(record) as partial:
        partial.write_text(json.dumps({"seed": seed}) + "\n")


def _finished(folder: Path) -> list[Path]:
    """But for unfinished ones, NNNN.part.npz."""
    return sorted(folder.glob("[0-9]*[0-9].npz"))
