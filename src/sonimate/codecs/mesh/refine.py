"""Smooth lips and lids: a finer mesh of lips and lids, and smooth curves along their openings.

Landmarks are 20 points around the mouth and 16 around an eye: straight lines between them show as corners.
Here every edge between points of lips and lids is split in the middle by the four-point rule (Dyn, Levin and
Gregory 1987) along the line of edges that continues it most straightly, and the edges of an opening twice.
The rule interpolates: landmarks stay where they are, and along an opening the points lie on a Catmull-Rom
spline.

New vertices are fixed combinations of landmarks, the same in the portrait and in every frame. An edge is
split in the same place for both triangles beside it: the mesh has no cracks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sonimate.face.canonical import canonical_face
from sonimate.face.regions import LEFT_EYE, LIPS_INNER, LIPS_OUTER, RIGHT_EYE, VERTEX_COUNT

OPENINGS: tuple[tuple[int, ...], ...] = (LIPS_INNER, RIGHT_EYE, LEFT_EYE)
CURVE_STEPS = 4
"""Points of an opening's curve from one landmark to the next."""
STRIP_PX = 2.0
STRAIGHT = np.cos(np.deg2rad(40))
"""Cosine of the largest angle by which a line of edges may turn at a vertex."""

Weights = dict[int, float]
"""A point as a combination of vertices: their weights, which sum to one."""


@lru_cache(maxsize=8)
def contour_matrix(count: int, steps: int = CURVE_STEPS) -> np.ndarray:
    """(count * steps, count): points of a closed curve through `count` contour points, from the first corner
    along the upper edge to the opposite corner and back. A Catmull-Rom spline on each edge; sharp corners."""
    rows = []
    for edge in range(count):
        for step in range(steps):
            row = np.zeros(count)
            for point, weight in _along_contour(edge, step / steps, count).items():
                row[point] += weight
            rows.append(row)
    return np.array(rows)


def _along_contour(edge: int, t: float, count: int) -> Weights:
    """The point at `t` in [0, 1) between contour points `edge` and `edge + 1`. At a corner the spline ends,
    and the point beyond it is a mirror image."""
    spline = [
        (-t + 2 * t**2 - t**3) / 2,
        (2 - 5 * t**2 + 3 * t**3) / 2,
        (t + 4 * t**2 - 3 * t**3) / 2,
        (-(t**2) + t**3) / 2,
    ]
    half = count // 2
    first, last = edge % half == 0, edge % half == half - 1
    before, start, end, after = spline
    here, there = edge, (edge + 1) % count
    weights = {
        here: start + 2 * before * first - after * last,
        there: end + 2 * after * last - before * first,
    }
    if not first:
        weights[(edge - 1) % count] = before
    if not last:
        weights[(edge + 2) % count] = after
    return weights


@dataclass(frozen=True)
class FineMesh:
    """A finer mesh of the face's skin.

    sources, weights: (m, 4), the landmarks that each new vertex combines, and their shares. curves: for each
    opening, the vertices (n,) along its edge, where 468 + i is the i-th new one. triangles: (t, 3), those of
    the skin and of a narrow strip along each edge, inside the opening. The strip continues the skin below the
    soft edge of what is painted into the opening.
    """

    sources: np.ndarray
    weights: np.ndarray
    curves: tuple[np.ndarray, ...]
    triangles: np.ndarray

    @classmethod
    def of(cls, skin: np.ndarray) -> FineMesh:
        """The finer mesh of triangles (t, 3) of the face, those in the openings left out."""
        cutter = _Cutter()
        finer = [part for triangle in skin.tolist() for part in cutter.parts(triangle)]
        curves = tuple(cutter.curve(contour) for contour in OPENINGS)
        first = VERTEX_COUNT + len(cutter.rows)
        for curve in curves:
            inner = first + np.arange(len(curve))
            after, inner_after = np.roll(curve, -1), np.roll(inner, -1)
            finer += np.stack([curve, after, inner], 1).tolist()
            finer += np.stack([after, inner_after, inner], 1).tolist()
            first += len(curve)
        padded = [[*row.items(), *[(0, 0.0)] * (4 - len(row))] for row in cutter.rows]
        sources, weights = np.moveaxis(np.array(padded).reshape(-1, 4, 2), 2, 0)
        return cls(sources.astype(np.intp), weights, curves, np.array(finer, skin.dtype))

    def beside(self, *contours: tuple[int, ...]) -> np.ndarray:
        """The triangles (t, 3) that touch landmarks or edges of openings, and those next to them."""
        seeds = [self.curves[OPENINGS.index(c)] if c in OPENINGS else np.array(c) for c in contours]
        touching = self.triangles[np.isin(self.triangles, np.concatenate(seeds)).any(1)]
        return self.triangles[np.isin(self.triangles, touching).any(1)]

    def vertices(self, landmarks: np.ndarray, *, lips_strip_px: float = STRIP_PX) -> np.ndarray:
        """Landmarks (468, 3) px -> all vertices (n, 3) px. Strips lie behind the face. They are
        STRIP_PX wide, or `lips_strip_px` at the lips, and reach at most to the middle of the opening."""
        skin = np.concatenate([landmarks, np.einsum("mk,mkd->md", self.weights, landmarks[self.sources])])
        strips = []
        for curve, width, turn in zip(
            self.curves, (lips_strip_px, STRIP_PX, STRIP_PX), (1, 1, -1), strict=True
        ):
            edge = skin[curve]
            along = np.roll(edge, -1, axis=0) - np.roll(edge, 1, axis=0)
            inward = turn * along[:, [1, 0]] * [-1, 1]
            inward /= np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-3)
            opposite = np.roll(edge[::-1], 1, axis=0)
            room = np.linalg.norm(edge[:, :2] - opposite[:, :2], axis=1, keepdims=True) / 2
            inward *= np.minimum(width, room)
            behind = edge[:, 2:] + 2 * np.ptp(landmarks[:, 2])
            strips.append(np.concatenate([edge[:, :2] + inward, behind], axis=1))
        return np.concatenate([skin, *strips])


class _Cutter:
    """Cuts triangles; `rows` are the new vertices."""

    def __init__(self) -> None:
        self.rows: list[Weights] = []
        self._middles: dict[tuple[int, int], int] = {}
        self._quarters: dict[tuple[int, int], int] = {}

    def _added(self, weights: Weights) -> int:
        self.rows.append(weights)
        return VERTEX_COUNT + len(self.rows) - 1

    def middle(self, a: int, b: int) -> int | None:
        """The vertex in the middle of an edge, or None when the edge stays whole."""
        if not (_near_openings()[a] and _near_openings()[b]):
            return None
        key = min(a, b), max(a, b)
        if key in self._middles:
            return self._middles[key]
        if key not in _contour_edges():
            self._middles[key] = self._added(_four_point(*key))
            return self._middles[key]
        contour, edge = _contour_edges()[key]
        count = len(contour)
        quarter, middle, other_quarter = (
            self._added({contour[k]: weight for k, weight in _along_contour(edge, t, count).items()})
            for t in (0.25, 0.5, 0.75)
        )
        start, end = contour[edge], contour[(edge + 1) % count]
        self._quarters[start, middle] = self._quarters[middle, start] = quarter
        self._quarters[middle, end] = self._quarters[end, middle] = other_quarter
        self._middles[key] = middle
        return middle

    def parts(self, corners: list[int]) -> list[tuple[int, int, int]]:
        """The triangles that one triangle is cut into."""
        a, b, c = corners
        parts = []
        for piece in _split((a, b, c), (self.middle(a, b), self.middle(b, c), self.middle(c, a))):
            for turn in range(3):
                x, y, z = (piece[(turn + k) % 3] for k in range(3))
                if (x, y) in self._quarters:
                    quarter = self._quarters[x, y]
                    parts += [(x, quarter, z), (quarter, y, z)]
                    break
            else:
                parts.append(piece)
        return parts

    def curve(self, contour: tuple[int, ...]) -> np.ndarray:
        """Landmarks and middles along an opening's edge, in order."""
        ends = contour[1:] + contour[:1]
        pairs = [(a, self.middle(a, b)) for a, b in zip(contour, ends, strict=True)]
        return np.array(pairs).ravel()


def _split(
    corners: tuple[int, int, int], middles: tuple[int | None, int | None, int | None]
) -> list[tuple[int, int, int]]:
    """A triangle cut at the middles of its edges: first to second corner, second to third, third to first."""
    for turn in range(3):
        a, b, c = (corners[(turn + k) % 3] for k in range(3))
        ab, bc, ca = (middles[(turn + k) % 3] for k in range(3))
        if ab is not None and bc is not None and ca is not None:
            return [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        if ab is not None and bc is not None:
            return [(a, ab, c), (ab, b, bc), (ab, bc, c)]
        if ab is not None and ca is None:
            return [(a, ab, c), (ab, b, c)]
    return [corners]


@lru_cache(maxsize=1)
def _contour_edges() -> dict[tuple[int, int], tuple[tuple[int, ...], int]]:
    """Edges of the openings, smaller index first -> their contour, and where on it they start."""
    found = {}
    for contour in OPENINGS:
        for edge, (a, b) in enumerate(zip(contour, contour[1:] + contour[:1], strict=True)):
            found[min(a, b), max(a, b)] = contour, edge
    return found


@lru_cache(maxsize=1)
def _neighbours() -> list[set[int]]:
    around: list[set[int]] = [set() for _ in range(VERTEX_COUNT)]
    for triangle in canonical_face().triangles.tolist():
        for vertex in triangle:
            around[vertex].update(triangle)
    return [others - {vertex} for vertex, others in enumerate(around)]


@lru_cache(maxsize=1)
def _near_openings() -> np.ndarray:
    """(468,) whether edges between such vertices are split: those of lips and lids."""
    core = {vertex for contour in (*OPENINGS, LIPS_OUTER) for vertex in contour}
    near = np.zeros(VERTEX_COUNT, bool)
    near[list(core)] = True
    return near


def _four_point(a: int, b: int) -> Weights:
    """The middle of an edge: (9 (a + b) - before a - after b) / 16. Where no edge continues the line, the
    point beyond its end is mirrored there."""
    weights = {a: 9 / 16, b: 9 / 16}
    for end, other in ((a, b), (b, a)):
        beyond = _continued(other, end)
        if beyond is None:
            weights[end] -= 2 / 16
            weights[other] += 1 / 16
        else:
            weights[beyond] = weights.get(beyond, 0) - 1 / 16
    return weights


def _continued(start: int, end: int) -> int | None:
    """The neighbour of `end` that continues the edge from `start` most straightly, on the skin; None where
    every line turns too much."""
    vertices = canonical_face().vertices
    ahead = vertices[end] - vertices[start]
    best, straightest = None, STRAIGHT * np.linalg.norm(ahead)
    crossing = {frozenset(contour) for contour in OPENINGS if end in contour}
    for neighbour in sorted(_neighbours()[end] - {start}):
        if any(neighbour in contour for contour in crossing):
            continue
        step = vertices[neighbour] - vertices[end]
        straight = float(ahead @ step) / max(float(np.linalg.norm(step)), 1e-9)
        if straight > straightest:
            best, straightest = neighbour, straight
    return best
