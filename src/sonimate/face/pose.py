"""Head pose: the similarity transform between the canonical face and landmarks in an image.

The camera model is orthographic, as the depth of the landmark network is:
image = scale * rotation @ canonical + translation, with y flipped so that it points down in images.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sonimate.face.canonical import canonical_face

FLIP = np.array([1.0, -1.0, -1.0])
"""Canonical axes (y up, z to the viewer) to image axes (y down, z away)."""

JAW_HEIGHT_CM = -1.2
"""Rigid landmarks below this canonical height follow the jaw, so the fit of the head's pose ignores them."""

LARGE_ANGLE = 2.5
"""Rotations from this angle on, in radians, are read from their symmetric part."""


@dataclass(frozen=True)
class Pose:
    """Poses of n frames: scale (n,) px per cm, rotation (n, 3, 3), translation (n, 3) px."""

    scale: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray

    def __getitem__(self, frames: slice | np.ndarray) -> Pose:
        return Pose(self.scale[frames], self.rotation[frames], self.translation[frames])


@lru_cache(maxsize=1)
def rigid_weights() -> np.ndarray:
    """(468,) weights summing to 1: the procrustes basis without the landmarks that the jaw moves."""
    face = canonical_face()
    weights = np.where(face.vertices[:, 1] > JAW_HEIGHT_CM, face.rigid_weights, 0.0)
    return weights / weights.sum()


def fit_pose(landmarks: np.ndarray) -> Pose:
    """Weighted least-squares similarity (Umeyama 1991) from the canonical face to each frame.

    landmarks: (n, 478 or 468, 3) in image pixels, z in the same scale, smaller is nearer.
    """
    used = np.flatnonzero(rigid_weights())
    weights = rigid_weights()[used]
    source = canonical_face().vertices[used].astype(np.float64)
    target = landmarks[:, used].astype(np.float64) * FLIP
    source_mean, target_mean = weights @ source, np.einsum("v,nvk->nk", weights, target)
    source, target = source - source_mean, target - target_mean[:, None]
    covariance = np.einsum("v,nvi,vj->nij", weights, target, source)
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.ones((len(landmarks), 3))
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign[:, None]) @ vt
    scale = (singular * sign).sum(1) / (weights @ (source**2).sum(1))
    translation = target_mean - scale[:, None] * (rotation @ source_mean)
    return Pose(scale, rotation, translation)


def to_canonical(landmarks: np.ndarray, pose: Pose) -> np.ndarray:
    """Image landmarks (n, v, 3) px -> pose-normalised vertices (n, v, 3) in canonical cm."""
    moved = (landmarks * FLIP - pose.translation[:, None]) / pose.scale[:, None, None]
    return moved @ pose.rotation


def to_image(vertices: np.ndarray, pose: Pose) -> np.ndarray:
    """Canonical vertices (n, v, 3) cm -> image landmarks (n, v, 3) px; inverse of `to_canonical`."""
    turned = vertices @ np.swapaxes(pose.rotation, 1, 2)
    return (turned * pose.scale[:, None, None] + pose.translation[:, None]) * FLIP


def relative_motion(pose: Pose, reference: Pose) -> np.ndarray:
    """Head motion (n, 6) of `pose` against one `reference` pose: rotation vector in rad (3),
    translation in units of the reference's cm (2), log scale (1)."""
    relative = pose.rotation @ reference.rotation[0].T
    translation = (pose.translation - reference.translation[0])[:, :2] / reference.scale[0]
    log_scale = np.log(pose.scale / reference.scale[0])
    return np.concatenate([rotation_vector(relative), translation, log_scale[:, None]], axis=1)


def apply_motion(reference: Pose, motion: np.ndarray) -> Pose:
    """The poses (n) whose `relative_motion` against `reference` is `motion` (n, 6)."""
    rotation = rotation_matrix(motion[:, :3]) @ reference.rotation[0]
    translation = np.repeat(reference.translation[:1], len(motion), axis=0)
    translation[:, :2] += motion[:, 3:5] * reference.scale[0]
    return Pose(reference.scale[0] * np.exp(motion[:, 5]), rotation, translation)


def rotation_vector(rotation: np.ndarray) -> np.ndarray:
    """Rotation matrices (n, 3, 3) -> axis-angle vectors (n, 3) in radians, at most pi long."""
    cosine = np.clip((np.trace(rotation, axis1=1, axis2=2) - 1) / 2, -1, 1)
    antisymmetric = rotation - np.swapaxes(rotation, 1, 2)
    twice_sine_axis = antisymmetric[:, [2, 0, 1], [1, 2, 0]]
    vectors = twice_sine_axis / 2 / np.sinc(np.minimum(np.arccos(cosine), LARGE_ANGLE) / np.pi)[:, None]
    large = cosine < np.cos(LARGE_ANGLE)
    rotation, cosine, twice_sine_axis = rotation[large], cosine[large], twice_sine_axis[large]
    # Near pi the sine vanishes, but not the symmetric part: cos 1 + (1 - cos) axis axis^T.
    outer = (rotation + np.swapaxes(rotation, 1, 2)) / 2 - cosine[:, None, None] * np.eye(3)
    longest = np.diagonal(outer, axis1=1, axis2=2).argmax(1)
    axis: np.ndarray = outer[np.arange(len(outer)), longest]
    axis = axis / np.linalg.norm(axis, axis=1, keepdims=True)
    axis = np.where((axis * twice_sine_axis).sum(1, keepdims=True) < 0, -axis, axis)
    angle = np.arctan2(np.linalg.norm(twice_sine_axis, axis=1) / 2, cosine)
    vectors[large] = axis * angle[:, None]
    return vectors


def rotation_matrix(vectors: np.ndarray) -> np.ndarray:
    """Axis-angle vectors (n, 3) in radians -> rotation matrices (n, 3, 3), Rodrigues' formula."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    cross = np.zeros((len(vectors), 3, 3))
    x, y, z = vectors.T
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -z, y, -x
    cross[:, 1, 0], cross[:, 2, 0], cross[:, 2, 1] = z, -y, x
    first = np.sinc(angle / np.pi)
    second = np.sinc(angle / (2 * np.pi)) ** 2 / 2
    return np.eye(3) + first * cross + second * (cross @ cross)
