"""The command `sonimate`: parses and checks options, and turns errors into messages and exit codes.

Loads nothing heavy itself, so that help, the version and wrong options answer at once.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import time
from collections.abc import Sequence

import sonimate
from sonimate.apps import animate_options, models, prepare, train
from sonimate.apps.interrupts import unwinding_on_signals
from sonimate.errors import SonimateError

INTERRUPTED = 128 + signal.SIGINT
BROKEN_PIPE = 128 + 13
"""What a shell reports for a program that ended by SIGPIPE."""

RUNNERS = {
    "animate": "sonimate.apps.animate",
    "models": "sonimate.apps.models",
    "prepare": "sonimate.apps.prepare",
    "train": "sonimate.apps.train",
}
"""Modules whose `run(args)` performs a command; imported when it is asked for."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, by default the process's own, and return its exit code.

    0: done. 2: an error that the user can fix, told in one line. 130: Ctrl-C. 143: SIGTERM. Raises SystemExit
    for help and wrong options, as argparse does; what nobody foresaw keeps its traceback.
    """
    started = time.perf_counter()
    args = build_parser().parse_args(argv)
    args.started = started
    try:
        with unwinding_on_signals():
            importlib.import_module(RUNNERS[args.command]).run(args)
            sys.stdout.flush()
        return 0
    except SonimateError as error:
        print(f"sonimate: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("sonimate: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes standard output once more as it ends, which would complain again.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return BROKEN_PIPE


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="sonimate", description="One portrait and one voice recording become a talking video."
    )
    parser.add_argument("--version", action="version", version=f"sonimate {sonimate.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    animate_options.add_parser(commands)
    models.add_parser(commands)
    prepare.add_parser(commands)
    train.add_parser(commands)
    return parser
