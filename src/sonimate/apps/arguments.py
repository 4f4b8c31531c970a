"""Command-line arguments: tables of them, and types for argparse with errors that say what is allowed."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any, TypeAlias

from sonimate.configs import FRAME_RATES, FULL, GAZE_LIMITS, EyeOptions, Gaze, rates_text
from sonimate.errors import OptionOutOfRange

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # pyright: ignore[reportPrivateUsage]
Container: TypeAlias = "argparse._ActionsContainer"  # pyright: ignore[reportPrivateUsage]
"""What `add_subparsers` returns, and the base of parsers and groups: argparse names neither in public."""

Setting: TypeAlias = Callable[[str], object] | dict[str, Any]
"""Of an argument, for `add_arguments`: its type, or keywords for argparse."""

REQUIRED_PATH: dict[str, Any] = {"type": Path, "required": True}
"""Setting of an option that must be given, a file or folder."""


def add_arguments(parser: Container, table: str, **settings: Setting) -> None:
    """Add the arguments in a table, which looks like --help, to a parser or to a group of it.

    A row is "PORTRAIT  help", "-o, --output OUT.mp4  help", or "picture:", the title of a group of the rows
    below it. Two spaces or more stand before the help, which may go on in indented lines.
    settings: by the names of arguments; types with limits add these to the help. An option that shows no
    value and has no setting is a switch.
    Raises ValueError for settings of arguments that are not in the table.
    """
    group = parser
    for row in re.split(r"\n(?! )", dedent(table).strip()):
        form, _, text = re.sub(r"\s{2,}", "\n", row).partition("\n")
        if not text:
            group = parser.add_argument_group(form.removesuffix(":"))
            continue
        words = re.split(",? ", form) if form.startswith("-") else [form.lower(), form]
        names = [word for word in words if word.startswith("-")] or words[:1]
        values = words[len(names) :]
        setting = settings.pop(names[-1].lstrip("-").replace("-", "_"), {})
        keywords: dict[str, Any] = {"type": setting} if callable(setting) else {**setting}
        if values:
            keywords["metavar"] = tuple(values) if len(values) > 1 else values[0]
        elif not keywords:
            keywords = {"action": "store_true", "default": False}
        limits = getattr(keywords.get("type"), "limits", "")
        group.add_argument(
            *names, help=" ".join([*text.split(), limits and f"[{limits}]"]).strip(), **keywords
        )
    if settings:
        raise ValueError(f"no such arguments: {', '.join(settings)}")


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

    return _with_limits(parse, f"{low} to {high}", {"type": "integer", "minimum": low, "maximum": high})


def number(low: float, high: float) -> Callable[[str], float]:
    """An argparse type: a finite number from `low` to `high`."""

    def parse(text: str) -> float:
        value = _float(text)
        if not (math.isfinite(value) and low <= value <= high):
            raise argparse.ArgumentTypeError(f"{text!r} is not a finite number from {low:g} to {high:g}")
        return value

    return _with_limits(parse, f"{low:g} to {high:g}", {"type": "number", "minimum": low, "maximum": high})


def frame_rate(text: str) -> float:
    """An argparse type: one of FRAME_RATES."""
    value = _float(text)
    if value not in FRAME_RATES:
        raise argparse.ArgumentTypeError(f"{text!r} is not {rates_text(FRAME_RATES)}")
    return value


def face_box(text: str) -> tuple[float, float, float, float]:
    """An argparse type: x0,y0,x1,y1 with x0 < x1 and y0 < y1."""
    values = [_float(part) for part in text.split(",")]
    if len(values) == 4 and all(map(math.isfinite, values)):
        x0, y0, x1, y1 = values
        if x0 < x1 and y0 < y1:
            return x0, y0, x1, y1
    raise argparse.ArgumentTypeError(f"{text!r} is not X0,Y0,X1,Y1 in pixels with X0 < X1 and Y0 < Y1")


def mask_box(text: str) -> float | tuple[float, float, float, float]:
    """An argparse type: a scale from 0.5 to 3, or a box as `face_box` takes it."""
    return face_box(text) if "," in text else number(0.5, 3)(text)


def interval(text: str) -> tuple[float, float]:
    """An argparse type: low,high with 0 <= low < high <= the highest noise level."""
    values = [_float(part) for part in text.split(",")]
    if len(values) != 2 or not 0 <= values[0] < values[1] <= FULL.sigma_max:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not LOW,HIGH with 0 <= LOW < HIGH <= {FULL.sigma_max:g}"
        )
    return values[0], values[1]


def gaze(text: str) -> Gaze:
    """An argparse type: natural, steady, or x,y in degrees."""
    x, _, y = text.partition(",")
    value: Any = (_float(x), _float(y)) if y else text
    try:
        return EyeOptions(gaze=value).gaze
    except OptionOutOfRange:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not natural, steady, or X,Y in degrees with {GAZE_LIMITS}"
        ) from None


def speaker(text: str) -> tuple[int, str]:
    """An argparse type: the number of a face, "=", and a sound."""
    number, _, sound = text.partition("=")
    if not sound or not number.isdecimal() or int(number) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not N=SOUND with the number of a face, as in 1=a.wav")
    return int(number), sound


class SoundOfFace(argparse.Action):
    """Collects values of `speaker` in a dict. The sound of only one speaker, an argument, is then not
    required."""

    def __init__(self, *args: Any, sound_of_one: argparse.Action, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._sound_of_one = sound_of_one

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: Any = None) -> None:
        number, sound = values
        sounds: dict[int, str] = getattr(namespace, self.dest) or {}
        if number in sounds:
            raise argparse.ArgumentError(self, f"face {number} has two sounds: {sounds[number]} and {sound}")
        setattr(namespace, self.dest, {**sounds, number: sound})
        self._sound_of_one.required = False


def _with_limits(parse: Callable[[str], Any], limits: str, schema: dict[str, Any]) -> Callable[[str], Any]:
    """The type, with its limits for the help and as a JSON schema."""
    setattr(parse, "limits", limits)  # noqa: B010
    setattr(parse, "schema", schema)  # noqa: B010
    return parse


def _float(text: str) -> float:
    """The number, or NaN, which no range contains."""
    try:
        return float(text)
    except ValueError:
        return math.nan
