"""Training samples of the compact model: the motion of a talking face and the features of its sound."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from sonimate.errors import OutdatedData
from sonimate.face.pose import Pose, relative_motion
from sonimate.footage.clip_id import ClipId
from sonimate.media.files import replacing


@dataclass(frozen=True)
class MotionSample:
    """One talking face at 25 fps with its sound.

    clip_id, speaker; kind: "real" or "synthetic".
    expression: (n, k) basis coefficients of the vertices' difference from the canonical face, cm.
    pose: of the head, n frames.
    token_rows: (t, d) reduced hidden states at 50 Hz. bucket_rows: (t, e) those of the last layer alone.
    buckets: (2,) head and expression motion, in [0, 128].
    """

    clip_id: ClipId
    speaker: str
    kind: str
    expression: np.ndarray
    pose: Pose
    token_rows: np.ndarray
    bucket_rows: np.ndarray
    buckets: np.ndarray

    @property
    def is_footage(self) -> bool:
        """Whether it is a real clip as it was filmed: at its own speed, with its own sound."""
        return self.kind == "real" and self.clip_id.is_original

    @property
    def spread(self) -> tuple[np.ndarray, np.ndarray]:
        """Variances over time of expression (k,) and head motion (6,)."""
        middle = len(self.expression) // 2
        head = relative_motion(self.pose, self.pose[middle : middle + 1])
        return self.expression.var(0), head.var(0)

    def save(self, folder: Path) -> None:
        """Write KEY.npz, complete or not at all. Raises OutputNotWritable."""
        values = vars(self) | vars(self.pose) | {"clip_id": str(self.clip_id)}
        del values["pose"]
        with replacing(folder / f"{self.clip_id.key}.npz") as partial, partial.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **values)

    @classmethod
    def load(cls, path: Path) -> MotionSample:
        """Raises OutdatedData."""
        with np.load(path) as stored:
            if "clip_id" not in stored:
                raise OutdatedData(
                    f"{path} was written by an earlier version of sonimate. Make the training data again."
                )
            values: dict[str, Any] = dict(stored)
        clip_id, speaker, kind = (str(values.pop(name)) for name in ("clip_id", "speaker", "kind"))
        pose = Pose(*(values.pop(field.name) for field in fields(Pose)))
        return cls(ClipId.parse(clip_id), speaker, kind, pose=pose, **values)


def load_samples(folder: Path) -> list[MotionSample]:
    """All samples of a folder of training data, sorted by clip. Raises OutdatedData."""
    return sorted((MotionSample.load(path) for path in folder.glob("*.npz")), key=lambda some: some.clip_id)
