"""One folder, one corpus: what utterances lie in it and what they were made with."""

from __future__ import annotations

from pathlib import Path

from sonimate.errors import FileMissing, FolderOfAnotherRun
from sonimate.media.folders import FolderRecord

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
    """Record the seed of a folder's utterances. A run of the same seed may continue, and may add utterances.

    Raises FolderOfAnotherRun if the folder holds utterances of another seed, or more than `count`.
    """
    there = _finished(folder)
    record = FolderRecord(folder / RECORD)
    if there:
        if record.read() is None:
            record.write({"seed": FIRST_SEED})
        record.check({"seed": seed}, advice="Choose another folder, or give --seed as it was.")
    if any(int(path.stem) >= count for path in there):
        raise FolderOfAnotherRun(
            f"{folder} holds {len(there)} utterances, more than the {count} asked for. Choose another "
            "folder, or more --minutes."
        )
    record.write({"seed": seed})


def _finished(folder: Path) -> list[Path]:
    """But for unfinished ones, NNNN.part.npz."""
    return sorted(folder.glob("[0-9]*[0-9].npz"))
