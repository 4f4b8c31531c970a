"""Seams and buckets of motion that is known."""

import numpy as np
import pytest

from lib.ablation import seam_speed
from sonimate.diffusion.plan import independent_windows


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
