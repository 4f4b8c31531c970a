"""Frames of real clips with an open mouth; the frame with the most closed one is their portrait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from sonimate.clock import VIDEO_FPS
from sonimate.errors import SonimateError
from sonimate.face.mesh import FaceMesh
from sonimate.face.pose import fit_pose, to_canonical
from sonimate.face.regions import LOWER_LIP_INNER, UPPER_LIP_INNER, face_height
from sonimate.footage.clip_reading import tracked
from sonimate.footage.sources import find_footage, read_speakers
from sonimate.media.video import read_frames

QUANTILES = (0.6, 0.75, 0.85, 0.95, 1.0)
OPEN_CM = 0.35


@dataclass(frozen=True)
class MouthFrames:
    """A portrait, and frames of the same clip with an open mouth: pixels (h, w, 3) and landmarks (478, 3) px,
    which count from the middle of a pixel."""

    clip: str
    speaker: str
    portrait: tuple[np.ndarray, np.ndarray]
    opened: list[tuple[np.ndarray, np.ndarray]]


def clips_like(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The videos of a folder whose names match any of the patterns."""
    videos = find_footage(folder)
    return [video for video in videos if any(fnmatch(_name(folder, video), pattern) for pattern in patterns)]


def mouth_frames(
    folder: Path,
    videos: Sequence[Path],
    smallest_face_px: float,
    quantiles: Sequence[float] = QUANTILES,
    kept: Path | None = None,
) -> Iterator[MouthFrames]:
    """Portrait and open mouths of each video of a folder whose face is large enough and whose mouth opens.

    quantiles: which frames, by how wide the mouth is open. kept: as in `tracked`.
    """
    mesh = FaceMesh(num_threads=1)
    speakers = read_speakers(folder)
    for video in videos:
        name = _name(folder, video)
        try:
            landmarks = tracked(video, mesh, kept).astype(np.float64) - [0.5, 0.5, 0]
        except SonimateError as error:
            print(f"left out {name}: {error}")
            continue
        vertices = to_canonical(landmarks, fit_pose(landmarks))
        gap = vertices[:, UPPER_LIP_INNER, 1] - vertices[:, LOWER_LIP_INNER, 1]
        ordered = np.argsort(gap)
        picks = sorted({int(ordered[int(quantile * (len(gap) - 1))]) for quantile in quantiles})
        picks = [frame for frame in picks if gap[frame] > OPEN_CM]
        if not picks or face_height(landmarks).mean() < smallest_face_px:
            continue
        wanted = {int(ordered[0]), *picks}
        frames = {i: frame for i, frame in enumerate(read_frames(video, fps=VIDEO_FPS)) if i in wanted}
        yield MouthFrames(
            name,
            speakers.get(name, name),
            (frames[int(ordered[0])], landmarks[ordered[0]]),
            [(frames[i], landmarks[i]) for i in picks if i in frames],
        )


def _name(folder: Path, video: Path) -> str:
    return video.relative_to(folder).as_posix()
