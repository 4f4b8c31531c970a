"""The report on prepared footage: counts and reasons of every stage, the decision on every sample,
distributions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from sonimate.footage.prepare_stages import STAGES
from sonimate.footage.retiming import medians_of
from sonimate.footage.sync import lag_text
from sonimate.media.files import replacing

HISTOGRAMS = (
    ("Head motion, m_t", lambda record: record["buckets"]["head"]),
    ("Expression, m_e", lambda record: record["buckets"]["expression"]),
    ("Length, seconds", lambda record: record["end_seconds"] - record["start_seconds"]),
    ("Lag of the mouth before re-timing, ms", lambda record: record["sync"]["lag_ms"]),
)


@dataclass(frozen=True)
class StageCount:
    """How many samples entered a stage, and how often it rejected one for which reason. A file that is cut
    into several shots counts as several samples in all stages."""

    stage: str
    entered: int
    rejected: int
    reasons: dict[str, int]


@dataclass(frozen=True)
class Report:
    """sources: number of files of footage. clips, seconds: number and length of the accepted samples.
    medians: by source, the lag in ms that its uncertain clips are re-timed by. samples: clip, source, times,
    lag and decision of each."""

    sources: int
    clips: int
    seconds: float
    stages: list[StageCount]
    medians: dict[str, float]
    samples: list[dict[str, Any]]


def write_report(out: Path, records: Sequence[dict[str, Any]], *, sources: int) -> Report:
    """Write report.json, report.md and distributions.png to `out` from the samples' records.

    Raises OutputNotWritable.
    """
    accepted = [record for record in records if record["rejection"] is None]
    seconds = round(sum(record["frames"] / record["fps"] for record in accepted), 2)
    decisions = [_decision(record) for record in records]
    report = Report(sources, len(accepted), seconds, count_stages(records), medians_of(records), decisions)
    texts = {"report.json": json.dumps(asdict(report), indent=1) + "\n", "report.md": _markdown(report)}
    for name, text in texts.items():
        with replacing(out / name) as partial:
            partial.write_text(text, encoding="utf-8")
    with replacing(out / "distributions.png") as partial:
        plot_distributions(partial, accepted)
    return report


def count_stages(records: Sequence[dict[str, Any]]) -> list[StageCount]:
    """The counts of every stage, in order."""
    rejections = [record["rejection"] for record in records if record["rejection"]]
    left, counts = len(records), []
    for stage in STAGES:
        reasons = Counter(found["reason"] for found in rejections if found["stage"] == stage)
        counts.append(StageCount(stage, left, reasons.total(), dict(sorted(reasons.items()))))
        left -= reasons.total()
    return counts


def _decision(record: dict[str, Any]) -> dict[str, Any]:
    rejection = record["rejection"]
    decision = "accepted" if rejection is None else f"{rejection['stage']}: {rejection['reason']}"
    done = "sound moved by {delay_ms:+.0f} ms: {by}"
    detail = rejection["detail"] if rejection else done.format(**record["sync"])
    lag = lag_text(record["sync"]) if "sync" in record else ""
    facts = {name: record[name] for name in ("clip", "source", "collection", "start_seconds", "end_seconds")}
    return facts | {"decision": decision, "detail": detail, "lag": lag}


def _markdown(report: Report) -> str:
    counts = f"{report.sources} files, {len(report.samples)} samples, {report.clips} accepted"
    lines = ["# Prepared footage", "", f"{counts} ({report.seconds:.1f} s).", ""]
    lines += ["| stage | samples | rejected | reasons |", "|---|---|---|---|"]
    for count in report.stages:
        reasons = ", ".join(f"{reason} ({number})" for reason, number in count.reasons.items())
        lines.append(f"| {count.stage} | {count.entered} | {count.rejected} | {reasons} |")
    lines += ["", "![distributions](distributions.png)", ""]
    lines += ["| source | median lag of its certain clips, ms |", "|---|---|"]
    lines += [f"| {name} | {lag:+.0f} |" for name, lag in report.medians.items()]
    lines += ["", "| file | seconds | lag of the mouth | decision | detail |", "|---|---|---|---|---|"]
    for sample in report.samples:
        times = f"{sample['start_seconds']:.2f} to {sample['end_seconds']:.2f}"
        lines.append(
            f"| {sample['source']} | {times} | {sample['lag']} | {sample['decision']} | {sample['detail']} |"
        )
    return "\n".join(lines) + "\n"


def plot_distributions(path: Path, accepted: Sequence[dict[str, Any]]) -> None:
    """Histograms of buckets, lengths and offsets of the accepted clips, as png."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    for axes, (title, value) in zip(figure.subplots(2, 2).flat, HISTOGRAMS, strict=True):
        axes.hist([value(record) for record in accepted], bins=20)
        axes.set_title(title)
        axes.set_ylabel("clips")
    figure.savefig(path, dpi=100, format="png")
