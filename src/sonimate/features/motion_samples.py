"""Training samples of the compact model: the motion of a talking face and the features of its sound."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from sonimate.errors import OutdatedData
from sonimate.face.pose import Pose
from sonimate.footage.clip_id import ClipId
from sonimate.media.files import replacing


@dataclass(frozen=True)
class MotionSample:
    """One talking face at 25 fps with its sound.

    clip_id, speaker; kind: "real" or "synthetic".
    expression: (n, k) basis coefficients of the vertices' difference from the canonical face, cm.
    scale (n,), rotation (n, 3, 3), translation (n, 3): head poses.
    token_rows: (t, d) reduced hidden states at 50 Hz. bucket_rows: (t, e) those of the last layer alone.
    buckets: (2,) head and expression motion, in [0, 128].
    """

    clip_id: ClipId
    speaker: str
    kind: str
    expression: np.ndarray
    scale: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    token_rows: np.ndarray
    bucket_rows: np.ndarray
    buckets: np.ndarray

    @property
    def is_footage(self) -> bool:
        """Whether it is a real clip as it was filmed: neither played faster nor recorded otherwise."""
        return self.kind == "real" and self.clip_id.is_original

    @property
    def pose(self) -> Pose:
        return Pose(self.scale, self.rotation, self.translation)

    def save(self, folder: Path) -> None:
        """Write KEY.npz, complete or not at all. Raises OutputNotWritable."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        with replacing(folder / f"{self.clip_id.key}.npz") as partial, partial.open("wb") as file:
            np.savez_compressed(file, **{**values, "clip_id": str(self.clip_id)})

    @classmethod
    def load(cls, path: Path) -> MotionSample:
        """Raises OutdatedData."""
        with np.load(path) as stored:
            if "clip_id" not in stored:
                raise OutdatedData(
                    f"{path} was written by an earlier version of sonimate. Make the training data again."
                )
            values = {field.name: stored[field.name] for field in fields(cls)}
        texts = {name: str(values[name]) for name in ("speaker", "kind")}
        return cls(**{**values, **texts, "clip_id": ClipId.parse(str(values["clip_id"]))})


def load_samples(folder: Path) -> list[MotionSample]:
    """All samples of a folder of training data, sorted by clip. Raises OutdatedData."""
    return sorted((MotionSample.load(path) for path in folder.glob("*.npz")), key=lambda some: some.clip_id)
