"""What a job is, and its options: those of `sonimate animate`, from the table of its command line."""

from __future__ import annotations

import argparse
import math
import time
from argparse import Namespace
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

from sonimate.apps import arguments
from sonimate.apps.animate import PIPELINE_OPTIONS
from sonimate.apps.cli import build_parser
from sonimate.configs import FRAME_RATES
from sonimate.errors import InvalidJob, WrongUsage

FILES = ("portrait", "audio", "output")
NOT_FOR_JOBS = frozenset({"help", "overwrite", "json", "dry_run", "speaker", "c2pa", *FILES})
MACHINE_OPTIONS = frozenset({*PIPELINE_OPTIONS, "sequential_guidance", "decode_chunk"})
"""For whoever owns the machine."""

BOX: dict[str, Any] = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}
PAIR: dict[str, Any] = {**BOX, "minItems": 2, "maxItems": 2}
SCHEMAS: dict[Any, dict[str, Any]] = {
    arguments.frame_rate: {"type": "number", "enum": list(FRAME_RATES)},
    arguments.face_box: BOX,
    arguments.mask_box: {"anyOf": [{"type": "number"}, BOX]},
    arguments.interval: PAIR,
    arguments.gaze: {"anyOf": [{"type": "string", "enum": ["natural", "steady"]}, PAIR]},
}
"""Of the types whose values are not one number; types with limits have theirs with them."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A video to make. folder: relative paths begin there, and messages name the files as they are given
    here. options: names as in `option_schema`. log: a file to which what is printed meanwhile is added.
    only_check: whether its options and files make a video; write nothing, and report nothing."""

    portrait: str
    audio: str
    output: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    folder: str = "."
    log: str = ""
    only_check: bool = False

    @property
    def output_path(self) -> Path:
        return Path(self.folder, self.output).absolute()


@cache
def _actions() -> dict[str, argparse.Action]:
    """The options of `sonimate animate` by long name, with underscores."""
    commands = next(
        action for action in build_parser(["animate"])._actions if isinstance(action.choices, Mapping)
    )
    parser = cast("Mapping[str, argparse.ArgumentParser]", commands.choices)["animate"]
    named = {action.option_strings[-1]: action for action in parser._actions if action.option_strings}
    by_name = {name.lstrip("-").replace("-", "_"): action for name, action in named.items()}
    return {name: action for name, action in by_name.items() if name not in NOT_FOR_JOBS}


@cache
def not_for_clients() -> frozenset[str]:
    """Options that the clients of a service may not give: those of the machine, and those with free text,
    such as a path."""
    schemas = {name: _schema(action) for name, action in _actions().items()}
    free = {
        name for name, schema in schemas.items() if schema.get("type") == "string" and "enum" not in schema
    }
    return MACHINE_OPTIONS | free


@cache
def option_schema(without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The JSON schema of a job's options, an object without further properties."""
    properties = {name: _schema(action) for name, action in _actions().items() if name not in without}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _schema(action: argparse.Action) -> dict[str, Any]:
    values: dict[str, Any]
    if action.nargs == 0:
        values = {"type": "boolean"}
    elif action.choices:
        values = {"type": "string", "enum": list(action.choices)}
    else:
        values = SCHEMAS.get(action.type) or getattr(action.type, "schema", {"type": "string"})
    return {**values, "description": (action.help or "") % vars(action)}


def job_arguments(job: Job, *, without: Collection[str] = ()) -> Namespace:
    """The arguments of `sonimate animate` for a job; a video of that name is replaced.

    without: options that this job may not have. Raises InvalidJob.
    """
    words = ["animate", f"--output={job.output}", "--overwrite"]
    for name, value in job.options.items():
        action = _actions().get(name)
        if action is None or name in without:
            raise InvalidJob(
                f"{name!r} is no option of a job. Choose from: "
                + ", ".join(sorted(set(_actions()) - set(without)))
            )
        words += _words(name, action, value)
    from sonimate.apps.cli import parse

    try:
        args = parse([*words, "--", job.portrait, job.audio])
    except WrongUsage as error:
        raise InvalidJob(str(error).partition(" See sonimate")[0]) from error
    args.started = time.perf_counter()
    return args


def _words(name: str, action: argparse.Action, value: Any) -> list[str]:
    """An option on the command line. Raises InvalidJob for a value of another type than its schema's."""
    option, schema = action.option_strings[-1], _schema(action)
    if not any(_fits(value, form) for form in schema.get("anyOf", [schema])):
        raise InvalidJob(f"{name!r} = {_short(value)} is of the wrong type: {schema['description']}")
    if isinstance(value, bool):
        return [option] if value else []
    if isinstance(value, list):
        return [f"{option}={','.join(map(str, cast('list[Any]', value)))}"]
    return [f"{option}={value}"]


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a value is of the schema's type; argparse checks its limits."""
    match schema["type"]:
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list) and all(_is_number(each) for each in cast("list[Any]", value))
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case _:
            return _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def job_of_line(line: Mapping[str, Any], *, folder: str) -> Job:
    """The job of an object with "portrait", "audio", "output" and options. Raises InvalidJob."""
    for name in FILES:
        if not isinstance(line.get(name), str) or not line[name] or "\0" in line[name]:
            raise InvalidJob(f'A job needs "{name}": the path of a file.')
    options = {name: value for name, value in line.items() if name not in FILES}
    return Job(**{name: line[name] for name in FILES}, options=options, folder=folder)
