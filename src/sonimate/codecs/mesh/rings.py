"""Around the face: rings of vertices that carry hair and neck along and let go toward the frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RING_COUNT = 10
REACH = 2.2
"""Movement has vanished at this distance from the face oval, in face radii (or at the image's edge)."""
MIN_REACH = 0.5
"""Where the picture ends sooner, what lies beyond its edge (a reflection) moves in."""
SLACK = 0.4
"""Movement of this share of the distance over which the surroundings let go does not fold them."""
HAIR_HOLD = 0.5
"""Above the forehead everything within this distance (face radii) follows the head rigidly."""
SIDE_HOLD = 0.25
"""Beside the face: hair and ears follow the head."""
JAW_REACH = 0.5
"""The chin's own movement dies out within this distance below the oval, in face radii."""


@dataclass(frozen=True)
class Rings:
    """Rings around an outline of n vertices.

    points: (rings * n, 2) px, from the outline outward. follow: (rings * n,) share of the head's rigid
    motion. stretch: (rings * n,) share of the outline's expression displacement. triangles: indices where
    0 to n - 1 are the outline's vertices and n + i is `points[i]`.
    slack: (n,) px by which the outline may move.
    """

    points: np.ndarray
    follow: np.ndarray
    stretch: np.ndarray
    triangles: np.ndarray
    slack: np.ndarray

    def leash(self, displacement: np.ndarray) -> float:
        """The share of the head's motion that the surroundings can take, smoothly below 1; displacement
        (n, 2) px is what the motion does to the outline."""
        strain = float((np.linalg.norm(displacement, axis=1) / self.slack).max())
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

    fraction = (np.arange(1, RING_COUNT + 1) / RING_COUNT) ** 1.4
    distance = fraction[:, None] * reach
    points = oval + distance[..., None] * directions
    follow = 1 - _smoothstep((distance - hold) / (reach - hold))
    stretch = 1 - _smoothstep(distance / np.minimum(JAW_REACH * radius, reach))
    return Rings(
        points.reshape(-1, 2),
        follow.ravel(),
        stretch.ravel(),
        _ring_triangles(len(oval)),
        SLACK * (reach - hold),
    )


def _distance_to_edge(position: np.ndarray, direction: np.ndarray, last: int) -> np.ndarray:
    ahead = np.where(direction > 0, last - position, position)
    return ahead / np.maximum(np.abs(direction), 1e-3)


def _smooth_circular(values: np.ndarray, *, limit: np.ndarray) -> np.ndarray:
    """Neighbouring spokes get similar reaches, so that straight lines in the background bend softly."""
    for _ in range(6):
        values = (np.roll(values, 1) + 2 * values + np.roll(values, -1)) / 4
        values = np.minimum(values, limit)
    return values


def _smoothstep(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def _ring_triangles(spokes: int) -> np.ndarray:
    first = np.arange(RING_COUNT)[:, None] * spokes
    here = np.arange(spokes)[None]
    after = (here + 1) % spokes
    a, b = first + here, first + after
    c, d = a + spokes, b + spokes
    return np.concatenate([np.stack([a, b, c], -1), np.stack([b, d, c], -1)]).reshape(-1, 3)
