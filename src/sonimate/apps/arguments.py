"""Types of command-line arguments for argparse; their errors say what is allowed."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import TypeAlias

from sonimate.configs import FRAME_RATES

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # pyright: ignore[reportPrivateUsage]
"""What argparse's `add_subparsers` returns, which has no public name."""


def add_settings(
    parser: argparse.ArgumentParser, *rows: tuple[str, Callable[[str], object], object, str, str]
) -> None:
    """Add an option for each (flag, type, default, name of the value, help); the help states the default."""
    for flag, parse, default, metavar, text in rows:
        shown = f"{text} (default: %(default)s)"
        parser.add_argument(flag, type=parse, default=default, metavar=metavar, help=shown)


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


def mask_box(text: str) -> float | tuple[float, float, float, float]:
    """An argparse type: a scale from 0.5 to 3, or a box as `face_box` takes it."""
    return face_box(text) if "," in text else number(0.5, 3)(text)


def interval(text: str) -> tuple[float, float]:
    """An argparse type: low,high with 0 <= low < high."""
    values = [_float(part) for part in text.split(",")]
    if len(values) != 2 or not 0 <= values[0] < values[1]:
        raise argparse.ArgumentTypeError(f"{text!r} is not LOW,HIGH with 0 <= LOW < HIGH")
    return values[0], values[1]


def _float(text: str) -> float:
    """The number, or NaN, which no range contains."""
    try:
        return float(text)
    except ValueError:
        return math.nan
