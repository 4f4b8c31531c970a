"""Slow random expressions vary the shape of the lips and leave the opening of mouth and eyes alone."""

import numpy as np
import pytest
from faces import codec

from sonimate.evaluate.statistics import effective_dimensions
from sonimate.face.canonical import canonical_vertices
from sonimate.face.regions import LIPS_INNER, LIPS_OUTER
from sonimate.features.face_gestures import MEASURES, fit_gestures, measure_face
from sonimate.features.slow_expressions import SlowExpressions, fit_slow_expressions

FRAMES = 400
LIPS = list(LIPS_OUTER + LIPS_INNER)


@pytest.fixture(scope="module")
def faces() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    count = len(codec().basis)
    spread = 0.6 / np.arange(1, count + 1) ** 0.5
    people = [np.cumsum(rng.normal(size=(200, count)) * spread * 0.2, 0) for _ in range(3)]
    return [canonical_vertices() + codec().displacement(person) for person in people]


@pytest.fixture(scope="module")
def slow(faces) -> SlowExpressions:
    return fit_slow_expressions(codec(), fit_gestures(codec(), faces), faces)


def shapes(coefficients: np.ndarray) -> np.ndarray:
    return canonical_vertices() + codec().displacement(coefficients)


def test_they_move_neither_the_gap_of_the_lips_nor_chin_lids_brows_and_gaze(slow):
    moved = measure_face(shapes(slow.draw(FRAMES, np.random.default_rng(2))))
    spread = dict(zip(MEASURES, moved.std(0), strict=True))
    for name in ("gap", "chin", "lids", "brows", "gaze_x", "gaze_y"):
        assert spread[name] < 1e-6
    assert spread["width"] > 0.1


def test_they_add_ways_in_which_lips_change(slow, faces):
    gestures = fit_gestures(codec(), faces)
    opened = np.outer(np.sin(np.arange(FRAMES)) ** 2 * 1.5, gestures.per_cm[0])
    alone = effective_dimensions(shapes(opened)[:, LIPS, :2])
    varied = shapes(opened + slow.draw(FRAMES, np.random.default_rng(3)))
    assert alone < 1.05
    assert effective_dimensions(varied[:, LIPS, :2]) > 1.25


def test_they_are_slow_and_of_constant_strength(slow):
    runs = np.stack([slow.draw(100, np.random.default_rng(seed)) for seed in range(200)])
    first, last = runs[:, 0].std(0).max(), runs[:, -1].std(0).max()
    assert first == pytest.approx(last, rel=0.25)
    assert np.abs(np.diff(runs, axis=1)).mean() < 0.12 * np.abs(runs).mean()
    assert np.array_equal(slow.draw(50, np.random.default_rng(5)), slow.draw(50, np.random.default_rng(5)))
