"""Times and memory of calls on a device, in parts with a time limit, as rows of results."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch

from lib.memory import peak_activation_bytes
from lib.random_model import Size
from lib.report import cell_text

GB = 1e9
NO_ROOM = "does not fit in the GPU's memory"


@dataclass
class Bench:
    """size, device: what is measured, and where. rows: the results so far."""

    size: Size
    device: torch.device
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, part: str, case: str, value: float | None, unit: str = "", note: str = "") -> None:
        """Keep and print one result. note: why there is no value, or what it means."""
        row = {"part": part, "case": case, "value": value, "unit": unit, "note": note}
        self.rows.append(row)
        shown = "" if value is None else cell_text(value)
        print(f"{part}: {case}: {shown} {unit} {note}".rstrip(), flush=True)

    @property
    def halves(self) -> dict[str, torch.dtype]:
        """The half-precision types to measure, by name."""
        return {name: getattr(torch, name) for name in self.size.halves}

    def synchronise(self) -> None:
        """Wait until the device has computed everything."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, compute: Callable[[], object]) -> float:
        """Median wall time of a call, after one that is not timed."""
        return median(self.times(compute, self.size.repeats + 1)[1:])

    def times(self, compute: Callable[[], object], calls: int) -> list[float]:
        """Wall time of each call."""
        found = []
        for _ in range(calls):
            self.synchronise()
            started = time.perf_counter()
            compute()
            self.synchronise()
            found.append(time.perf_counter() - started)
        return found

    def peak_gb(self, compute: Callable[[], object]) -> float:
        """Most memory of the GPU during a call, with the weights; on a CPU without them."""
        if self.device.type != "cuda":
            return peak_activation_bytes(compute) / GB
        self.free()
        torch.cuda.reset_peak_memory_stats(self.device)
        compute()
        return torch.cuda.max_memory_allocated(self.device) / GB

    def free(self) -> None:
        """Give memory of networks that are out of use back."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


class OutOfTime(BaseException):
    """The time of a part is over. Not an Exception, which torch's compiler would catch and wrap."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in the block after `seconds` of wall time."""

    def stop(*_: object) -> None:
        raise OutOfTime

    handler = signal.signal(signal.SIGALRM, stop)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *timer)


def run_part(bench: Bench, part: Callable[[Bench], None], seconds: float) -> None:
    """Run one part for at most `seconds`; what hinders it becomes a row."""
    if seconds <= 0:
        bench.add(part.__name__, "skipped", None, note="skipped: the time budget is spent")
        return
    try:
        with time_limit(seconds):
            part(bench)
    except OutOfTime:
        bench.add(part.__name__, "rest", None, note=f"cut off after {seconds:.0f} s")
    except torch.OutOfMemoryError:
        bench.add(part.__name__, "rest", None, note=NO_ROOM)
    except ImportError as error:
        bench.add(part.__name__, "rest", None, note=f"skipped: {error}")
    except Exception as error:  # one part's defect must not lose the others' results
        bench.add(part.__name__, "rest", None, note=f"failed: {type(error).__name__}: {str(error)[:200]}")
    bench.free()
