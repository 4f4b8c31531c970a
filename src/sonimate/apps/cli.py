"""The command `sonimate`: parses and checks options, and turns errors into messages and exit codes.

Loads nothing heavy itself, so that help, the version and wrong options answer at once.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import sonimate
from sonimate.configs import COMPACT, MAX_BUCKET
from sonimate.errors import SonimateError

INTERRUPTED = 128 + signal.SIGINT
BROKEN_PIPE = 128 + 13
"""What a shell reports for a program that ended by SIGPIPE."""

MAX_SEED = 2**63 - 1
FRAME_RATES = (25.0, 12.5)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, by default the process's own, and return its exit code.

    0: done. 2: an error that the user can fix, told in one line. 130: Ctrl-C. 143: SIGTERM. Raises SystemExit
    for help and wrong options, as argparse does; what nobody foresaw keeps its traceback.
    """
    started = time.perf_counter()
    args = build_parser().parse_args(argv)
    try:
        with unwinding_on_signals():
            from sonimate.apps.animate import run

            run(args, started)
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


@contextmanager
def unwinding_on_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise SystemExit, as Ctrl-C raises: unfinished files are removed."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; defaults are those of the bundled model."""
    parser = argparse.ArgumentParser(
        prog="sonimate", description="One portrait and one voice recording become a talking video."
    )
    parser.add_argument("--version", action="version", version=f"sonimate {sonimate.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    animate = commands.add_parser(
        "animate",
        help="make a portrait speak",
        description="Animate the face in PORTRAIT to the sound of AUDIO.",
    )
    animate.add_argument("portrait", metavar="PORTRAIT", help="a picture with a face: jpg, png, webp, ...")
    animate.add_argument("audio", metavar="AUDIO", help="a recording, or a video with sound; 0.2 s or longer")
    _add_output_options(animate)
    _add_sampling_options(animate)
    _add_motion_options(animate)
    return parser


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    add = group.add_argument
    add("-o", "--output", required=True, metavar="OUT.mp4", help="the video to write")
    add(
        "--size",
        type=whole(64, 8192),
        default=1024,
        metavar="PX",
        help="shrink a longer side to this (default: %(default)s)",
    )
    add("--fps", type=frame_rate, default=25.0, help="frames per second, 25 (default) or 12.5")
    add("--json", action="store_true", help="print one JSON object about the run to standard output")
    add("--dry-run", action="store_true", help="check everything, print the plan, write nothing")
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--face",
        type=whole(1, 10_000),
        metavar="N",
        default=argparse.SUPPRESS,
        help="the Nth face from the left (default: the largest)",
    )
    which.add_argument(
        "--face-box",
        type=face_box,
        metavar="X0,Y0,X1,Y1",
        default=argparse.SUPPRESS,
        help="the face in this box of the picture, in pixels",
    )


def _add_sampling_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("model and sampling").add_argument
    add(
        "--model",
        default="compact",
        metavar="NAME|DIR",
        help="a bundled one (default: %(default)s) or a folder",
    )
    add(
        "--steps",
        type=whole(1, 1000),
        default=COMPACT.steps,
        metavar="N",
        help="denoising steps (default: %(default)s)",
    )
    add(
        "--seed",
        type=whole(0, MAX_SEED),
        default=COMPACT.seed,
        metavar="N",
        help="another seed gives other motion (default: %(default)s)",
    )
    add(
        "--image-guidance",
        type=number(),
        default=COMPACT.image_guidance,
        metavar="X",
        help="pull of the portrait; but 1, it costs time (default: %(default)s)",
    )
    add(
        "--audio-guidance",
        type=number(),
        default=COMPACT.audio_guidance,
        metavar="X",
        help="pull of the voice; more moves the mouth more (default: %(default)s)",
    )
    add(
        "--shift",
        type=whole(0, 1_000_000),
        default=COMPACT.shift_offset,
        metavar="N",
        help="frames by which windows move each step (default: %(default)s)",
    )
    add("--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda, cuda:1, ... or mps")


def _add_motion_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("motion").add_argument
    add(
        "--dynamic-scale",
        type=number(0.5, 2),
        default=COMPACT.dynamic_scale,
        metavar="X",
        help="0.5 mild, 1 moderate, 2 intense (default: %(default)s)",
    )
    for name, what in (("head-motion", "the head moves"), ("expression", "the face moves")):
        add(
            f"--{name}",
            type=number(0, MAX_BUCKET),
            default=argparse.SUPPRESS,
            metavar="X",
            help=f"how much {what}, 0 to 128 (default: as the voice asks)",
        )


def whole(low: int, high: int) -> Callable[[str], int]:
    """An argparse type: a whole number from `low` to `high`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return value

    return parse


def number(low: float = -math.inf, high: float = math.inf) -> Callable[[str], float]:
    """An argparse type: a finite number from `low` to `high`."""

    def parse(text: str) -> float:
        value = _float(text)
        if not (math.isfinite(value) and low <= value <= high):
            limits = "" if math.isinf(low) else f" from {low:g} to {high:g}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a finite number{limits}")
        return value

    return parse


def frame_rate(text: str) -> float:
    """An argparse type: one of FRAME_RATES."""
    value = _float(text)
    if value not in FRAME_RATES:
        raise argparse.ArgumentTypeError(f"{text!r} is not 25 or 12.5")
    return value


def face_box(text: str) -> tuple[float, float, float, float]:
    """An argparse type: x0,y0,x1,y1 with x0 < x1 and y0 < y1."""
    values = [_float(part) for part in text.split(",")]
    if (
        len(values) != 4
        or not all(map(math.isfinite, values))
        or values[0] >= values[2]
        or values[1] >= values[3]
    ):
        raise argparse.ArgumentTypeError(f"{text!r} is not x0,y0,x1,y1 in pixels with x0 < x1 and y0 < y1")
    x0, y0, x1, y1 = values
    return x0, y0, x1, y1


def _float(text: str) -> float:
    """The number, or NaN, which no range contains."""
    try:
        return float(text)
    except ValueError:
        return math.nan
