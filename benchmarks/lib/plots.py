"""Curves as png files; needs the `eval` extra (matplotlib)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""Label -> (x, y)."""
PANELS_A_ROW = 4


def plot_panels(path: Path, panels: Mapping[str, Series], *, x_label: str) -> Path:
    """One panel per title, four a row, each with its labelled lines over a common x axis; returns `path`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, columns = -(-len(panels) // PANELS_A_ROW), min(len(panels), PANELS_A_ROW)
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (title, lines) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(rows, columns, place)
        for label, (x, y) in lines.items():
            axes.plot(x, y, marker="o", markersize=3, label=label)
        axes.set_title(title)
        axes.set_xlabel(x_label)
        axes.grid(alpha=0.3)
        if len(lines) > 1:
            axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path
