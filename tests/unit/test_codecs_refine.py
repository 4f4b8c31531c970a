"""Smooth openings: curves through the landmarks; a finer mesh without cracks that leaves landmarks alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from faces import example

from sonimate.codecs.mesh.refine import OPENINGS, STRIP_PX, FineMesh, contour_matrix
from sonimate.codecs.mesh.warp import seen_triangles
from sonimate.face.canonical import canonical_face
from sonimate.face.regions import LIPS_INNER, VERTEX_COUNT


def skin() -> np.ndarray:
    triangles = canonical_face().triangles
    opening = np.zeros(len(triangles), bool)
    for contour in OPENINGS:
        opening |= np.isin(triangles, contour).all(1)
    return triangles[~opening]


def edges(triangles: np.ndarray) -> Counter[tuple[int, ...]]:
    pairs = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    return Counter(map(tuple, pairs.tolist()))


@pytest.mark.parametrize("count", [16, 20])
def test_curves_pass_through_their_points_and_turn_softly_between_corners(count: int) -> None:
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    points = np.stack([-50 * np.cos(angles), -20 * np.sin(angles)], axis=1)
    curve = contour_matrix(count) @ points
    np.testing.assert_allclose(curve[::4], points, atol=1e-12)
    steps = np.diff(np.concatenate([curve, curve[:1]]), axis=0)
    direction = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    turns = np.abs(np.diff(direction))
    straight = np.diff(np.concatenate([points, points[:1]]), axis=0)
    sharpest = np.abs(np.diff(np.unwrap(np.arctan2(straight[:, 1], straight[:, 0])))).max()
    corner = 4 * (count // 2)
    assert np.delete(turns, [corner - 1]).max() < 0.6 * sharpest
    radius = (curve / [50, 20]) ** 2
    inner = np.delete(
        radius.sum(1), [*range(4), *range(corner - 3, corner + 4), *range(4 * count - 3, 4 * count)]
    )
    np.testing.assert_allclose(inner, 1, atol=0.01)


def test_a_closed_opening_has_a_closed_curve() -> None:
    line = np.linspace(-1, 1, 11)[:, None] * [30.0, 4.0] + [0, 1.0] * np.linspace(-1, 1, 11)[:, None] ** 2
    closed = np.concatenate([line, line[-2:0:-1]])
    curve = contour_matrix(20) @ closed
    np.testing.assert_allclose(curve[1:], curve[:0:-1], atol=1e-9)


def test_the_finer_mesh_has_no_cracks_and_the_same_outline() -> None:
    mesh = FineMesh.of(skin())
    strips = VERTEX_COUNT + len(mesh.sources)
    finer = mesh.triangles[(mesh.triangles < strips).all(1)]
    counts = edges(finer)
    assert set(counts.values()) == {1, 2}
    outline = {edge for edge, count in counts.items() if count == 1}
    coarse = {edge for edge, count in edges(skin()).items() if count == 1}
    around = {edge for edge in coarse if not any(set(edge) <= set(contour) for contour in OPENINGS)}
    assert around <= outline
    assert len(outline) == len(around) + 4 * sum(len(contour) for contour in OPENINGS)


def test_the_finer_mesh_covers_the_same_surface() -> None:
    """No area is lost or doubled, seen from the front, but for the slim pieces along the curves."""
    vertices = canonical_face().vertices.astype(float)
    mesh = FineMesh.of(skin())
    strips = VERTEX_COUNT + len(mesh.sources)
    finer = mesh.triangles[(mesh.triangles < strips).all(1)]

    def area(points: np.ndarray, triangles: np.ndarray) -> float:
        a, b, c = (points[triangles[:, corner], :2] for corner in range(3))
        (ux, uy), (vx, vy) = (b - a).T, (c - a).T
        return float((ux * vy - uy * vx).sum() / 2)

    assert area(mesh.vertices(vertices), finer) == pytest.approx(area(vertices, skin()), rel=0.01)


def test_landmarks_stay_and_plain_motion_stays_plain() -> None:
    """Moving, turning and scaling all landmarks does the same to the new vertices."""
    landmarks = canonical_face().vertices.astype(float) * 10
    mesh = FineMesh.of(skin())
    before = mesh.vertices(landmarks)[: VERTEX_COUNT + len(mesh.sources)]
    np.testing.assert_array_equal(before[:VERTEX_COUNT], landmarks)
    turn = np.array([[0.9, -0.2, 0.1], [0.3, 1.1, 0.2], [-0.1, 0.1, 1.0]])
    after = mesh.vertices(landmarks @ turn + [5.0, -3.0, 2.0])[: len(before)]
    np.testing.assert_allclose(after, before @ turn + [5.0, -3.0, 2.0], atol=1e-9)


@pytest.mark.parametrize("name", ["obama", "mona_lisa"])
def test_the_skins_edge_is_the_curve_of_the_opening(name: str) -> None:
    landmarks = example(name).face.landmarks.astype(float)
    mesh = FineMesh.of(skin())
    vertices = mesh.vertices(landmarks[:VERTEX_COUNT])
    for contour, edge in zip(OPENINGS, mesh.curves, strict=True):
        curve = contour_matrix(len(contour)) @ landmarks[list(contour), :2]
        np.testing.assert_allclose(vertices[edge, :2], curve[::2], atol=1e-6)


def test_strips_lie_inside_the_opening_and_vanish_when_it_closes() -> None:
    landmarks = example("obama").face.landmarks[:VERTEX_COUNT].astype(float)
    mesh = FineMesh.of(skin())
    edge = VERTEX_COUNT + len(mesh.sources)
    count = len(mesh.curves[0])
    open_mouth = mesh.vertices(landmarks)
    strip = open_mouth[edge : edge + count, :2] - open_mouth[mesh.curves[0], :2]
    middle = landmarks[list(LIPS_INNER), :2].mean(0) - open_mouth[mesh.curves[0], :2]
    width = np.linalg.norm(strip, axis=1)
    assert width.max() == pytest.approx(STRIP_PX)
    assert ((strip * middle).sum(1) > 0)[width > 1].all()
    closed = landmarks.copy()
    closed[list(LIPS_INNER[:10:-1])] = closed[list(LIPS_INNER[1:10])]
    shut = mesh.vertices(closed)
    np.testing.assert_allclose(shut[edge : edge + count, :2], shut[mesh.curves[0], :2], atol=1e-6)


def test_partly_seen_faces_are_refined_too() -> None:
    landmarks = example("vigee_lebrun").face.landmarks.astype(float)
    turned = landmarks * [0.3, 1, 1] + [0.9, 0, 0] * landmarks[:, [2]]
    mesh = FineMesh.of(seen_triangles(turned))
    assert mesh.triangles.max() < len(mesh.vertices(turned[:VERTEX_COUNT]))
