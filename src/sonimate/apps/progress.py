"""What a user sees of a run: progress and warnings while it lasts, times and memory afterwards."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sonimate.apps.interrupts import raise_again
from sonimate.apps.streams import say

try:
    import resource
except ImportError:  # Windows has no such counter
    resource = None

if TYPE_CHECKING:
    from rich.progress import TaskID

BYTES_PER_MB = 1e6
SECONDS_BETWEEN_LINES = 60
MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


class Lines:
    """A line on standard error for every finished stage, and one a minute within a stage: for logs."""

    def __init__(self) -> None:
        self._seconds_at_line: dict[str, float] = {}

    def update(self, stage: str, done: int, total: int, seconds: float) -> None:
        if done == total:
            self.say(f"{stage} {seconds:.1f} s")
        elif seconds - self._seconds_at_line.setdefault(stage, 0.0) >= SECONDS_BETWEEN_LINES:
            self._seconds_at_line[stage] = seconds
            self.say(f"{stage} {done}/{total} {seconds:.0f} s")

    def say(self, text: str) -> None:
        say(text)

    def close(self) -> None:
        """Lines need no ending."""


class Nothing(Lines):
    """Shows nothing: for all processes of a run but the first."""

    def say(self, text: str) -> None: ...


class Bars(Lines):
    """A progress bar on standard error for every stage: for terminals."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description:<6}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._progress = Progress(*columns, console=Console(file=sys.stderr))
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def update(self, stage: str, done: int, total: int, seconds: float) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage)
        self._progress.update(self._tasks[stage], completed=done, total=total)

    def say(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        self._progress.stop()


class Watch(logging.Handler):
    """Shows the progress of a run on standard error: bars on a terminal, lines elsewhere.

    It is the progress callback of the run, called with (stage, done, total), and the handler of the logger
    "sonimate" within the `with` block: it shows messages of level INFO and above. Each call also raises the
    exception of a signal again that a library caught.

    seconds: of each stage, in order; the time between two calls belongs to the stage of the later one.
    warnings: messages of level WARNING and above, each once.
    started: time.perf_counter() at the start of the command. silent: show nothing. view: show it there.
    """

    def __init__(self, started: float, *, silent: bool = False, view: Lines | None = None) -> None:
        super().__init__(logging.INFO)
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []
        self._started = self._last = started
        self._view = view or (Nothing() if silent else Bars() if sys.stderr.isatty() else Lines())
        self._logger = logging.getLogger("sonimate")
        self._level = self._logger.level

    def __enter__(self) -> Self:
        self._logger.addHandler(self)
        self._logger.setLevel(logging.INFO)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.setLevel(self._level)
        self._logger.removeHandler(self)
        self._view.close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        raise_again()
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
        self._view.update(stage, done, total, self.seconds[stage])

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.levelno < logging.WARNING:
            self._view.say(message)
        elif message not in self.warnings:
            self.warnings.append(message)
            self._view.say(f"sonimate: warning: {message}")

    def measurements(self) -> dict[str, Any]:
        """Time and memory of the run, and its warnings, ready for JSON."""
        return {
            "wall_seconds": round(self._last - self._started, 3),
            "peak_memory_mb": peak_memory_mb(),
            "stages": {stage: round(seconds, 3) for stage, seconds in self.seconds.items()},
            "warnings": self.warnings,
        }


def memory_text(peak_mb: float | None) -> str:
    """A peak as a part of a sentence, which starts with a comma; empty for None."""
    return "" if peak_mb is None else f", {peak_mb:.0f} MB peak"


def peak_memory_mb() -> float | None:
    """Most memory this program ever held, in 10^6 bytes; None where the system does not count it.

    On Linux /proc counts it too, and leaves out what the program that started this one held.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / BYTES_PER_MB
    except (OSError, StopIteration):
        pass
    if resource is None:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_BYTES / BYTES_PER_MB
