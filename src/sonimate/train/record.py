"""What a run leaves in its folder: checkpoints that are whole or absent, and the loss of every step."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

CHECKPOINT, PREVIOUS, PARTIAL = "checkpoint", "checkpoint.previous", "checkpoint.partial"
LOSSES = "losses.jsonl"
"""One JSON object a step: step (from 0), loss (mean over the batch), rate."""


def newest_checkpoint(out: Path) -> tuple[Path, int] | None:
    """The folder of the last complete checkpoint and how many steps had been done."""
    for name in (CHECKPOINT, PREVIOUS):
        about = out / name / "step.json"
        if about.exists():
            return out / name, json.loads(about.read_text())["step"]
    return None


def publish_checkpoint(out: Path, step: int) -> None:
    """Make the partial checkpoint the newest one. A kill at any moment leaves one that is complete."""
    (out / PARTIAL / "step.json").write_text(json.dumps({"step": step}))
    shutil.rmtree(out / PREVIOUS, ignore_errors=True)
    if (out / CHECKPOINT).exists():
        (out / CHECKPOINT).rename(out / PREVIOUS)
    (out / PARTIAL).rename(out / CHECKPOINT)
    shutil.rmtree(out / PREVIOUS, ignore_errors=True)


def read_losses(out: Path) -> dict[int, float]:
    """Loss by step; a last line that a kill cut short is left out."""
    if not (out / LOSSES).exists():
        return {}
    lines = (out / LOSSES).read_text().split("\n")
    entries = [json.loads(line) for line in lines[:-1]]
    return {entry["step"]: entry["loss"] for entry in entries}


def append_loss(out: Path, step: int, loss: float, rate: float) -> None:
    """Add a line."""
    with (out / LOSSES).open("a") as file:
        file.write(json.dumps({"step": step, "loss": loss, "rate": rate}) + "\n")


def forget_losses_from(out: Path, step: int) -> None:
    """Leave out the steps that will be done again."""
    if not (out / LOSSES).exists():
        return
    lines = (out / LOSSES).read_text().split("\n")[:-1]
    kept = [f"{line}\n" for line in lines if json.loads(line)["step"] < step]
    partial = out / f"{LOSSES}.partial"
    partial.write_text("".join(kept))
    partial.replace(out / LOSSES)
