"""Training samples: what a talking face did and the sound it made, in the model's own terms."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from sonimate.face.pose import Pose


@dataclass(frozen=True)
class MotionSample:
    """One talking face at 25 fps with its sound.

    name, speaker; source: "real" or "synthetic".
    expression: (n, k) basis coefficients of the vertices' difference from the canonical face, cm.
    scale (n,), rotation (n, 3, 3), translation (n, 3): head poses.
    token_rows: (t, d) reduced hidden states at 50 Hz. bucket_rows: (t, e) those of the last layer alone.
    buckets: (2,) head and expression motion, in [0, 128].
    """

    name: str
    speaker: str
    source: str
    expression: np.ndarray
    scale: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    token_rows: np.ndarray
    bucket_rows: np.ndarray
    buckets: np.ndarray

    @property
    def pose(self) -> Pose:
        return Pose(self.scale, self.rotation, self.translation)

    def save(self, folder: Path) -> None:
        """Write `<name>.npz`, complete or not at all."""
        target = folder / f"{self.name}.npz"
        partial = target.with_suffix(".partial.npz")
        np.savez_compressed(partial, **{field.name: getattr(self, field.name) for field in fields(self)})
        partial.replace(target)

    @classmethod
    def load(cls, path: Path) -> MotionSample:
        with np.load(path) as stored:
            values = {field.name: stored[field.name] for field in fields(cls)}
        sample = cls(**values)
        return replace(sample, **{name: str(values[name]) for name in ("name", "speaker", "source")})


def load_samples(folder: Path) -> list[MotionSample]:
    """All samples of a prepared folder, in name order."""
    return [MotionSample.load(path) for path in sorted(folder.glob("*.npz")) if ".partial" not in path.name]
