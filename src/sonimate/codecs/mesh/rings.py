"""Around the face: rings of vertices that move hair and neck with it, less toward the picture's frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sonimate.face.detect import Roi
from sonimate.face.geometry import smoothstep

RING_COUNT = 10
REACH = 2.2
"""Movement has vanished at this distance from the face oval, in face radii (or at the image's edge)."""
MIN_REACH = 0.5
"""Shortest such distance. Where the picture ends before it, pixels mirrored at the edge move into view."""
ROOM = 0.4
"""Movement up to this share of the distance over which it fades out does not fold the surroundings."""
HAIR_HOLD = 0.5
"""Above the forehead everything within this distance (face radii) follows the head rigidly."""
SIDE_HOLD = 0.25
"""Beside the face: hair and ears follow the head."""
JAW_REACH = 0.5
"""The chin's own movement dies out within this distance below the oval, in face radii."""

NECK_REACH = 1.8
"""Where a background stands still behind the person, the body's movement has vanished at this distance below
the chin, in face radii (or at the picture's lower edge)."""
SHOULDER_SLOPE = 0.5
"""Beside the head, the body begins on lines that rise outward by this much: shoulders, not hats."""
HEAD_SHARE = 0.7
"""Hair and hats follow the head up to this share of the way to the borders of the square that holds the
person, and are still at its borders."""


@dataclass(frozen=True)
class Rings:
    """Rings around an outline of n vertices.

    points: (rings * n, 2) px, from the outline outward. follow: (rings * n,) share of the head's rigid
    motion. stretch: (rings * n,) share of the outline's expression displacement. triangles: indices where
    0 to n - 1 are the outline's vertices and n + i is `points[i]`.
    room: (n,) px by which the outline can move before the surroundings fold.
    """

    points: np.ndarray
    follow: np.ndarray
    stretch: np.ndarray
    triangles: np.ndarray
    room: np.ndarray

    def damping(self, displacement: np.ndarray) -> float:
        """Factor in (0, 1] for a head motion that moves the outline by `displacement` (n, 2) px: near 1 for
        small motions; no damped motion needs more than `room`."""
        strain = float((np.linalg.norm(displacement, axis=1) / self.room).max())
        return float(np.tanh(strain) / strain) if strain > 1e-6 else 1.0


def build_rings(oval: np.ndarray, up: np.ndarray, width: int, height: int) -> Rings:
    """Rings around the face's outline `oval` (n, 2) px, in order around it, in an image of `width` x
    `height`; `up` is the face's upward direction in the image, a unit vector (2,)."""
    centre = oval.mean(0)
    spokes = oval - centre
    lengths = np.linalg.norm(spokes, axis=1)
    directions = spokes / lengths[:, None]
    radius = lengths.mean()

    to_edge = np.minimum(
        _distance_to_edge(oval[:, 0], directions[:, 0], width - 1),
        _distance_to_edge(oval[:, 1], directions[:, 1], height - 1),
    )
    reach = np.minimum(REACH * radius, np.maximum(to_edge, MIN_REACH * radius))
    reach = _smooth_circular(reach, limit=reach)

    upness = directions @ up
    hold = radius * np.where(
        upness > 0, SIDE_HOLD + (HAIR_HOLD - SIDE_HOLD) * upness, SIDE_HOLD * (1 + upness)
    )
    hold = np.minimum(hold, 0.4 * reach)

    distance, points = _ring_points(oval, directions, reach)
    follow = 1 - smoothstep((distance - hold) / (reach - hold))
    stretch = 1 - smoothstep(distance / np.minimum(JAW_REACH * radius, reach))
    return Rings(
        points.reshape(-1, 2),
        follow.ravel(),
        stretch.ravel(),
        _ring_triangles(len(oval)),
        ROOM * (reach - hold),
    )


def build_body_rings(oval: np.ndarray, up: np.ndarray, roi: Roi, height: int) -> Rings:
    """Rings for a person who moves in front of a still background, in a picture of this `height`: up to the
    borders of `roi`, hair and hats follow the head, neck and shoulders less and less down to the body.

    oval, up: as in `build_rings`.
    """
    centre = oval.mean(0)
    spokes = oval - centre
    lengths = np.linalg.norm(spokes, axis=1)
    directions = spokes / lengths[:, None]
    radius, half = lengths.mean(), roi.size / 2
    reach = np.minimum(
        *(
            _distance_to_edge(oval[:, axis] - middle + half, directions[:, axis], 2 * half)
            for axis, middle in enumerate((roi.x, roi.y))
        )
    )
    reach = np.maximum(reach, MIN_REACH * radius)
    distance, points = _ring_points(oval, directions, reach)

    away = (points - centre) / radius
    side = np.abs(away @ np.array([-up[1], up[0]]))
    below = -(away @ up) - (-(spokes @ up) / radius).max()
    body = np.maximum(below + SHOULDER_SLOPE * np.maximum(side - 1, 0), 0)
    chin = oval[np.argmin(oval @ up)]
    neck = np.clip((height - 1 - chin[1]) / radius, MIN_REACH, NECK_REACH)
    to_border = np.abs(points - [roi.x, roi.y]).max(2) / half
    follow = (1 - smoothstep(body / neck)) * (1 - smoothstep((to_border - HEAD_SHARE) / (1 - HEAD_SHARE)))
    stretch = 1 - smoothstep(distance / np.minimum(JAW_REACH * radius, reach))
    return Rings(
        points.reshape(-1, 2),
        follow.ravel(),
        stretch.ravel(),
        _ring_triangles(len(oval)),
        np.full(len(oval), ROOM * min(neck * radius, (1 - HEAD_SHARE) * half)),
    )


def _ring_points(
    oval: np.ndarray, directions: np.ndarray, reach: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distances (rings, n) px from the outline up to `reach` (n,), and the points there, (rings, n, 2)."""
    fraction = (np.arange(1, RING_COUNT + 1) / RING_COUNT) ** 1.4
    distance = fraction[:, None] * reach
    return distance, oval + distance[..., None] * directions


def _distance_to_edge(position: np.ndarray, direction: np.ndarray, last: float) -> np.ndarray:
    ahead = np.where(direction > 0, last - position, position)
    return ahead / np.maximum(np.abs(direction), 1e-3)


def _smooth_circular(values: np.ndarray, *, limit: np.ndarray) -> np.ndarray:
    """Values averaged with their neighbours around the circle, none above its limit: straight lines in the
    background then bend softly."""
    for _ in range(6):
        values = (np.roll(values, 1) + 2 * values + np.roll(values, -1)) / 4
        values = np.minimum(values, limit)
    return values


def _ring_triangles(spokes: int) -> np.ndarray:
    first = np.arange(RING_COUNT)[:, None] * spokes
    here = np.arange(spokes)[None]
    after = (here + 1) % spokes
    a, b = first + here, first + after
    c, d = a + spokes, b + spokes
    return np.concatenate([np.stack([a, b, c], -1), np.stack([b, d, c], -1)]).reshape(-1, 3)
