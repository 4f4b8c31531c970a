"""An evaluation as markdown, CSV, JSON and one page of HTML that needs no other file."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sonimate.errors import extra_needed
from sonimate.evaluate.metric import Better, Metric
from sonimate.evaluate.suite import REAL, Evaluation, Figure
from sonimate.evaluate.viewing import SeenClip, View
from sonimate.media.files import replacing, write_errors

ARROWS: dict[Better, str] = {"higher": " ↑", "lower": " ↓", "closer to real": " ≈"}
RUN_TIME = "run time (s)"
EXTREMES = 3
"""Best and worst clips shown of every metric and folder."""
THUMBNAIL_PX = 128
STYLE = """body{font:15px system-ui,sans-serif;margin:2em auto;max-width:1100px;padding:0 1em;color:#1b1b1b}
table{border-collapse:collapse;margin:1em 0;display:block;overflow-x:auto}
th,td{padding:.3em .7em;border-bottom:1px solid #ccc;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
figure{display:inline-block;margin:.3em .6em .3em 0;width:128px;font-size:12px;vertical-align:top}
figcaption{overflow-wrap:anywhere}img{border-radius:4px}svg{max-width:100%;height:auto}
.best b{color:#06612a}.worst b{color:#8f1d12}"""


def write_evaluation(
    folder: Path,
    evaluation: Evaluation,
    *,
    facts: Mapping[str, Any],
    run_times: Mapping[str, float],
    videos: Mapping[str, Mapping[str, Path]],
    view: View,
) -> None:
    """Write report.md, report.csv, report.json and report.html to a folder, which is created.

    facts: the protocol and what else the figures depend on. run_times: seconds by folder. videos: by folder
    and clip. Raises OutputNotWritable and ExtraMissing.
    """
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "report.md": markdown_report(evaluation, facts, run_times),
        "report.csv": clip_csv(evaluation),
        "report.json": json.dumps(as_json(evaluation, facts, run_times), indent=1) + "\n",
        "report.html": html_report(evaluation, facts, run_times, videos, view),
    }
    for name, text in contents.items():
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")


def figure_text(value: float, interval: tuple[float, float] | None = None) -> str:
    """A figure to three or four digits, with its interval; a dash where there is none."""
    if not math.isfinite(value):
        return "–"
    digits = max(0, 3 - math.floor(math.log10(max(abs(value), 1e-3))) - 1)
    text = f"{value:.{digits}f}"
    if interval and all(map(math.isfinite, interval)):
        text += f" [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"
    return text


def table_rows(evaluation: Evaluation, run_times: Mapping[str, float]) -> list[list[str]]:
    """Table 1 of the paper: a row for each folder, a column for each metric; the first row is the head."""
    heads = [f"{metric.title or metric.name}{ARROWS[metric.better]}" for metric in evaluation.metrics]
    rows = [["", *heads, RUN_TIME + ARROWS["lower"], "clips"]]
    for name, figures in evaluation.figures.items():
        cells = [figure_text(figures[m.name].value, figures[m.name].interval) for m in evaluation.metrics]
        clips = max((figure.clips for figure in figures.values()), default=0)
        rows.append([name, *cells, figure_text(run_times.get(name, math.nan)), str(clips)])
    return rows


def difference_rows(evaluation: Evaluation) -> list[list[str]]:
    """A row for each two folders: the first less the second, over the clips that both have."""
    rows = [["", *(metric.name for metric in evaluation.metrics)]]
    for (one, other), found in evaluation.differences.items():
        rows.append([f"{one} - {other}", *(figure_text(*found[m.name]) for m in evaluation.metrics)])
    return rows


def notes(evaluation: Evaluation) -> Iterator[tuple[str, list[str]]]:
    """Headings, each with what is to be said under it; none that says nothing."""
    sources = [f"{metric.name}: {metric.source}, {metric.better} is better" for metric in evaluation.metrics]
    yield "Metrics", sources
    skipped = [f"{name}: {reason}" for name, reason in evaluation.skipped.items()]
    unpaired = [f"{folder}: {name}" for folder, names in evaluation.unpaired.items() for name in names]
    for head, lines in (
        ("Absent metrics", evaluation.absences),
        ("Skipped videos", skipped),
        ("Unpaired videos", unpaired),
    ):
        if lines:
            yield head, lines


def markdown_report(evaluation: Evaluation, facts: Mapping[str, Any], run_times: Mapping[str, float]) -> str:
    """The tables and all that they depend on."""
    parts = ["# Evaluation", markdown_table(table_rows(evaluation, run_times))]
    parts.append("95 % intervals in brackets: bootstrap over clips; of scores of whole sets, jackknife.")
    if evaluation.differences:
        parts += ["## Differences, paired by clip", markdown_table(difference_rows(evaluation))]
    for head, lines in [*notes(evaluation), ("Protocol", [f"{k}: {v}" for k, v in facts.items()])]:
        parts += [f"## {head}", "\n".join(f"* {line}" for line in lines)]
    return "\n\n".join(parts) + "\n"


def markdown_table(rows: list[list[str]]) -> str:
    """Rows of equal length, the first of them the head."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def clip_csv(evaluation: Evaluation) -> str:
    """One line for each folder and clip, one column for each metric of clips."""
    metrics = [metric.name for metric in evaluation.metrics]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["folder", "clip", *metrics])
    for folder, figures in evaluation.figures.items():
        for clip in sorted({clip for figure in figures.values() for clip in figure.values}):
            writer.writerow([folder, clip, *(figures[name].values.get(clip, "") for name in metrics)])
    return text.getvalue()


def as_json(
    evaluation: Evaluation, facts: Mapping[str, Any], run_times: Mapping[str, float]
) -> dict[str, Any]:
    """All figures; null where there is none."""

    def shown(value: float, interval: tuple[float, float]) -> dict[str, Any]:
        return {"value": _number(value), "interval": [_number(end) for end in interval]}

    figures = {
        folder: {name: shown(f.value, f.interval) | {"clips": f.clips} for name, f in found.items()}
        for folder, found in evaluation.figures.items()
    }
    differences = [
        {"first": one, "second": other, "metrics": {name: shown(*found) for name, found in metrics.items()}}
        for (one, other), metrics in evaluation.differences.items()
    ]
    return {
        "protocol": dict(facts),
        "figures": figures,
        "differences": differences,
        "run_times_seconds": dict(run_times),
        "absent": evaluation.absent,
        "skipped": evaluation.skipped,
        "unpaired": evaluation.unpaired,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def html_report(
    evaluation: Evaluation,
    facts: Mapping[str, Any],
    run_times: Mapping[str, float],
    videos: Mapping[str, Mapping[str, Path]],
    view: View,
) -> str:
    """The tables, a plot of every metric, and thumbnails of its best and worst clips."""
    parts = ["<h1>Evaluation</h1>", _html_table(table_rows(evaluation, run_times))]
    parts.append("<p>95&nbsp;% intervals in brackets; ↑ higher, ↓ lower, ≈ closer to real is better.</p>")
    if evaluation.differences:
        parts += ["<h2>Differences, paired by clip</h2>", _html_table(difference_rows(evaluation))]
    for metric in evaluation.metrics:
        parts.append(f"<h2>{html.escape(metric.title or metric.name)}{ARROWS[metric.better]}</h2>")
        parts.append(f"<p>{html.escape(metric.source)}</p>")
        parts.append(_plot({name: figures[metric.name] for name, figures in evaluation.figures.items()}))
        for folder, clips in videos.items():
            figure = evaluation.figures[folder][metric.name]
            real = evaluation.figures[REAL][metric.name]
            parts += _extremes(folder, clips, metric, figure, real, view)
    for head, lines in [*notes(evaluation), ("Protocol", [f"{k}: {v}" for k, v in facts.items()])]:
        items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
        parts.append(f"<h2>{head}</h2><ul>{items}</ul>")
    body = "\n".join(parts)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Evaluation</title>'
        f"<style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def _html_table(rows: list[list[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:]
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _plot(figures: Mapping[str, Figure]) -> str:
    """Every clip a dot, the figure and its interval a bar: SVG."""
    with extra_needed("eval"):
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure as Canvas
    canvas: Any = Canvas(figsize=(8, 0.6 + 0.45 * len(figures)), layout="constrained")
    FigureCanvasSVG(canvas)
    axes: Any = canvas.subplots()
    for row, figure in enumerate(figures.values()):
        values = np.array(list(figure.values.values()), dtype=np.float64)
        values = values[np.isfinite(values)]
        spread = np.random.default_rng(0).uniform(-0.25, 0.25, len(values))
        axes.scatter(values, row + spread, s=9, alpha=0.35, color="#3a6ea5", linewidths=0)
        if math.isfinite(figure.value):
            axes.plot(figure.interval, (row, row), color="#1b1b1b")
            axes.plot(figure.value, row, marker="|", markersize=16, color="#1b1b1b")
    axes.set_yticks(range(len(figures)), list(figures))
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    text = io.StringIO()
    canvas.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def _extremes(
    folder: str, clips: Mapping[str, Path], metric: Metric, figure: Figure, real: Figure, view: View
) -> Iterator[str]:
    def badness(clip: str) -> float:
        value = figure.values[clip]
        if metric.better == "closer to real":
            return abs(value - real.values[clip])
        return value if metric.better == "lower" else -value

    order = sorted((clip for clip in figure.values if math.isfinite(badness(clip))), key=badness)
    if not order:
        return
    count = min(EXTREMES, (len(order) + 1) // 2)
    yield f"<h3>{html.escape(folder)}</h3>"
    for kind, chosen in (("best", order[:count]), ("worst", order[count:][-count:])):
        images = "".join(_thumbnail(clip, clips[clip], figure.values[clip], view) for clip in chosen)
        yield f'<div class="{kind}"><b>{kind}</b><br>{images}</div>'


def _thumbnail(clip: str, path: Path, value: float, view: View) -> str:
    shown = View(fps=2, crop=view.crop, size_px=THUMBNAIL_PX, seconds=view.seconds)
    caption = html.escape(f"{clip}: {figure_text(value)}")
    source = f"data:image/jpeg;base64,{_middle_frame(path, shown)}"
    return (
        f'<figure><img src="{source}" width="128" alt="{caption}"><figcaption>{caption}</figcaption></figure>'
    )


@lru_cache(maxsize=1000)
def _middle_frame(path: Path, view: View) -> str:
    """A JPEG in base 64. The same clips are the extremes of many metrics, and reading one takes seconds."""
    frames = list(SeenClip(path, view).frames())
    pixels = cv2.cvtColor(frames[len(frames) // 2], cv2.COLOR_RGB2BGR)
    return base64.b64encode(cv2.imencode(".jpg", pixels)[1].tobytes()).decode()
