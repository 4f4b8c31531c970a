"""Standard streams in any state: closed, full, left by their reader, or of an encoding that lacks letters.

What a stream cannot take never stops a run: the video is made, and only the words are lost.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper

from sonimate.errors import OutputNotWritable

STREAMS = ("stdin", "stdout", "stderr")


def prepare_streams() -> None:
    """For a process's own streams: open closed ones on nothing, and escape letters that they cannot print.

    The next file that is opened would else take a closed stream's number, and with it what native code prints
    there.
    """
    for number, name in enumerate(STREAMS):
        stream = getattr(sys, name)
        if stream is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            stream = os.fdopen(number, "r" if name == "stdin" else "w")
            setattr(sys, name, stream)
        if name != "stdin" and isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Print a line on standard error, if it can be printed."""
    with suppress(OSError, ValueError):  # ValueError: the stream is closed
        print(text, file=sys.stderr, flush=True)


def publish(text: str = "") -> None:
    """Print a report on standard output, and send it. Raises BrokenPipeError if its reader left, else
    OutputNotWritable."""
    try:
        print(text, end="\n" if text else "", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        drop_unwritten()
        raise OutputNotWritable(
            f"The report cannot be written to standard output ({error.strerror}). Everything else is done."
        ) from error


def drop_unwritten() -> None:
    """Forget what standard output could not take, which Python would try again at its end."""
    with open(os.devnull, "w", encoding="utf-8") as devnull:
        os.dup2(devnull.fileno(), sys.stdout.fileno())
