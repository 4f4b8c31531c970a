"""How sure is a figure: 95 % intervals over the clips that were measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

DRAWS = 2000
GROUPS = 20
T_OF_GROUPS = 2.093
"""97.5 % point of Student's t of GROUPS - 1 degrees of freedom."""

Interval = tuple[float, float]


def mean_interval(values: np.ndarray, *, seed: int = 0) -> Interval:
    """Bootstrap interval of the mean of values (n,): clips are drawn anew DRAWS times. NaN below two
    values."""
    if len(values) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(DRAWS)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def seeds_and_clips_interval(
    values: np.ndarray, statistic: Callable[[np.ndarray], float], *, seed: int = 0
) -> Interval:
    """Bootstrap interval of a statistic of values (s, c, ...) of s training seeds and c clips. Each draw
    takes both anew, so that the interval holds for other trainings and clips. NaN below two of either.
    A statistic that subtracts one model's values from another's, both in the last axis, is paired. Of plain
    means `agreement.crossed_interval` is the same, and faster."""
    seeds, clips = values.shape[:2]
    if min(seeds, clips) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    drawn = [
        statistic(values[rng.integers(seeds, size=seeds)][:, rng.integers(clips, size=clips)])
        for _ in range(DRAWS)
    ]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def merge_all(parts: Sequence[Any]) -> Any:
    """One statistic of several, each with `merged`."""
    return reduce(lambda one, other: one.merged(other), parts)


def jackknife_interval(value: float, groups: int, without: Callable[[int], float]) -> Interval:
    """Interval of a score of whole sets, of which `without(g)` leaves out group g of `groups` (delete-a-group
    jackknife). The bootstrap does not serve here: a set drawn with repetitions has fewer different clips,
    and a Fréchet distance rises with that. NaN with fewer than GROUPS groups."""
    if groups < GROUPS:
        return float("nan"), float("nan")
    scores = np.array([without(group) for group in range(groups)])
    error = np.sqrt((groups - 1) / groups * np.square(scores - scores.mean()).sum())
    return value - T_OF_GROUPS * float(error), value + T_OF_GROUPS * float(error)
