"""Motion as it is drawn: one resolve() for the warp and for every measurement."""

import numpy as np

from sonimate.codecs.mesh.motion import PRESSED_CM, SEALED_CM, WIDEST_LIDS, uncrossed, upper_and_lower
from sonimate.face.canonical import canonical_vertices
from sonimate.face.regions import (
    LIPS_INNER,
    LOWER_LIP_INNER,
    LOWER_LIP_OUTER,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    UPPER_LIP_INNER,
    UPPER_LIP_OUTER,
)


def frames(count: int) -> np.ndarray:
    return np.repeat(canonical_vertices()[None], count, axis=0)


def test_lips_that_would_cross_touch_and_others_stay():
    vertices = frames(2)
    vertices[:, UPPER_LIP_INNER, 1] = vertices[:, LOWER_LIP_INNER, 1] + [1.0, -2 * PRESSED_CM]
    before = vertices.copy()
    drawn = uncrossed(vertices, canonical_vertices())
    np.testing.assert_array_equal(drawn[0], vertices[0])
    middle = before[1, [UPPER_LIP_INNER, LOWER_LIP_INNER]].mean(0)
    np.testing.assert_allclose(drawn[1, [UPPER_LIP_INNER, LOWER_LIP_INNER]], [middle, middle])
    np.testing.assert_array_equal(vertices, before)


def test_a_smile_shut_at_its_middle_is_shut_everywhere():
    """The portrait shows teeth; slits beside the middle close with it, and no mouth that is open changes."""
    upper, lower = upper_and_lower(LIPS_INNER)
    rest = canonical_vertices().copy()
    rest[upper, 1] = rest[lower, 1] + 1.0
    vertices = np.repeat(rest[None], 3, axis=0)
    beside = 0.15 - 0.15 * (upper == UPPER_LIP_INNER)
    vertices[:, upper, 1] = vertices[:, lower, 1] + [[0.0], [0.05], [SEALED_CM]] + beside
    drawn = uncrossed(vertices, rest)
    gap = drawn[:, upper, 1] - drawn[:, lower, 1]
    np.testing.assert_allclose(gap[0], 0, atol=1e-12)
    assert (gap[1] <= 0.05 + 0.5 * beside).all()
    np.testing.assert_array_equal(drawn[2], vertices[2])


def test_slits_of_a_mouth_that_the_portrait_shows_shut_stay():
    upper, lower = upper_and_lower(LIPS_INNER)
    rest = canonical_vertices().copy()
    rest[upper, 1] = rest[lower, 1] + 0.1 * (upper != UPPER_LIP_INNER)
    np.testing.assert_array_equal(uncrossed(rest[None], rest), rest[None])


def test_pressed_lips_keep_most_of_their_height():
    """A closing that goes 5 mm too far moves whole lips together; only their edges stop."""
    crossed = frames(1)
    rest = crossed.copy()
    lower = crossed[0, :, 1] < rest[0, [UPPER_LIP_INNER, LOWER_LIP_INNER], 1].mean()
    crossed[:, lower, 1] += 0.5
    drawn = uncrossed(crossed, canonical_vertices())[0, :, 1]
    for inner, outer in ((UPPER_LIP_INNER, UPPER_LIP_OUTER), (LOWER_LIP_INNER, LOWER_LIP_OUTER)):
        before = abs(rest[0, outer, 1] - rest[0, inner, 1])
        assert abs(drawn[outer] - drawn[inner]) > 0.85 * before


def test_upper_lids_stop_on_the_lower_ones_and_open_no_wider_than_there_are_pixels():
    rest = canonical_vertices()
    opening = rest[RIGHT_UPPER_LID, 1] - rest[RIGHT_LOWER_LID, 1]
    vertices = frames(2)
    vertices[:, RIGHT_UPPER_LID, 1] = rest[RIGHT_LOWER_LID, 1] + [-0.5 * opening, 3 * opening]
    drawn = uncrossed(vertices, rest)
    assert drawn[0, RIGHT_UPPER_LID, 1] == rest[RIGHT_LOWER_LID, 1]
    assert np.isclose(drawn[1, RIGHT_UPPER_LID, 1] - rest[RIGHT_LOWER_LID, 1], WIDEST_LIDS * opening)
    np.testing.assert_array_equal(drawn[:, RIGHT_LOWER_LID], vertices[:, RIGHT_LOWER_LID])
