"""The command `sonimate`: parses the options, runs a verb, turns errors into messages and exit codes.

A verb is a module of this package with two functions: `add_parser(commands)`, which describes its options and
loads nothing heavy, and `run(args)`, which carries it out and raises SonimateError for what the user can fix.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

import sonimate
from sonimate.apps.interrupts import signals_as_exceptions
from sonimate.apps.streams import drop_unwritten, prepare_streams, publish, say
from sonimate.errors import SonimateError, WrongUsage

USING = ("animate", "batch", "serve", "web", "faces", "inspect", "models", "doctor", "completion")
TRAINING = (
    *("footage", "prepare", "speech", "features", "train", "recipe", "folds"),
    *("evaluate", "reproduce", "study"),
)
VERBS = USING + TRAINING
"""The verbs in the order of the help: each is a module sonimate.apps.VERB."""

BROKEN_PIPE = 128 + 13
EXIT_CODES = """exit codes:
  0    done
  1    a defect of sonimate: please report the traceback; of evaluate without one: videos were skipped
  2    an error that you can fix: the message says how; --json prints {"error": {"code": ..., "message": ...}}
  130  stopped by Ctrl-C
  141  the reader of the output closed it
  143  stopped by SIGTERM (129 by SIGHUP)
Unfinished files are removed. A signal that is ignored when sonimate starts, as by nohup, stays ignored."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, by default the process's own, and return its exit code (EXIT_CODES).

    Raises SystemExit for help, and SIGTERM or SIGHUP. Other errors than SonimateError are defects and keep
    their traceback.
    """
    started = time.perf_counter()
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        args = parse(argv)
        args.started = started
        with signals_as_exceptions():
            import_module(f"sonimate.apps.{args.command}").run(args)
            publish()
        return 0
    except SonimateError as error:
        if "--json" in argv:
            with suppress(OSError, SonimateError):  # the exit code tells it too
                publish(json.dumps({**error.report, "error": {"code": error.code, "message": str(error)}}))
        else:
            say(f"sonimate: error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("sonimate: interrupted")
        return 128 + signal.SIGINT
    except BrokenPipeError:
        drop_unwritten()
        return BROKEN_PIPE


def run_process() -> NoReturn:
    """Run the process's command line, and end the process with its exit code.

    After `animate` all files are closed and no thread works, so Python's own clean-up is left out: with torch
    loaded it takes 0.12 s.
    """
    prepare_streams()
    code = main()
    if sys.argv[1:2] == ["animate"]:
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options of a command line. Raises WrongUsage, and SystemExit for help."""
    verbs = [verb for verb in VERBS if [verb] == argv[:1]]
    args, unknown = build_parser(verbs or VERBS).parse_known_args(argv)
    if unknown:
        more = "s" * (len(unknown) > 1)
        raise WrongUsage(f"unknown argument{more}: {' '.join(unknown)}. See sonimate {args.command} --help.")
    return args


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors say what is wrong and where help is, without the usage of all options."""

    def error(self, message: str) -> NoReturn:
        """Raise WrongUsage."""
        raise WrongUsage(f"{message.removesuffix('.')}. See {self.prog} --help.")


def build_parser(verbs: Sequence[str] = VERBS) -> argparse.ArgumentParser:
    """The command line with some verbs, by default all of them."""
    parser = OneLineParser(
        prog="sonimate",
        description="One portrait and one voice recording become a talking video.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sonimate {sonimate.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for verb in verbs:
        import_module(f"sonimate.apps.{verb}").add_parser(commands)
    return parser
