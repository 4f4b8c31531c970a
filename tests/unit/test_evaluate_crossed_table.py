"""Paired differences over seeds and clips."""

import numpy as np
import pytest

from sonimate.evaluate.crossed_table import Measure, agreement, measured, measured_difference

R = Measure("r", ("r",))


def rows(values: np.ndarray, name: str = "r") -> list[dict[str, dict[str, float]]]:
    """values: (seeds, clips)."""
    return [{f"{clip:03}": {name: float(x)} for clip, x in enumerate(some)} for some in values]


def test_a_paired_difference_is_sure_where_the_figures_alone_are_not():
    rng = np.random.default_rng(0)
    full = 0.5 + 0.3 * rng.normal(size=(1, 20)) + 0.01 * rng.normal(size=(3, 20))
    less = full - 0.05 + 0.01 * rng.normal(size=(3, 20))
    _, (low, high) = measured(R, rows(less))
    assert low < measured(R, rows(full))[0] < high
    value, (low, high) = measured_difference(R, rows(less), rows(full))
    assert value == pytest.approx(-0.05, abs=0.01)
    assert -0.07 < low < high < -0.03


def test_seeds_count_as_well_as_clips():
    """A difference that changes its sign from seed to seed is not sure, however many clips there are."""
    by_seed = np.repeat([[0.3], [-0.1], [0.1]], 200, axis=1)
    low, high = measured_difference(R, rows(by_seed), rows(np.zeros((3, 200))))[1]
    assert low < 0 < high


def test_clips_without_a_figure_are_left_out_of_both():
    one, other = rows(np.array([[1.0, 2.0, np.nan]] * 2)), rows(np.array([[0.0, np.nan, 0.0]] * 2))
    assert measured_difference(R, one, other)[0] == 1
    assert np.isnan(measured(R, rows(np.full((2, 2), np.nan)))[0])


def test_agreement_is_over_clips():
    figures = {str(k): {"reached": 2.0 * k + 1, "asked": float(k)} for k in range(5)}
    assert measured(Measure("r", ("reached", "asked"), agreement), [figures] * 2)[0] == pytest.approx(1)
