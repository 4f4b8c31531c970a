"""Ctrl-C, SIGTERM and SIGHUP end a run by an exception, so that unfinished files are removed.

Python runs a signal's handler within whatever runs then, and libraries made by Cython swallow what a handler
raises while they load or make a traceback. So an exception that led to nothing is raised again, at the next
step that the run reports.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_raised: list[BaseException] = []


@contextmanager
def unwinding_on_signals() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt, SIGTERM and SIGHUP SystemExit, but for those that are ignored, as a
    shell has it for jobs in the background."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in (getattr(signal, name) for name in names)}
    usual = (signal.SIG_DFL, signal.default_int_handler)
    ours = {number: handler for number, handler in before.items() if handler in usual}
    for number in ours:
        signal.signal(number, _leave)
    try:
        yield
    finally:
        _raised.clear()
        for number, handler in ours.items():
            signal.signal(number, handler)


def raise_again() -> None:
    """Raise what a signal's handler raised, if the run goes on in spite of it."""
    if _raised:
        raise _raised[-1]


def _leave(number: int, _: FrameType | None) -> None:
    _raised.append(KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number))
    raise _raised[-1]
