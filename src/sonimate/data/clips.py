"""Footage -> clips whose face has been tracked and whose sound has been read, on one clock of 25 fps."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sonimate.errors import FileMissing, SonimateError, UnusableClip
from sonimate.face.mesh import FaceMesh
from sonimate.media.audio import MODEL_RATE_HZ, read_audio
from sonimate.media.video import read_frames
from sonimate.types import Waveform

FPS = 25.0
THUMBNAIL_PX = 64
SUFFIXES = {".mp4", ".mpg", ".mov", ".mkv", ".webm", ".avi", ".m4v"}


@dataclass(frozen=True)
class Clip:
    """One tracked clip at 25 fps.

    landmarks: float32 (n, 478, 3) px, NaN in frames without a face. changes: (n,) mean absolute difference to
    the frame before, in grey levels of a thumbnail. waveform: its sound, 16 kHz, starting with frame 0.
    """

    name: str
    speaker: str
    landmarks: np.ndarray
    changes: np.ndarray
    waveform: Waveform

    @property
    def seconds(self) -> float:
        return len(self.landmarks) / FPS

    def save(self, path: Path) -> None:
        """Write the tracked clip, complete or not at all."""
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, landmarks=self.landmarks, changes=self.changes, samples=self.waveform.samples)
        partial.replace(path)

    @classmethod
    def load(cls, path: Path, name: str, speaker: str) -> Clip:
        """Read what `save` wrote."""
        with np.load(path) as stored:
            waveform = Waveform(stored["samples"], MODEL_RATE_HZ)
            return cls(name, speaker, stored["landmarks"], stored["changes"], waveform)


def read_speakers(folder: Path) -> dict[str, str]:
    """File name -> speaker, from `MANIFEST.tsv` (columns `file` and `speaker` or `speaker_cluster`) when the
    folder has one. Speakers decide which clips may be held out together."""
    manifest = folder / "MANIFEST.tsv"
    if not manifest.exists():
        return {}
    with manifest.open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return {row["file"]: row.get("speaker") or row.get("speaker_cluster") or row["file"] for row in rows}


def track_folder(folder: Path, cache: Path, rejects: dict[str, str]) -> Iterator[Clip]:
    """Track every video of a folder, in name order; unreadable ones are named in `rejects`. Tracks are kept
    in the folder `cache` by file name.

    Raises FileMissing when the folder holds no video.
    """
    cache.mkdir(parents=True, exist_ok=True)
    videos = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not videos:
        raise FileMissing(f"No videos in {folder}. Give a folder with {', '.join(sorted(SUFFIXES))} files.")
    speakers = read_speakers(folder)
    mesh = FaceMesh(num_threads=1)
    for path in videos:
        track, speaker = cache / f"{path.name}.npz", speakers.get(path.name, path.stem)
        try:
            if not track.exists():
                track_clip(path, speaker, mesh).save(track)
        except SonimateError as error:
            rejects[path.name] = f"{type(error).__name__}: {error}"
        else:
            yield Clip.load(track, path.name, speaker)


def track_clip(path: Path, speaker: str, mesh: FaceMesh) -> Clip:
    """Track the face of one video. Raises UnusableClip when no frame shows one, and the media errors."""
    changes: list[float] = []
    faces = list(mesh.track(_watch(read_frames(path, fps=FPS), changes)))
    missing = np.full((478, 3), np.nan, np.float32)
    if all(face is None for face in faces):
        raise UnusableClip("no face in any frame")
    landmarks = np.stack([missing if face is None else face.landmarks for face in faces])
    return Clip(path.name, speaker, landmarks.astype(np.float32), np.array(changes), read_audio(path))


def _watch(frames: Iterator[np.ndarray], changes: list[float]) -> Iterator[np.ndarray]:
    """Pass frames on and note how much each differs from the one before."""
    before = None
    for frame in frames:
        rows, columns = (max(1, side // THUMBNAIL_PX) for side in frame.shape[:2])
        thumbnail = frame[::rows, ::columns].mean(axis=2)
        changes.append(0.0 if before is None else float(np.abs(thumbnail - before).mean()))
        before = thumbnail
        yield frame
