"""The folder of a run: what the run depends on, checkpoints that are complete or absent, and the loss of
every step."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sonimate.media.files import replacing
from sonimate.media.folders import FolderRecord

RECORD = "run.json"
LOSSES = "losses.jsonl"
"""One JSON object a step: step (from 0), loss (mean over the batch), rate."""
CHECKPOINT, PREVIOUS = "checkpoint", "checkpoint.previous"


class RunFolder:
    """Reads and writes the files of a run. A kill at any moment leaves them usable."""

    def __init__(self, path: Path):
        self.path = path
        self.partial = path / "checkpoint.partial"
        """Where the next checkpoint is written, before `publish_checkpoint`."""

    def claim(self, values: Mapping[str, Any], *, write: bool) -> None:
        """Make the folder belong to the run that depends on `values`. write: only one of several processes
        may.

        Raises FolderOfAnotherRun if the folder holds a checkpoint of another run, and OutputNotWritable.
        """
        record = FolderRecord(self.path / RECORD)
        if self.newest_checkpoint() is not None:
            again = f"repeat that run with its own settings, which {record.path} lists"
            record.check(values, advice=f"Choose another RUN folder, or {again}.")
        elif write:
            record.write(values)

    def newest_checkpoint(self) -> tuple[Path, int] | None:
        """The folder of the last complete checkpoint, and the number of steps done before it."""
        for name in (CHECKPOINT, PREVIOUS):
            steps = self.path / name / "step.json"
            if steps.exists():
                return self.path / name, json.loads(steps.read_text(encoding="utf-8"))["step"]
        return None

    def publish_checkpoint(self, step: int) -> None:
        """Make the partial checkpoint the newest one. At any moment, at least one checkpoint is complete."""
        (self.partial / "step.json").write_text(json.dumps({"step": step}), encoding="utf-8")
        newest, previous = self.path / CHECKPOINT, self.path / PREVIOUS
        shutil.rmtree(previous, ignore_errors=True)
        if newest.exists():
            newest.rename(previous)
        self.partial.rename(newest)
        shutil.rmtree(previous, ignore_errors=True)

    def losses(self) -> dict[int, float]:
        """Loss by step."""
        return {entry["step"]: entry["loss"] for entry in map(json.loads, self._loss_lines())}

    def append_loss(self, step: int, loss: float, rate: float) -> None:
        """Add the loss and the learning rate of a step."""
        with (self.path / LOSSES).open("a") as file:
            file.write(json.dumps({"step": step, "loss": loss, "rate": rate}) + "\n")

    def remove_losses_from(self, step: int) -> None:
        """Remove the losses of `step` and later steps, which will be done again."""
        if (self.path / LOSSES).exists():
            kept = [f"{line}\n" for line in self._loss_lines() if json.loads(line)["step"] < step]
            with replacing(self.path / LOSSES) as partial:
                partial.write_text("".join(kept), encoding="utf-8")

    def _loss_lines(self) -> list[str]:
        """All lines but an incomplete last one, which a kill may leave."""
        path = self.path / LOSSES
        return path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
