"""What a user sees of a run: progress and warnings while it lasts, times and memory afterwards."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from sonimate.apps.interrupts import raise_again

try:
    import resource
except ImportError:  # Windows has no such counter
    resource = None

BYTES_PER_MB = 1e6
MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


class View(Protocol):
    """Where progress and warnings appear."""

    def update(self, stage: str, done: int, total: int, seconds: float) -> None: ...

    def say(self, text: str) -> None: ...

    def close(self) -> None: ...


class Lines:
    """A line on standard error for every finished stage: for logs."""

    def update(self, stage: str, done: int, total: int, seconds: float) -> None:
        if done == total:
            self.say(f"{stage} {seconds:.1f} s")

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Lines need no ending."""


class Bars:
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
        self._tasks = {}
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
    """Follows a run as its `Progress` callback and shows it on standard error, as bars on a terminal.

    seconds: by stage, in order; the time between two calls belongs to the stage of the later one.
    warnings: what the logger "sonimate" said within the `with` block, each once.
    """

    def __init__(self, started: float) -> None:
        super().__init__(logging.WARNING)
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []
        self._started = self._last = started
        self._view: View = Bars() if sys.stderr.isatty() else Lines()

    def __enter__(self) -> Self:
        logging.getLogger("sonimate").addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger("sonimate").removeHandler(self)
        self._view.close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        raise_again()
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
        self._view.update(stage, done, total, self.seconds[stage])

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self.warnings:
            self.warnings.append(message)
            self._view.say(f"sonimate: warning: {message}")

    @property
    def wall_seconds(self) -> float:
        return self._last - self._started


def peak_memory_mb() -> float | None:
    """Most memory this program ever held, in 10^6 bytes; None where the system does not count it.

    Linux counts it in /proc too, without what the program that started this one held.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / BYTES_PER_MB
    except (OSError, StopIteration):
        pass
    if resource is None:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_BYTES / BYTES_PER_MB
