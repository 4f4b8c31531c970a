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
from sonimate.media.files import replacing

HISTOGRAMS = (
    ("Head motion, m_t", lambda record: record["buckets"]["head"]),
    ("Expression, m_e", lambda record: record["buckets"]["expression"]),
    ("Length, seconds", lambda record: record["end_seconds"] - record["start_seconds"]),
    ("Offset of the mouth, frames", lambda record: record["sync"]["offset_frames"]),
)


@dataclass(frozen=True)
class StageCount:
    """How many samples entered a stage and why it rejected some. A file that is cut into several shots counts
    as several samples in all stages."""

    stage: str
    entered: int
    rejected: int
    reasons: dict[str, int]


@dataclass(frozen=True)
class Report:
    """sources: files of footage. clips: samples accepted, `seconds` of them. samples: clip, source, times and
    decision of each."""

    sources: int
    clips: int
    seconds: float
    stages: list[StageCount]
    samples: list[dict[str, Any]]


def write_report(out: Path, records: Sequence[dict[str, Any]], *, sources: int) -> Report:
    """Write report.json, report.md and distributions.png to `out` from the samples' records.

    Raises OutputNotWritable.
    """
    accepted = [record for record in records if record["rejection"] is None]
    seconds = sum(record["frames"] / record["fps"] for record in accepted)
    report = Report(
        sources, len(accepted), round(seconds, 2), count_stages(records), [_decision(r) for r in records]
    )
    with replacing(out / "report.json") as partial:
        partial.write_text(json.dumps(asdict(report), indent=1) + "\n")
    with replacing(out / "report.md") as partial:
        partial.write_text(_markdown(report), encoding="utf-8")
    with replacing(out / "distributions.png") as partial:
        plot_distributions(partial, accepted)
    return report


def count_stages(records: Sequence[dict[str, Any]]) -> list[StageCount]:
    """The counts of every stage, in order."""
    left, counts = len(records), []
    for stage in (stage.name for stage in STAGES):
        found = [record["rejection"] for record in records if record["rejection"]]
        reasons = Counter(rejection["reason"] for rejection in found if rejection["stage"] == stage)
        counts.append(StageCount(stage, left, reasons.total(), dict(sorted(reasons.items()))))
        left -= reasons.total()
    return counts


def _decision(record: dict[str, Any]) -> dict[str, Any]:
    rejection = record["rejection"]
    decision = "accepted" if rejection is None else f"{rejection['stage']}: {rejection['reason']}"
    detail = _sync_text(record) if rejection is None else rejection["detail"]
    names = ("clip", "source", "start_seconds", "end_seconds")
    return {**{name: record[name] for name in names}, "decision": decision, "detail": detail}


def _sync_text(record: dict[str, Any]) -> str:
    return "r {r:.2f} at {offset_frames:+d} frames, confidence {confidence:.2f}".format(**record["sync"])


def _markdown(report: Report) -> str:
    lines = [
        "# Prepared footage",
        "",
        f"{report.sources} files, {len(report.samples)} samples, {report.clips} accepted "
        f"({report.seconds:.1f} s).",
        "",
        "| stage | samples | rejected | reasons |",
        "|---|---|---|---|",
    ]
    for count in report.stages:
        reasons = ", ".join(f"{reason} ({number})" for reason, number in count.reasons.items())
        lines.append(f"| {count.stage} | {count.entered} | {count.rejected} | {reasons} |")
    lines += ["", "![distributions](distributions.png)", "", "| source | seconds | decision | detail |"]
    lines += ["|---|---|---|---|"]
    for sample in report.samples:
        times = f"{sample['start_seconds']:.2f} to {sample['end_seconds']:.2f}"
        lines.append(f"| {sample['source']} | {times} | {sample['decision']} | {sample['detail']} |")
    return "\n".join(lines) + "\n"


def plot_distributions(path: Path, accepted: Sequence[dict[str, Any]]) -> None:
    """Histograms of buckets, lengths and offsets of the accepted clips, as png."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    for axes, (title, value) in zip(figure.subplots(2, 2).flat, HISTOGRAMS, strict=True):
        axes.hist([value(record) for record in accepted], bins=20)
        axes.set_title(title)
        axes.set_ylabel("clips")
    figure.savefig(path, dpi=100, format="png")
