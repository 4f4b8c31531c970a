"""How long a job will still take, from its progress and from the last job's times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STAGES = ("read", "load", "listen", "move", "draw")
"""Of a job, in order; "draw" is the frames."""
USUAL_SECONDS = {"read": 0.5, "load": 2.0, "listen": 0.15, "move": 0.004, "draw": 0.06}
"""Before any job was done: of a file, of the model, of a second of sound, of a step and second, of a frame of
1024 px. Orders of magnitude only: the measured stages correct the later ones."""
FULL_PIXELS = 1024 * 1024


@dataclass(frozen=True)
class Size:
    """What decides the time of a job. seconds: of sound. pixels: of a frame."""

    seconds: float
    steps: int
    pixels: float
    loaded: bool

    def units(self) -> dict[str, float]:
        """How many times USUAL_SECONDS each stage takes."""
        frames = self.seconds * 25 * self.pixels / FULL_PIXELS
        work = (1.0, 0.0 if self.loaded else 1.0, self.seconds, self.steps * self.seconds, frames)
        return dict(zip(STAGES, work, strict=True))


def seconds_a_unit(report: Mapping[str, Any] | None) -> dict[str, float]:
    """Seconds of a unit of each stage in a finished run, with USUAL_SECONDS for what it does not tell."""
    if report is None:
        return dict(USUAL_SECONDS)
    size = Size(report["seconds"], report["options"]["steps"], report["width"] * report["height"], False)
    units, taken = size.units(), report["stages"]
    loads = report.get("model_loads", 1)
    known = {name: taken[name] / units[name] for name in STAGES if taken.get(name) and units[name]}
    return USUAL_SECONDS | {name: value for name, value in known.items() if name != "load" or loads}


@dataclass
class TimeLeft:
    """Of a running job. expected: seconds of each stage."""

    expected: dict[str, float]
    _started: dict[str, float] = field(default_factory=dict[str, float])

    def update(self, stage: str, done: int, total: int, now: float) -> tuple[float, float]:
        """The share of the job that is done, 0 .. 1, and the seconds that it will still take."""
        began = self._started.setdefault(stage, now)
        share = done / total if total else 1.0
        if share and stage in self.expected and now > began:
            self.expected[stage] = (now - began) / share
        place = STAGES.index(stage) if stage in STAGES else len(STAGES)
        before = sum(self.expected[name] for name in STAGES[:place])
        own = self.expected.get(stage, 0.0)
        left = own * (1 - share) + sum(self.expected[name] for name in STAGES[place + 1 :])
        return (before + own * share) / max(before + own * share + left, 1e-9), left
