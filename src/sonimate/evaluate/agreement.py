"""Do raters agree? Krippendorff's alpha, and intervals of means over raters and clips at once."""

from __future__ import annotations

from typing import Literal

import numpy as np

from sonimate.evaluate.intervals import DRAWS, Interval

Level = Literal["nominal", "ordinal", "interval"]


def krippendorff_alpha(ratings: np.ndarray, level: Level) -> float:
    """Agreement of ratings (raters, items), NaN where there is none: 1 when all raters agree on every item, 0
    as by chance, below 0 when they contradict each other. NaN without two different values that share items.

    Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), from values that pair within items.
    """
    values = np.unique(ratings[~np.isnan(ratings)])
    counts = (ratings[:, :, None] == values).sum(0).astype(float)
    counts = counts[counts.sum(1) > 1]
    raters = counts.sum(1)
    pairs = counts.T @ (counts / (raters - 1)[:, None]) - np.diag((counts / (raters - 1)[:, None]).sum(0))
    totals = pairs.sum(1)
    distance = _distances(values, totals, level)
    expected = totals @ distance @ totals / (totals.sum() - 1) if totals.sum() else 0.0
    return 1 - float((pairs * distance).sum() / expected) if expected else float("nan")


def _distances(values: np.ndarray, totals: np.ndarray, level: Level) -> np.ndarray:
    """How far values (k,) lie apart (k, k), squared. Ordinal: by how many ratings lie between them."""
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    places = np.cumsum(totals) - totals / 2 if level == "ordinal" else values
    return np.square(places[:, None] - places)


def crossed_interval(ratings: np.ndarray, *, seed: int = 0) -> Interval:
    """95 % bootstrap interval of the mean of ratings (raters, clips), NaN where there is none: raters and
    clips are both drawn anew, since other people and other clips would both change the mean (the pigeonhole
    bootstrap of Owen, 2007). NaN below two raters or two clips."""
    raters, clips = ratings.shape
    if min(raters, clips) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    people = rng.multinomial(raters, np.full(raters, 1 / raters), DRAWS)
    parts = rng.multinomial(clips, np.full(clips, 1 / clips), DRAWS)
    there = ~np.isnan(ratings)
    sums = ((people @ np.where(there, ratings, 0)) * parts).sum(1)
    counts = ((people @ there) * parts).sum(1)
    low, high = np.percentile(sums[counts > 0] / counts[counts > 0], [2.5, 97.5])
    return float(low), float(high)
