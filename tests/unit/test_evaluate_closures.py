"""Closure at /p/, /b/, /m/, found where curves were shut on purpose."""

import numpy as np
import pytest

from sonimate.evaluate.closures import closure_score

CLOSURES = [(0.5, 0.58), (1.0, 1.08), (1.5, 1.58)]


def opening(times: list[float], gap_mm: float = 1.0) -> np.ndarray:
    """A mouth open by 10 mm that is shut for 80 ms around each of `times`."""
    seconds = np.arange(50) / 25
    near = np.min(np.abs(seconds[:, None] - np.array(times)), axis=1) if times else np.full(50, 9.0)
    return np.where(near < 0.05, gap_mm, 10.0)


def test_lips_that_shut_at_every_closure_are_found_on_time():
    score = closure_score(opening([0.54, 1.04, 1.54]), CLOSURES)
    assert score.count == 3
    assert score.share_shut == 1
    assert abs(score.late_ms) <= 20


@pytest.mark.parametrize("late", [-0.08, -0.04, 0.04, 0.08])
def test_the_time_of_a_closure_moves_with_the_mouth(late: float):
    score = closure_score(opening([middle + late for middle in (0.54, 1.04, 1.54)]), CLOSURES)
    assert score.late_ms == pytest.approx(1000 * late, abs=25)


def test_lips_that_stay_apart_or_shut_elsewhere_close_at_none():
    assert closure_score(opening([0.54, 1.04, 1.54], gap_mm=5.0), CLOSURES).share_shut == 0
    assert closure_score(opening([0.25, 0.8, 1.8]), CLOSURES).share_shut == 0
    assert closure_score(opening([0.54]), CLOSURES).share_shut == pytest.approx(1 / 3)


def test_closures_after_the_last_frame_do_not_count():
    score = closure_score(opening([0.54]), [*CLOSURES[:1], (5.0, 5.1)])
    assert (score.count, score.share_shut) == (1, 1)
    assert np.isnan(closure_score(opening([]), []).share_shut)
