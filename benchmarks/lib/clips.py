"""Folds: a model and the clips of speakers that it was not trained on."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from sonimate.errors import FileMissing, OptionOutOfRange

LANDMARKS = Path("out/landmarks")
"""Where tracked landmarks are kept by default: tracking takes most of the time of reading a clip."""


@dataclass(frozen=True)
class Fold:
    """A model and the names of the clips that it is tested on."""

    model: str
    clips: tuple[str, ...]


def read_folds(path: Path, speakers: dict[str, str]) -> list[Fold]:
    """Folds of a JSON file {"folds": [{"model": FOLDER, "clips": [...]}, ...]}, as `sonimate folds` writes
    it; without "clips", all clips of its "speakers".

    Model folders are relative to the working directory. speakers: clip name -> speaker.
    Raises FileMissing, and OptionOutOfRange when a fold is not of this form or a clip is in two of them.
    """
    if not path.is_file():
        raise FileMissing(
            f"There is no file {path}. Give a JSON file that names each fold's model and clips."
        )
    folds = []
    for entry in json.loads(path.read_text())["folds"]:
        if "model" not in entry or not {"clips", "speakers"} & set(entry):
            raise OptionOutOfRange(
                f'A fold of {path} needs "model" and "clips" or "speakers"; it has {sorted(entry)}.'
            )
        of_speakers = [name for name, speaker in speakers.items() if speaker in entry.get("speakers", ())]
        names = entry.get("clips", of_speakers)
        if not names:
            raise OptionOutOfRange(f"The fold of {entry['model']} in {path} holds no clip; name its clips.")
        folds.append(Fold(entry["model"], tuple(names)))
    names = [name for fold in folds for name in fold.clips]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OptionOutOfRange(f"{', '.join(twice)} are in two folds of {path}; a clip is held out once.")
    return folds


def add_landmarks(parser: argparse.ArgumentParser) -> None:
    """The option --landmarks."""
    parser.add_argument(
        "--landmarks",
        type=Path,
        default=LANDMARKS,
        help=f"folder where the landmarks of clips are kept for the next run; default {LANDMARKS}",
    )
