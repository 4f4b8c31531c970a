"""The metrics of `sonimate evaluate`: modules that define them, each with a tuple METRICS."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from sonimate.errors import OptionOutOfRange
from sonimate.evaluate.metric import Metric

MODULES = (
    "sonimate.evaluate.standard_metrics",
    "sonimate.evaluate.lip_metrics",
    "sonimate.evaluate.own_metrics",
)
"""In the order of the report's columns."""


def all_metrics() -> tuple[Metric, ...]:
    """Every metric. Raises ValueError where two have the same name."""
    metrics = [metric for module in MODULES for metric in import_module(module).METRICS]
    names = [metric.name.lower() for metric in metrics]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"Two metrics are called {', '.join(twice)}.")
    return tuple(metrics)


def metrics_named(names: Sequence[str]) -> tuple[Metric, ...]:
    """The metrics with these names, in any case of letters. Raises OptionOutOfRange for an unknown name."""
    known = {metric.name.lower(): metric for metric in all_metrics()}
    if wrong := [name for name in names if name.lower() not in known]:
        raise OptionOutOfRange(
            f"There is no metric {', '.join(wrong)}. Choose from: "
            f"{', '.join(metric.name for metric in known.values())}."
        )
    return tuple(known[name.lower()] for name in dict.fromkeys(names))
