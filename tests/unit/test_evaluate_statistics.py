"""Statistics recover what was put into synthetic curves at 25 fps."""

from __future__ import annotations

import numpy as np
import pytest

from sonimate.evaluate.statistics import (
    blink_frames,
    blinks_per_minute,
    deformation,
    drift,
    median_acceleration,
    spread,
)


def eyes_with_blinks(frames: int, at: list[int], seconds_closed: float = 0.12) -> np.ndarray:
    """Open eyes (0.3) that shut to 0.05 for a while, with the tracker's noise and a slow droop to 0.2."""
    eyes = np.linspace(0.3, 0.2, frames) + 0.005 * np.random.default_rng(0).normal(size=frames)
    for frame in at:
        eyes[frame : frame + round(25 * seconds_closed)] = 0.05
    return eyes


def test_blinks_are_counted_where_they_are():
    at = [30, 75, 90, 260, 400]
    found = blink_frames(eyes_with_blinks(500, at))
    assert len(found) == len(at)
    assert np.abs(np.array(found) - at).max() <= 3
    assert blinks_per_minute(eyes_with_blinks(500, at)) == pytest.approx(15)


def test_open_eyes_do_not_blink():
    assert blink_frames(eyes_with_blinks(500, [])) == []


def test_a_half_closed_glance_down_is_no_blink():
    eyes = eyes_with_blinks(500, [])
    eyes[100:220] *= 0.65
    assert blink_frames(eyes) == []


def test_eyes_shut_for_a_second_are_no_blink():
    assert blink_frames(eyes_with_blinks(500, [100], seconds_closed=1.0)) == []


def test_a_bouncing_lid_is_one_blink():
    eyes = np.full(100, 0.3)
    eyes[40:46] = [0.1, 0.05, 0.18, 0.2, 0.1, 0.2]
    assert len(blink_frames(eyes)) == 1


def test_drift_is_the_way_between_the_ends_and_its_slope():
    minutes = np.arange(500) / 25 / 60
    walk = np.stack([30 * minutes, 40 * minutes], axis=1)
    assert drift(walk) == pytest.approx((50 * 15 / 60, 50))


def test_swaying_about_a_place_is_no_drift():
    sway = 5 * np.sin(2 * np.pi * np.arange(500) / 25)[:, None]
    assert drift(sway)[0] < 0.01
    assert spread(sway) == pytest.approx(5 / np.sqrt(2), rel=1e-3)


def test_drift_of_a_short_curve_compares_its_halves():
    assert drift(np.repeat([[0.0], [2.0]], 50, axis=0))[0] == pytest.approx(2)


def test_spread_adds_the_axes_and_ignores_where_they_are():
    values = np.random.default_rng(0).normal(size=(20000, 3)) * [3, 4, 0] + 100
    assert spread(values) == pytest.approx(5, rel=0.02)


def test_acceleration_of_free_fall_is_gravity_and_of_steady_travel_nothing():
    time = np.arange(40.0)[:, None, None]
    fall = np.concatenate([0 * time, 0.5 * 0.3 * time**2], axis=2)
    assert median_acceleration(np.repeat(fall, 7, axis=1)) == pytest.approx(0.3)
    assert median_acceleration(0.4 * np.repeat(np.repeat(time, 7, axis=1), 2, axis=2)) == pytest.approx(0)


def test_one_cut_does_not_move_the_median_acceleration():
    points = 1e-3 * np.random.default_rng(0).normal(size=(100, 20, 2))
    before = median_acceleration(points)
    points[50:] += 1
    assert median_acceleration(points) == pytest.approx(before, rel=0.1)


def test_deformation_is_the_root_mean_square_over_points():
    still = np.zeros((1000, 1, 2))
    moving = np.random.default_rng(0).normal(size=(1000, 1, 2)) * [3, 4]
    points = np.concatenate([still, moving], axis=1)
    assert deformation(points) == pytest.approx(5 / np.sqrt(2), rel=0.05)
