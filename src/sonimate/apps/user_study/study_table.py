"""Votes -> the table of a study: means or shares, their intervals, and how far the raters agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from sonimate.apps.user_study.study_plan import QUESTIONS
from sonimate.apps.user_study.votes import Vote
from sonimate.evaluate.agreement import Level, crossed_interval, krippendorff_alpha

HEAD = "| | " + " | ".join(QUESTIONS.values()) + " |\n|---" + "|---" * len(QUESTIONS) + "|"


def study_table(votes: Sequence[Vote]) -> str:
    """Markdown: ratings by system, then choices by two systems; what has no votes is left out."""
    rated = [vote for vote in votes if not vote.second]
    chosen = [vote for vote in votes if vote.second]
    parts = [_ratings(rated)] * bool(rated) + [_choices(chosen)] * bool(chosen)
    return "\n\n".join(parts) or "No votes yet."


def _ratings(votes: Sequence[Vote]) -> str:
    systems = sorted({vote.first for vote in votes})
    rows = [
        f"| {system} | " + " | ".join(_mean(_grid(votes, question, (system, ""))) for question in QUESTIONS)
        for system in systems
    ]
    title = f"Ratings from 1 (bad) to 5 (excellent), mean and 95 % interval; {_counts(votes)}."
    return "\n".join([title, "", HEAD, *(f"{row} |" for row in rows), _agreement(votes, "ordinal")])


def _choices(votes: Sequence[Vote]) -> str:
    rows = [
        f"| {first} over {second} | "
        + " | ".join(
            _mean(100 * (2 - _grid(votes, question, (first, second))), " %") for question in QUESTIONS
        )
        for first, second in combinations(
            sorted({name for vote in votes for name in (vote.first, vote.second)}), 2
        )
        if any((vote.first, vote.second) == (first, second) for vote in votes)
    ]
    title = f"Choices: share for the first system, and 95 % interval; {_counts(votes)}."
    return "\n".join([title, "", HEAD, *(f"{row} |" for row in rows), _agreement(votes, "nominal")])


def _grid(votes: Sequence[Vote], question: str, systems: tuple[str, str] | None = None) -> np.ndarray:
    """Values (raters, items), NaN without a vote: of these systems by clip, or of all by clip and systems."""
    used = [
        vote for vote in votes if vote.question == question and systems in (None, (vote.first, vote.second))
    ]
    raters = {rater: row for row, rater in enumerate(sorted({vote.rater for vote in used}))}
    items = sorted({(vote.clip, vote.first, vote.second) for vote in used})
    columns = {item: column for column, item in enumerate(items)}
    grid = np.full((len(raters), len(items)), math.nan)
    for vote in used:
        grid[raters[vote.rater], columns[vote.clip, vote.first, vote.second]] = vote.value
    return grid


def _mean(grid: np.ndarray, unit: str = "") -> str:
    if not grid.size:
        return "-"
    low, high = crossed_interval(grid)
    digits = 0 if unit else 2
    interval = "" if math.isnan(low) else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{np.nanmean(grid):.{digits}f}{unit}{interval}"


def _agreement(votes: Sequence[Vote], level: Level) -> str:
    alphas = [krippendorff_alpha(_grid(votes, question), level) for question in QUESTIONS]
    cells = ["-" if math.isnan(alpha) else f"{alpha:.2f}" for alpha in alphas]
    return f"| *agreement (Krippendorff's alpha, {level})* | {' | '.join(cells)} |"


def _counts(votes: Sequence[Vote]) -> str:
    raters, clips = len({vote.rater for vote in votes}), len({vote.clip for vote in votes})
    return f"{len(votes)} votes, {raters} raters, {clips} clips"
