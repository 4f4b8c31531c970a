"""The grid of the motion field: each vertex has a place on it, as in a front view of the face with an open
mouth.

In MediaPipe's own texture coordinates the lips touch, and a smooth map cannot move them apart. Here several
cells lie between upper and lower lip.
"""

from __future__ import annotations

import numpy as np

from sonimate.face.canonical import canonical_vertices

GRID = 16
OPEN_FACTOR = 2.0
"""The layout's mouth is open this many times as wide as the mean open mouth."""
SMOOTHNESS = 1e-3
"""Weight of the grid's curvature in the fit: enough to define cells without a vertex, too little to change
others."""


def layout_positions(open_mouth: np.ndarray) -> np.ndarray:
    """Vertex positions (478, 2) in grid cells, row then column, from the mean displacement (478, 3) in cm of
    an open mouth. Irises lie in the middle of their eyes."""
    flat = (canonical_vertices() + OPEN_FACTOR * open_mouth)[:, :2]
    low, high = flat.min(0), flat.max(0)
    unit = (flat - (low + high) / 2) / (high - low).max() + 0.5
    return np.stack([(1 - unit[:, 1]) * (GRID - 1), unit[:, 0] * (GRID - 1)], axis=1)


def bilinear_matrix(positions: np.ndarray) -> np.ndarray:
    """(v, GRID * GRID): samples a grid at `positions` (v, 2)."""
    base = np.clip(np.floor(positions), 0, GRID - 2).astype(int)
    fraction = positions - base
    matrix = np.zeros((len(positions), GRID, GRID))
    vertex = np.arange(len(positions))
    for row in (0, 1):
        for column in (0, 1):
            weight = np.abs(1 - row - fraction[:, 0]) * np.abs(1 - column - fraction[:, 1])
            matrix[vertex, base[:, 0] + row, base[:, 1] + column] = weight
    return matrix.reshape(len(positions), GRID * GRID)


def vertices_to_grid(positions: np.ndarray) -> np.ndarray:
    """(GRID * GRID, v): the smooth grid whose bilinear samples at `positions` fit vertex values best."""
    sample = bilinear_matrix(positions)
    second = np.zeros((GRID, GRID))
    for i in range(GRID):
        second[i, [max(i - 1, 0), i, min(i + 1, GRID - 1)]] += [1, -2, 1]
    curvature = np.kron(second, np.eye(GRID)) + np.kron(np.eye(GRID), second)
    normal = sample.T @ sample + SMOOTHNESS * (curvature.T @ curvature) + 1e-6 * np.eye(GRID * GRID)
    return np.linalg.solve(normal, sample.T)


def layout_mask(positions: np.ndarray) -> np.ndarray:
    """(GRID, GRID) float32: one in the cells that hold a vertex or border on one that does."""
    return (bilinear_matrix(positions).sum(0) > 0).astype(np.float32).reshape(GRID, GRID)
