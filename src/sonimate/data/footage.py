"""Where footage is, who speaks in it, and its frames read forward."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sonimate.data.sample import FPS
from sonimate.errors import FileMissing
from sonimate.media.video import read_frames

SUFFIXES = {".mp4", ".mpg", ".mov", ".mkv", ".webm", ".avi", ".m4v"}


def find_footage(folder: Path) -> list[Path]:
    """All videos in a folder and its subfolders, by name. Raises FileMissing when there is none."""
    videos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not videos:
        raise FileMissing(f"No videos in {folder}. Give a folder with {', '.join(sorted(SUFFIXES))} files.")
    return videos


def read_speakers(folder: Path) -> dict[str, str]:
    """File name -> speaker, from `MANIFEST.tsv` (columns `file` and `speaker` or `speaker_cluster`) when the
    folder has one. Speakers decide which clips may be held out together."""
    manifest = folder / "MANIFEST.tsv"
    if not manifest.exists():
        return {}
    with manifest.open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return {row["file"]: row.get("speaker") or row.get("speaker_cluster") or row["file"] for row in rows}


class ForwardReader:
    """Stretches of frames; those of one file that are asked for in order are decoded in one pass."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._frames: Iterator[np.ndarray] = iter(())
        self._next = 0

    def read(self, path: Path, start: int, count: int) -> Iterator[np.ndarray]:
        """`count` frames (uint8 RGB) at FPS from frame `start`, fewer where the file ends.

        Raises UnreadableVideo and FileMissing when advanced.
        """
        if path != self._path or start < self._next:
            self._path, self._frames, self._next = path, read_frames(path, fps=FPS), 0
        for frame in self._frames:
            self._next += 1
            if self._next > start:
                yield frame
            if self._next >= start + count:
                return
