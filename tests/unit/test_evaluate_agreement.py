"""Agreement of raters: the published example, and what must hold for any ratings."""

import numpy as np
import pytest

from sonimate.evaluate.agreement import crossed_interval, krippendorff_alpha

NAN = float("nan")
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)
"""Krippendorff 2011, section C: 4 observers, 12 units, with gaps."""


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_the_published_example(level, alpha):
    assert krippendorff_alpha(PUBLISHED, level) == pytest.approx(alpha, abs=5e-4)


def test_agreement_chance_and_contradiction():
    rng = np.random.default_rng(0)
    truth = rng.integers(1, 6, 2000).astype(float)
    assert krippendorff_alpha(np.stack([truth, truth]), "ordinal") == pytest.approx(1)
    assert abs(krippendorff_alpha(np.stack([truth, rng.permutation(truth)]), "ordinal")) < 0.06
    assert krippendorff_alpha(np.stack([truth, 6 - truth]), "ordinal") < -0.8


@pytest.mark.parametrize("ratings", [np.empty((0, 0)), np.array([[1.0, 2.0]]), np.full((3, 4), 2.0)], ids=str)
def test_what_cannot_tell_agreement_is_nan(ratings):
    assert np.isnan(krippendorff_alpha(ratings, "ordinal"))


def test_the_interval_covers_the_mean_of_people_and_clips_as_often_as_it_says():
    """Raters and clips both have levels of their own; an interval over votes alone would be far too short."""
    rng = np.random.default_rng(1)
    covered = 0
    for draw in range(100):
        ratings = 3 + rng.normal(0, 0.5, (12, 1)) + rng.normal(0, 0.5, (1, 15)) + rng.normal(0, 0.3, (12, 15))
        ratings[rng.random(ratings.shape) < 0.2] = NAN
        low, high = crossed_interval(ratings, seed=draw)
        covered += low <= 3 <= high
    assert 85 <= covered <= 100


def test_an_interval_needs_two_people_and_two_clips():
    assert np.isnan(crossed_interval(np.ones((1, 9)))).all()
    assert np.isnan(crossed_interval(np.ones((9, 1)))).all()
    assert crossed_interval(np.array([[1.0, 5.0], [1.0, 5.0]])) == (1, 5)
