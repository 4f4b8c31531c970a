"""Child processes of tests, and the signals that they and their parent obey."""

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DEFAULT_HANDLERS = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}


@contextmanager
def signal_handlers(handlers: dict[signal.Signals, Any]) -> Iterator[None]:
    """Set the handlers of some signals within the block; children started there inherit which are ignored."""
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def child_process(
    command: Sequence[str | Path], *, ignored: Sequence[signal.Signals] = (), **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """A child that obeys all signals but the `ignored` ones, however this process was started. It is killed
    at the end of the block if it still runs then. options: of Popen."""
    handlers = DEFAULT_HANDLERS | dict.fromkeys(ignored, signal.SIG_IGN)
    with signal_handlers(handlers):
        process = subprocess.Popen([str(word) for word in command], text=True, **options)
    with process:  # closes its pipes and waits for it
        try:
            yield process
        finally:
            process.kill()
