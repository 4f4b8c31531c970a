"""Statistics recover what was put into synthetic curves at 25 fps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline

from sonimate.evaluate.statistics import (
    band_amplitude,
    blink_depth,
    blink_frames,
    blinks_per_minute,
    cadence,
    closing_seconds,
    component_shares,
    deformation,
    drift,
    effective_dimensions,
    group_interval,
    group_mean,
    median_acceleration,
    open_eyes,
    open_share,
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


def shapes_along(*amplitudes: float) -> np.ndarray:
    """Shapes (500, 40, 2) that move in as many orthogonal ways, by sines of different frequencies."""
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(80, len(amplitudes))))[0]
    phases = 2 * np.pi * np.outer(np.arange(500), 2 + np.arange(len(amplitudes))) / 500
    return (np.sin(phases) * amplitudes @ directions.T).reshape(500, 40, 2) + 7


def test_effective_dimensions_count_the_independent_ways_of_moving():
    assert effective_dimensions(shapes_along(3.0)) == pytest.approx(1)
    assert effective_dimensions(shapes_along(2.0, 2.0, 2.0)) == pytest.approx(3)
    assert effective_dimensions(shapes_along(2.0, 1.0)) == pytest.approx(25 / 17)
    assert effective_dimensions(np.ones((50, 40, 2))) == 0
    assert component_shares(shapes_along(2.0, 1.0)) == pytest.approx((0.8, 0.2))


def test_effective_dimensions_do_not_depend_on_amplitude_but_rise_with_noise():
    shapes = shapes_along(2.0, 1.0)
    assert effective_dimensions(5 * shapes) == pytest.approx(effective_dimensions(shapes))
    noise = np.random.default_rng(1).normal(size=shapes.shape)
    measured = [effective_dimensions(shapes + amount * noise) for amount in (0, 0.1, 0.2, 0.4)]
    assert measured == sorted(measured)
    assert measured[-1] > 2 * measured[0]


def syllables(frames: int, seed: int = 0) -> np.ndarray:
    """Points (frames, 30, 2) with the spectrum of speech: up to 6 Hz at 25 fps."""
    spectrum = np.random.default_rng(seed).normal(size=(frames // 2 + 1, 60, 2)) @ [1, 1j]
    spectrum[np.fft.rfftfreq(frames, 1 / 25) > 6] = 0
    return np.fft.irfft(spectrum, frames, axis=0).reshape(frames, 30, 2)


def through_every_second(values: np.ndarray) -> np.ndarray:
    """Values (n, ...) at frames 0, 2, 4, ... and a cubic spline through them between."""
    return CubicHermiteSpline(np.arange(0, len(values), 2), values[::2], np.gradient(values[::2], 2, axis=0))(
        np.arange(len(values))
    )


def test_cadence_finds_the_kinks_at_every_second_frame():
    points = syllables(600)
    assert cadence(points) == pytest.approx(1, abs=0.1)
    half_rate = through_every_second(points)[:598]
    assert cadence(half_rate) > 1.4
    assert cadence(half_rate[1:]) < 0.75
    mixed = [cadence((1 - share) * points[:598] + share * half_rate) for share in (0, 0.5, 1)]
    assert mixed == sorted(mixed)


def test_cadence_of_noise_is_1_and_of_a_frozen_face_unknown():
    assert cadence(np.random.default_rng(0).normal(size=(600, 30, 2))) == pytest.approx(1, abs=0.05)
    assert np.isnan(cadence(np.ones((50, 30, 2))))


def test_a_band_holds_what_lies_in_it():
    time = np.arange(500) / 25
    slow, fast = 3 * np.sin(2 * np.pi * 1.5 * time), 2 * np.sin(2 * np.pi * 5 * time)
    assert band_amplitude(slow + fast + 9, 4, 6) == pytest.approx(np.sqrt(2), rel=0.02)
    assert band_amplitude(slow + 9, 4, 6) < 0.01
    assert band_amplitude(2 * fast, 4, 6) == pytest.approx(2 * band_amplitude(fast, 4, 6))


def test_half_rate_and_smoothing_take_amplitude_from_the_band():
    curve = 5 * syllables(600)[:, :1].reshape(600, 2)
    half_rate = through_every_second(curve)
    smoothed = np.stack([np.convolve(line, np.ones(3) / 3, mode="same") for line in curve.T], axis=1)
    whole, half, mean = (band_amplitude(x[:, 0], 4, 6) for x in (curve, half_rate, smoothed))
    assert 0.5 < half / whole < 0.95
    assert mean / whole < 0.8


def test_a_mouth_is_open_over_3_mm():
    assert open_share(np.array([0.0, 2.9, 3.1, 10.0])) == 0.5
    assert open_share(np.zeros(10)) == 0


def test_closing_is_timed_from_the_start_of_the_pause():
    opening = np.full(150, 8.0)
    opening[55:71] = 0.5
    opening[102:121] = 0.5
    opening[105] = 4.0
    assert closing_seconds(opening, [(2.0, 3.0)]) == [pytest.approx(5 / 25)]
    assert closing_seconds(opening, [(4.0, 5.0)]) == [pytest.approx(6 / 25)]
    assert closing_seconds(opening, [(0.4, 1.4)]) == [pytest.approx(1.0)]
    assert closing_seconds(np.zeros(150), [(2.0, 3.0)]) == [0]


def test_lids_that_close_half_are_half_open_at_the_deepest_point():
    eyes = np.full(500, 0.3)
    for frame, depth in ((100, 0.15), (200, 0.15), (300, 0.03)):
        eyes[frame : frame + 2] = depth, 0.16
    assert blink_depth(eyes) == pytest.approx(0.5)
    assert not open_eyes(eyes)[100]
    assert open_eyes(eyes).sum() == 494
    eyes[[100, 200]] = 0.03
    assert blink_depth(eyes) == pytest.approx(0.1)
    assert np.isnan(blink_depth(np.full(500, 0.3)))


def test_a_source_of_many_clips_counts_no_more_than_another():
    groups = {"many": [0.9] * 50, "few": [0.1, 0.3]}
    assert group_mean(groups) == pytest.approx(0.55)
    low, high = group_interval(groups)
    assert low == pytest.approx(0.5)
    assert high == pytest.approx(0.6)


def test_intervals_shrink_as_clips_are_added():
    values = np.random.default_rng(0).normal(size=400)
    few, many = (np.ptp(group_interval({"a": values[:count].tolist()})) for count in (10, 400))
    assert 3 < few / many < 12
