"""Seams and buckets of motion that is known."""

from dataclasses import replace

import numpy as np
import pytest

from sonimate.configs import FULL
from sonimate.diffusion.plan import frame_predictions, independent_windows
from sonimate.evaluate.motion_figures import seam_speed


def steps(speeds: np.ndarray) -> np.ndarray:
    """Points (n + 1, 3, 2) that move sideways by `speeds` (n,)."""
    path = np.concatenate([[0.0], np.cumsum(speeds)])
    return np.stack([np.stack([path + i, np.zeros_like(path)], axis=1) for i in range(3)], axis=1)


def test_a_jump_where_two_windows_meet_is_a_seam():
    speeds = np.ones(99)
    first = independent_windows(50, window_frames=25)[0]
    speeds[2 * len(first) - 2 : 2 * len(first)] = 5
    assert seam_speed(steps(speeds), 25) == pytest.approx(5)


def test_steady_motion_has_no_seam():
    assert seam_speed(steps(np.ones(99)), 25) == pytest.approx(1)


def test_one_window_cannot_have_any():
    assert np.isnan(seam_speed(steps(np.ones(39)), 25))


@pytest.mark.parametrize(
    ("strategy", "per_frame"),
    [
        ({"windows": "shift"}, 1.0),
        ({"windows": "independent"}, 1.0),
        ({"windows": "overlap", "overlap": 8}, 25 / 17),
        ({"windows": "motion-frames", "overlap": 8}, 25 / 17),
    ],
)
def test_operations_of_a_long_video_are_those_of_equations_5_to_7(strategy, per_frame):
    options = replace(FULL, steps=3, **strategy)
    assert frame_predictions(options, 2500) / (3 * 2500) == pytest.approx(per_frame, rel=0.01)
