"""Planes fixed to the skull, parallel to the face: canonical centimetres <-> image pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sonimate.face.pose import Pose


@dataclass(frozen=True)
class FacePlane:
    """The plane z = constant of the canonical face in an image: pixel = linear @ (x, y) + offset."""

    linear: np.ndarray
    offset: np.ndarray

    @classmethod
    def at(cls, pose: Pose, z_cm: float) -> FacePlane:
        """The plane at canonical depth `z_cm` for the first frame of `pose`."""
        flip = np.array([[1.0], [-1.0]])
        turned = pose.scale[0] * pose.rotation[0][:2] * flip
        return cls(turned[:, :2], turned[:, 2] * z_cm + pose.translation[0][:2] * flip[:, 0])

    @property
    def pixel_cm(self) -> float:
        """The size of a pixel in centimetres."""
        return float(abs(np.linalg.det(self.linear)) ** -0.5)

    def to_canonical(self, window: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Canonical x and y (h, w) of each pixel of a window (x0, y0, x1, y1)."""
        x0, y0, x1, y1 = window
        inverse = np.linalg.inv(self.linear).astype(np.float32)
        u = np.arange(x0, x1, dtype=np.float32) - np.float32(self.offset[0])
        v = np.arange(y0, y1, dtype=np.float32)[:, None] - np.float32(self.offset[1])
        return inverse[0, 0] * u + inverse[0, 1] * v, inverse[1, 0] * u + inverse[1, 1] * v

    def from_canonical(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Pixels (h, w, 2) float32 of canonical positions."""
        a, b = self.linear.astype(np.float32), self.offset.astype(np.float32)
        return np.stack([a[0, 0] * x + a[0, 1] * y + b[0], a[1, 0] * x + a[1, 1] * y + b[1]], axis=-1)
