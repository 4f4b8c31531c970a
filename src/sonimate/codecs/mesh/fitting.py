"""Fits the compact codec's basis, layout and scales on tracked clips."""

from __future__ import annotations

import numpy as np

from sonimate.codecs.mesh.codec import MeshCodec, even_scales
from sonimate.codecs.mesh.face_map import layout_positions
from sonimate.face.pose import fit_pose, relative_motion, to_canonical
from sonimate.face.regions import LANDMARK_COUNT, LOWER_LIP_INNER, UPPER_LIP_INNER


def fit_codec(tracks: list[np.ndarray], components: int = 32) -> MeshCodec:
    """Fit basis, layout and scales on tracked landmarks, one (n, 478, 3) px array per clip.

    Each clip's mean face is removed first, so the basis holds expressions and no identities.
    """
    poses = [fit_pose(track) for track in tracks]
    expressions = [to_canonical(track, pose) for track, pose in zip(tracks, poses, strict=True)]
    changes = np.concatenate([e - e.mean(0) for e in expressions])
    _, _, rows = np.linalg.svd(changes.reshape(len(changes), -1), full_matrices=False)
    basis = rows[:components].reshape(components, LANDMARK_COUNT, 3)
    opened = open_mouth_displacement(expressions)
    positions = layout_positions(opened)
    coefficients = changes.reshape(len(changes), -1) @ basis.reshape(components, -1).T
    heads = [relative_motion(p, p[len(p.scale) // 2 : len(p.scale) // 2 + 1]) for p in poses]
    motion_std = np.sqrt(np.mean(np.concatenate([h - h.mean(0) for h in heads]) ** 2, axis=0))
    return MeshCodec(
        basis=basis,
        positions=positions,
        open_mouth=basis.reshape(components, -1) @ opened.ravel(),
        scales=even_scales(coefficients.std(0)),
        motion_std=motion_std,
    )


def open_mouth_displacement(expressions: list[np.ndarray]) -> np.ndarray:
    """Mean displacement (478, 3) cm from the most closed to the most open tenth of each clip's frames."""
    moves = []
    for vertices in expressions:
        gap = vertices[:, UPPER_LIP_INNER, 1] - vertices[:, LOWER_LIP_INNER, 1]
        tenth = max(len(gap) // 10, 1)
        order = np.argsort(gap)
        moves.append(vertices[order[-tenth:]].mean(0) - vertices[order[:tenth]].mean(0))
    return np.mean(moves, axis=0)
