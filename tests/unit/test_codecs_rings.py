"""The surroundings of a face: they follow it near by, rest far away, and never fold."""

import numpy as np
import pytest

from sonimate.codecs.mesh.rings import RING_COUNT, Rings, build_body_rings, build_rings
from sonimate.face.detect import Roi

WIDTH, HEIGHT, SPOKES = 600, 500, 36
UP = np.array([0.0, -1.0])


def oval(x: float = 300, y: float = 250, radius: float = 60) -> np.ndarray:
    angles = np.arange(SPOKES) * 2 * np.pi / SPOKES
    return np.array([x, y]) + radius * np.stack([0.8 * np.cos(angles), np.sin(angles)], 1)


@pytest.fixture
def rings() -> Rings:
    return build_rings(oval(), UP, WIDTH, HEIGHT)


def shares(rings: Rings) -> tuple[np.ndarray, np.ndarray]:
    return rings.follow.reshape(RING_COUNT, SPOKES), rings.stretch.reshape(RING_COUNT, SPOKES)


def test_movement_ends_at_the_last_ring(rings):
    follow, stretch = shares(rings)
    assert follow[-1].max() == 0
    assert stretch[-1].max() == 0
    for share in (follow, stretch):
        assert share.min() >= 0
        assert share.max() <= 1
        assert np.all(np.diff(share, axis=0) <= 1e-12)


def test_the_picture_holds_the_rings_when_there_is_room(rings):
    assert np.all(rings.points >= 0)
    assert np.all(rings.points <= [WIDTH - 1, HEIGHT - 1])


def test_hair_is_held_farther_out_than_neck(rings):
    follow, _ = shares(rings)
    above, below = np.argmin(oval()[:, 1]), np.argmax(oval()[:, 1])
    assert follow[:, above].sum() > 1.15 * follow[:, below].sum()


@pytest.mark.parametrize("centre", [(300, 250), (70, 250), (300, 70), (30, 20), (550, 430)])
def test_no_damped_movement_folds_a_triangle(centre):
    outline = oval(*centre)
    assert_nothing_folds(outline, build_rings(outline, UP, WIDTH, HEIGHT))


def assert_nothing_folds(outline: np.ndarray, rings: Rings) -> None:
    """No triangle turns over when the head moves far, in any direction, damped."""
    rest = np.concatenate([outline, rings.points])
    for angle in np.arange(8) * np.pi / 4:
        shift = 500 * np.array([np.cos(angle), np.sin(angle)])
        shift = shift * rings.damping(np.broadcast_to(shift, outline.shape))
        moved = np.concatenate([outline + shift, rings.points + rings.follow[:, None] * shift])
        assert np.all(areas(moved, rings.triangles) * areas(rest, rings.triangles) > 0)


def areas(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    u, v = b - a, c - a
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]


def test_damping_leaves_small_motion_and_bounds_large(rings):
    def share(distance: float) -> float:
        return rings.damping(np.full((SPOKES, 2), distance / np.sqrt(2)))

    distances = np.array([0.0, 0.5, 5, 20, 100, 1000])
    moved = np.array([distance * share(distance) for distance in distances])
    assert share(0.0) == 1
    assert share(0.5) > 0.99
    assert np.all(np.diff(moved) > 0)
    assert moved[-1] <= rings.room.min() * 1.001


def test_size_scales_everything(rings):
    twice = build_rings(2 * oval() + 0.5, UP, 2 * WIDTH, 2 * HEIGHT)
    np.testing.assert_allclose(twice.points, 2 * rings.points + 0.5, atol=1.0)
    np.testing.assert_allclose(twice.follow, rings.follow, atol=0.02)
    np.testing.assert_allclose(twice.room, 2 * rings.room, rtol=0.02)


def body(x: float = 300, y: float = 250) -> Rings:
    return build_body_rings(oval(x, y), UP, Roi(x, y, 400, 0), HEIGHT)


def share_at(rings: Rings, x: float, y: float) -> float:
    """What the ring nearest to a place follows of the head."""
    return float(rings.follow[np.argmin(np.linalg.norm(rings.points - [x, y], axis=1))])


def test_before_a_still_background_hats_follow_fully_and_shoulders_a_little():
    rings = body()
    assert share_at(rings, 300, 130) == 1
    assert share_at(rings, 400, 220) == 1
    assert share_at(rings, 300, 320) > 0.9
    assert 0.05 < share_at(rings, 390, 360) < 0.5
    assert share_at(rings, 300, 440) == 0


def test_the_body_is_still_at_the_lower_edge_and_all_is_at_the_squares_border():
    low = body(300, 400)
    assert share_at(low, 300, HEIGHT - 1) < 0.02
    rings = body()
    at_border = np.abs(rings.points - [300, 250]).max(1) > 199
    assert at_border.any()
    assert rings.follow[at_border].max() < 1e-6


@pytest.mark.parametrize("centre", [(300, 250), (70, 250), (300, 70), (300, 430)])
def test_no_damped_movement_folds_a_body(centre):
    assert_nothing_folds(oval(*centre), body(*centre))
