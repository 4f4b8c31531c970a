"""Ctrl-C, SIGTERM and SIGHUP end a run by an exception, so that unfinished files are removed.

Python runs a signal's handler inside whatever code runs at that moment, and some libraries (Cython modules
while they are imported, or while they build a traceback) catch every exception and go on. So the exception is
kept, and raised again at the next step that the run reports.
"""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

_raised: list[BaseException] = []


@contextmanager
def signals_as_exceptions() -> Generator[None]:
    """Within the block, SIGINT raises KeyboardInterrupt, SIGTERM and SIGHUP raise SystemExit(128 + number).

    A signal that was ignored before the block stays ignored: `nohup` and shells ask for that when they start
    a program in the background. A handler that another program part has set stays, too.
    """
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    default = (signal.SIG_DFL, signal.default_int_handler)
    replaced = {number: handler for number in numbers if (handler := signal.getsignal(number)) in default}
    for number in replaced:
        signal.signal(number, _raise_for)
    try:
        yield
    finally:
        _raised.clear()
        for number, handler in replaced.items():
            signal.signal(number, handler)


def raise_again() -> None:
    """Raise the exception of a signal again if a library caught it and the run goes on."""
    if _raised:
        raise _raised[-1]


def _raise_for(number: int, _: FrameType | None) -> None:
    _raised.append(KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number))
    raise _raised[-1]
