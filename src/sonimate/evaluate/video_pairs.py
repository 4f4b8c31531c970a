"""Which generated video belongs to which real clip, by the names of the files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sonimate.errors import FileMissing
from sonimate.media.files import require_folder

VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v"}


@dataclass(frozen=True)
class Paired:
    """generated: by the name of the real clip. unpaired: videos that fit no real clip, or several, or the
    same as another one."""

    generated: dict[str, Path]
    unpaired: tuple[str, ...]


def find_videos(folder: Path) -> dict[str, Path]:
    """The videos below a folder by their relative path without suffix, in order. Raises FileMissing."""
    files = sorted(
        path for path in require_folder(folder).rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES
    )
    if not files:
        raise FileMissing(f"{folder} holds no video. Give a folder of mp4, mov, mkv, webm or avi files.")
    return {path.relative_to(folder).with_suffix("").as_posix(): path.absolute() for path in files}


def pair_videos(generated: dict[str, Path], real: Sequence[str]) -> Paired:
    """Pair by equal names; else by the longest real name that stands in the generated one between signs that
    are no letters or digits, as in "portrait##clip_07_512.mp4", small and capital letters alike."""
    taken: dict[str, list[str]] = defaultdict(list)
    unpaired: list[str] = []
    for name in generated:
        fitting = [name] if name in real else _fitting(name, real)
        if len(fitting) == 1:
            taken[fitting[0]].append(name)
        else:
            unpaired.append(name)
    unpaired += [name for names in taken.values() if len(names) > 1 for name in names]
    single = {clip: generated[names[0]] for clip, names in sorted(taken.items()) if len(names) == 1}
    return Paired(single, tuple(sorted(unpaired)))


def _fitting(name: str, real: Sequence[str]) -> list[str]:
    """The longest real names within this one."""
    found = [
        clip for clip in real if re.search(rf"(?<![^\W_]){re.escape(_last(clip))}(?![^\W_])", name, re.I)
    ]
    longest = max((len(_last(clip)) for clip in found), default=0)
    return [clip for clip in found if len(_last(clip)) == longest]


def _last(clip: str) -> str:
    return clip.rpartition("/")[2]
