"""The files of footage, their speakers, and their frames."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from av.error import FFmpegError

from sonimate.clock import VIDEO_FPS
from sonimate.errors import FileMissing, InvalidManifest, LibraryFailed
from sonimate.media.files import require_folder
from sonimate.media.video import read_frames

SUFFIXES = {".mp4", ".mpg", ".mov", ".mkv", ".webm", ".avi", ".m4v"}
MANIFEST = "MANIFEST.tsv"
Item = TypeVar("Item")


def find_footage(folder: Path, *, without: Path | None = None) -> list[Path]:
    """All videos in a folder and its subfolders, by name, except those in the folder `without`.

    Raises FileMissing when there is none, and the errors of `require_folder`.
    """
    require_folder(folder)
    own = without and without.resolve()
    root = folder.resolve()
    videos = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not (own and (root / path.relative_to(folder)).is_relative_to(own))
    )
    if not videos:
        raise FileMissing(f"No videos in {folder}. Give a folder with {', '.join(sorted(SUFFIXES))} files.")
    return videos


def read_speakers(folder: Path) -> dict[str, str]:
    """File name -> speaker, from `MANIFEST.tsv` (columns `file` and `speaker` or `speaker_cluster`) when the
    folder has one. All clips of a speaker are held out together. Raises InvalidManifest."""
    rows = _manifest_rows(folder)
    return {row["file"]: row.get("speaker") or row.get("speaker_cluster") or row["file"] for row in rows}


def read_collections(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """File name -> where the file comes from: footage of one collection was recorded and cut alike, so its
    sounds are late alike.

    It is the column `source` or `source_repo` of `MANIFEST.tsv`, else the top folder of the file inside
    `folder`; a file without either is a collection of its own. Raises InvalidManifest.
    """
    known = {row["file"]: row.get("source") or row.get("source_repo") for row in _manifest_rows(folder)}
    return {name: known.get(name) or name.partition("/")[0] for name in names}


def read_terms(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """File name -> the terms of its use, from the column `terms` or `licence_terms` of `MANIFEST.tsv`; empty
    where they are not stated. Raises InvalidManifest."""
    known = {row["file"]: row.get("terms") or row.get("licence_terms") for row in _manifest_rows(folder)}
    return {name: known.get(name) or "" for name in names}


def _manifest_rows(folder: Path) -> list[dict[str, str]]:
    manifest = folder / MANIFEST
    if not manifest.exists():
        return []
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as lines:
            table = csv.DictReader(lines, delimiter="\t")
            rows = list(table)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidManifest(
            f"{manifest} cannot be read ({error}). Save it as UTF-8 text with tabs between columns."
        ) from error
    if rows and "file" not in (table.fieldnames or ()):
        raise InvalidManifest(
            f"{manifest} has no column `file`. Its first line must name the columns, `file` and `speaker`, "
            "with a tab between them."
        )
    return rows


@contextmanager
def reading() -> Iterator[None]:
    """Turn the exceptions of libraries into LibraryFailed, so that one file does not stop the others.

    For the reading of footage only: elsewhere the same exceptions are defects of this project.
    """
    try:
        yield
    except (FFmpegError, OSError, ValueError, ArithmeticError) as error:
        raise LibraryFailed(error) from error


def safely(items: Iterable[Item]) -> Iterator[Item]:
    """The items, which are read from footage one by one. Raises LibraryFailed and the errors of `items`."""
    with reading():
        yield from items


class ForwardReader:
    """Reads stretches of frames; those of one file that are asked for in order are decoded in one pass."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._frames: Iterator[np.ndarray] = iter(())
        self._next = 0

    def read(self, path: Path, start: int, count: int) -> Iterator[np.ndarray]:
        """`count` frames (uint8 RGB) at VIDEO_FPS from frame `start`, fewer where the file ends.

        Raises UnreadableVideo, FileMissing and LibraryFailed while the frames are read.
        """
        if path != self._path or start < self._next:
            self._path, self._frames, self._next = path, safely(read_frames(path, fps=VIDEO_FPS)), 0
        for frame in self._frames:
            self._next += 1
            if self._next > start:
                yield frame
            if self._next >= start + count:
                return
