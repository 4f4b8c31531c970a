"""The damages do what they say, and a metric that moves the wrong way is found."""

import numpy as np
import pytest
from test_evaluate_own_metrics import footage

from damage import MUST, right_steps
from lib.damages import DAMAGES, Damage, mute
from sonimate.evaluate.metric_table import all_metrics

BY_NAME = {damage.name: damage for damage in DAMAGES}
MOVES = [damage for damage in DAMAGES if not damage.pictures] + [
    BY_NAME["frozen"],
    BY_NAME["frames shuffled"],
]
DELAYS = np.arange(-5, 6)


@pytest.mark.parametrize("damage", MOVES, ids=lambda damage: damage.name)
def test_no_damage_changes_nothing_and_most_damage_something(damage: Damage):
    rng = np.random.default_rng(0)
    clip, none, worst = footage(), damage.none, damage.amounts[-1]
    if damage.name == "moves in silence":  # whose sound is silent at every amount
        clip, none, worst = mute(clip, 0.5, rng), 1.0, 0.0
    same, damaged = damage.apply(clip, none, rng), damage.apply(clip, worst, rng)
    np.testing.assert_allclose(same.landmarks, clip.landmarks, atol=0.05)
    np.testing.assert_array_equal(same.samples, clip.samples)
    landmarks_differ = np.abs(damaged.landmarks - clip.landmarks).max() > 0.1
    assert landmarks_differ or np.abs(damaged.samples - clip.samples).max() > 0.01


def test_a_metric_may_fall_to_both_sides_and_steps_back_are_counted():
    tent = np.array([0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0.0])
    assert right_steps(DELAYS, tent, "falls") == 1
    assert right_steps(DELAYS, tent, "rises") == 0
    assert right_steps(DELAYS, np.arange(11.0), "follows") == 1
    bent = tent.copy()
    bent[8] = 4.0
    assert right_steps(DELAYS, bent, "falls") == 0.9
    assert right_steps(DELAYS, np.zeros(11), "falls") == 0


def test_what_must_happen_names_damages_and_metrics_that_exist():
    known = {metric.name for metric in all_metrics()} | {"closure-share", "closure-late"}
    assert {metric for _, metric in MUST} <= known
    assert {damage for damage, _ in MUST} == set(BY_NAME)
