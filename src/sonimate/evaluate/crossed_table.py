"""Tables of figures by row, training seed and clip, with intervals and with paired differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sonimate.evaluate.curves import correlation
from sonimate.evaluate.evaluation_report import figure_text
from sonimate.evaluate.intervals import Interval, mean_interval, seeds_and_clips_interval

Figures = Mapping[str, Mapping[str, float]]
"""Of one row and seed: clip -> name -> value."""


def mean_of(values: np.ndarray) -> float:
    """Of (s, c, 1)."""
    return float(values.mean())


def own_less_other(values: np.ndarray) -> float:
    """Mean difference of two figures (s, c, 2)."""
    return float((values[..., 0] - values[..., 1]).mean())


def agreement(values: np.ndarray) -> float:
    """Correlation over clips of two figures (s, c, 2), mean over seeds."""
    return float(np.mean([correlation(*some.T) for some in values]))


@dataclass(frozen=True)
class Measure:
    """A column: a statistic of the figures `names` of all seeds and clips."""

    title: str
    names: tuple[str, ...]
    statistic: Callable[[np.ndarray], float] = mean_of


def measured(measure: Measure, row: Sequence[Figures]) -> tuple[float, Interval]:
    """The statistic of one row, over the clips that have all its figures, with its interval."""
    return _estimate(_values(measure, [row]), measure.statistic)


def measured_difference(
    measure: Measure, row: Sequence[Figures], base: Sequence[Figures]
) -> tuple[float, Interval]:
    """The statistic of one row less that of another, over the clips and seeds that both have."""
    count = len(measure.names)

    def difference(values: np.ndarray) -> float:
        return measure.statistic(values[..., :count]) - measure.statistic(values[..., count:])

    return _estimate(_values(measure, [row, base]), difference)


def table_of_measures(
    measures: Sequence[Measure], rows: Mapping[str, Sequence[Figures]], base: str | None = None
) -> list[list[str]]:
    """Cells of a table with its head: the rows themselves, or their differences from the row `base`."""
    cells = [["", *(measure.title for measure in measures)]]
    for name, row in rows.items():
        if base is None:
            cells.append([name, *(figure_text(*measured(measure, row)) for measure in measures)])
        elif name != base:
            found = [measured_difference(measure, row, rows[base]) for measure in measures]
            cells.append([f"{name} less {base}", *(figure_text(*one) for one in found)])
    return cells


def _values(measure: Measure, rows: Sequence[Sequence[Figures]]) -> np.ndarray:
    """(seeds, clips, rows * names) of the clips whose figures are all finite."""
    seeds = min(len(row) for row in rows)
    every = [figures for row in rows for figures in row[:seeds]]
    clips = sorted(clip for clip in every[0] if all(clip in figures for figures in every))
    values = np.array(
        [
            [[row[seed][clip][name] for row in rows for name in measure.names] for clip in clips]
            for seed in range(seeds)
        ]
    ).reshape(seeds, len(clips), -1)
    return values[:, np.isfinite(values).all(axis=(0, 2))]


def _estimate(values: np.ndarray, statistic: Callable[[np.ndarray], float]) -> tuple[float, Interval]:
    if not values.size:
        return math.nan, (math.nan, math.nan)
    if len(values) > 1:
        return statistic(values), seeds_and_clips_interval(values, statistic)
    by_clip = np.array([statistic(values[:, [clip]]) for clip in range(values.shape[1])])
    value = statistic(values)
    if not math.isclose(value, float(by_clip.mean()), abs_tol=1e-9):
        return value, (math.nan, math.nan)
    return value, mean_interval(by_clip)
