"""What `sonimate animate` reports of a run and of a plan: JSON and lines of text."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonimate.apps.progress import memory_text

if TYPE_CHECKING:
    from sonimate.apps.forecast import PlannedVideo
    from sonimate.configs import SamplingOptions
    from sonimate.inputs import Inputs


def video_report(
    args: Namespace, video: PlannedVideo, inputs: Sequence[Inputs], sampling: SamplingOptions
) -> dict[str, Any]:
    """The video and the options, ready for JSON."""
    elsewhere = {
        "command",
        "portrait",
        "audio",
        "speaker",
        "output",
        "overwrite",
        "model",
        "json",
        "dry_run",
        "started",
    }
    options = {name: value for name, value in vars(args).items() if name not in elsewhere}
    return {
        "output": str(Path(args.output).absolute()),
        "seconds": video.frames / args.fps,
        **asdict(video),
        **faces_shown(inputs),
        "model": args.model,
        "seed": sampling.seed,
        "options": options | asdict(sampling),
    }


def faces_shown(inputs: Sequence[Inputs]) -> dict[str, Any]:
    """The box of the face, or the speakers, each with face, box and sound, ready for JSON."""
    boxes = [[round(side, 1) for side in one.face_box] for one in inputs]
    if inputs[0].number is None:
        return {"face_box": boxes[0]}
    return {
        "speakers": [
            {"face": one.number, "face_box": box, "audio": str(one.sound_path)}
            for one, box in zip(inputs, boxes, strict=True)
        ]
    }


def plan_text(report: dict[str, Any]) -> str:
    """The report of a dry run."""
    options = report["options"]
    faces = report.get("speakers", [report])
    boxes = " and ".join(", ".join(f"{side:.0f}" for side in face["face_box"]) for face in faces)
    return (
        f"{report['output']} would hold {report['seconds']:.2f} s: {report['frames']} frames of "
        f"{report['width']} x {report['height']} px at {options['fps']:g} fps.\n"
        f"Model {report['model']} on {report['device']}, windows: {report['windows']}, steps: "
        f"{options['steps']}, seed: {report['seed']}, face at {boxes} in the picture.\n"
        f"It would take about {report['predicted_seconds']:.0f} s and {report['predicted_memory_mb']} MB."
    )


def summary_text(report: dict[str, Any]) -> str:
    """The report of a run, one line."""
    memory = memory_text(report["peak_memory_mb"])
    between = f" (interpolated frames by {report['interpolation']})" if report["interpolation"] else ""
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report["stages"].items())
    return (
        f"{report['output']}: {report['seconds']:.2f} s of {report['width']} x {report['height']} px"
        f"{between} in {report['wall_seconds']:.1f} s, {report['realtime_factor']:.2f} x real time{memory} "
        f"({stages}); seed {report['seed']}"
    )
