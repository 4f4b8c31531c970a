"""What a job is, and its options: those of `sonimate animate`, from the table of its command line."""

from __future__ import annotations

import argparse
import math
import re
import time
from argparse import Namespace
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

from sonimate.apps import arguments
from sonimate.apps.animate import PIPELINE_OPTIONS
from sonimate.apps.cli import build_parser
from sonimate.configs import FRAME_RATES, FULL, GAZE_X_DEGREES, GAZE_Y_DEGREES, TRANSPARENT
from sonimate.errors import InvalidJob, WrongUsage

FILES = ("portrait", "audio", "output")
NOT_FOR_JOBS = frozenset({"help", "overwrite", "json", "dry_run", *FILES})
MACHINE_OPTIONS = frozenset({*PIPELINE_OPTIONS, "sequential_guidance", "decode_chunk"})
"""For whoever owns the machine."""

BOX: dict[str, Any] = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}
TWO_FILES: dict[str, Any] = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}


def _pair(*limits: tuple[float, float]) -> dict[str, Any]:
    """The schema of two numbers with these limits."""
    numbers = [{"type": "number", "minimum": low, "maximum": high} for low, high in limits]
    return {"type": "array", "prefixItems": numbers, "minItems": 2, "maxItems": 2}


SCHEMAS: dict[Any, dict[str, Any]] = {
    arguments.frame_rate: {"type": "number", "enum": list(FRAME_RATES)},
    arguments.face_box: BOX,
    arguments.mask_box: {"anyOf": [{"type": "number", "minimum": 0.5, "maximum": 3}, BOX]},
    arguments.interval: _pair((0, FULL.sigma_max), (0, FULL.sigma_max)),
    arguments.speaker: {"type": "object", "additionalProperties": {"type": "string"}},
    arguments.gaze: {
        "anyOf": [
            {"type": "string", "enum": ["natural", "steady"]},
            _pair(GAZE_X_DEGREES, GAZE_Y_DEGREES),
        ]
    },
}
"""Of the types whose values are not one number; types with limits have theirs with them."""
FOR_CLIENTS: dict[str, dict[str, Any]] = {
    "background": {"type": "string", "pattern": "^([A-Za-z]+|#[0-9A-Fa-f]{6})$"}
}
"""Options of which the clients of a service may give these values only: keep, transparent or a colour here,
but no path."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A video to make. folder: relative paths begin there, and messages name the files as they are given
    here. audio: empty where the option `speaker` has the sounds. options: names as in `option_schema`.
    log: a file to which what is printed meanwhile is added.
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

    @property
    def inputs(self) -> list[str]:
        """The files that it reads, as they are given here; of a background that is a colour, its name."""
        sounds = [self.audio, *self.options.get("speaker", {}).values()]
        named = [self.portrait, *sounds, self.options.get("background", ""), *self.options.get("c2pa", ())]
        return [name for name in named if name]


def video_name(stem: str, options: Mapping[str, Any]) -> str:
    """The name of a video of these options, with an end of a format that can hold it."""
    return f"{stem}.webm" if options.get("background") == TRANSPARENT else f"{stem}.mp4"


@cache
def _parser() -> argparse.ArgumentParser:
    """That of `sonimate animate`."""
    commands = next(
        action for action in build_parser(["animate"])._actions if isinstance(action.choices, Mapping)
    )
    return cast("Mapping[str, argparse.ArgumentParser]", commands.choices)["animate"]


@cache
def _actions() -> dict[str, argparse.Action]:
    """The options of a job by name."""
    by_name = {_name(action): action for action in _parser()._actions if action.option_strings}
    return {name: action for name, action in by_name.items() if name not in NOT_FOR_JOBS}


def _name(action: argparse.Action) -> str:
    """The long name, with underscores."""
    return action.option_strings[-1].lstrip("-").replace("-", "_")


@cache
def option_schema(*, for_clients: bool = False) -> dict[str, Any]:
    """The JSON schema of a job's options, an object without further properties.

    for_clients: those that clients of a service may give: none of the machine, and no free text, such as a
    path.
    """
    properties = {name: _schema(action) for name, action in _actions().items()}
    if for_clients:
        properties |= {name: {**properties[name], **fewer} for name, fewer in FOR_CLIENTS.items()}
        allowed = {name for name, schema in properties.items() if not _has_free_text(schema)}
        properties = {name: properties[name] for name in properties if name in allowed - MACHINE_OPTIONS}
    groups = [
        {name for name in map(_name, group._group_actions) if name in properties}
        for group in _parser()._mutually_exclusive_groups
    ]
    without_others = {
        name: {"properties": dict.fromkeys(group - {name}, False)} for group in groups for name in group
    }
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "dependentSchemas": without_others,
    }


def _has_free_text(schema: Mapping[str, Any]) -> bool:
    """Whether a value of this schema may hold a text that is neither one of a list nor of a pattern."""
    inner = [*schema.get("anyOf", ()), schema.get("items"), schema.get("additionalProperties")]
    free = schema.get("type") == "string" and not {"enum", "pattern"} & set(schema)
    return free or any(_has_free_text(each) for each in inner if each)


def _schema(action: argparse.Action) -> dict[str, Any]:
    values: dict[str, Any]
    if action.nargs == 0:
        values = {"type": "boolean"}
    elif action.nargs == 2:
        values = TWO_FILES
    elif action.choices:
        values = {"type": "string", "enum": list(action.choices)}
    else:
        values = SCHEMAS.get(action.type) or getattr(action.type, "schema", {"type": "string"})
    return {**values, "description": (action.help or "") % vars(action)}


def job_arguments(job: Job, *, for_client: bool = False) -> Namespace:
    """The arguments of `sonimate animate` for a job; a video of that name is replaced.

    for_client: options are checked as those of a service's client. Raises InvalidJob.
    """
    allowed = option_schema(for_clients=for_client)["properties"]
    words = ["animate", f"--output={job.output}", "--overwrite"]
    for name, value in job.options.items():
        if name not in allowed:
            raise InvalidJob(f"{name!r} is no option of a job. Choose from: {', '.join(sorted(allowed))}")
        words += _words(name, value, allowed[name])
    from sonimate.apps.cli import parse

    try:
        args = parse([*words, "--", job.portrait, *([_no_pipe(job.audio)] if job.audio else [])])
    except WrongUsage as error:
        raise InvalidJob(str(error).partition(" See sonimate")[0]) from error
    args.started = time.perf_counter()
    return args


def _words(name: str, value: Any, schema: Mapping[str, Any]) -> list[str]:
    """An option on the command line. Raises InvalidJob for a value of another type than its schema's."""
    action = _actions()[name]
    option = action.option_strings[-1]
    fits = any(_fits(value, form) for form in schema.get("anyOf", [schema]))
    if not fits or (action.nargs == 2 and len(value) != 2):
        raise InvalidJob(f"{name!r} = {_short(value)} is of the wrong type: {schema['description']}")
    if isinstance(value, bool):
        return [option] if value else []
    if isinstance(value, dict):
        sounds = cast("dict[str, str]", value)
        return [f"{option}={number}={_no_pipe(sound)}" for number, sound in sounds.items()]
    if isinstance(value, list):
        parts = [*map(str, cast("list[Any]", value))]
        return [option, *parts] if action.nargs == 2 else [f"{option}={','.join(parts)}"]
    return [f"{option}={value}"]


def _no_pipe(sound: str) -> str:
    """A file, also where its name is the sign of standard input, by which a worker gets its jobs."""
    return "./-" if sound == "-" else sound


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a value is of the schema's type; argparse checks its limits."""
    match schema["type"]:
        case "boolean":
            return isinstance(value, bool)
        case "string":
            fits = isinstance(value, str) and "\0" not in value
            return fits and re.search(schema.get("pattern", ""), value) is not None
        case "array":
            return isinstance(value, list) and _all_fit(
                cast("list[Any]", value), schema.get("items", {"type": "number"})
            )
        case "object":
            if not isinstance(value, dict) or not value:
                return False
            return _all_fit(cast("dict[str, Any]", value).values(), schema["additionalProperties"])
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def _all_fit(values: Iterable[Any], schema: Mapping[str, Any]) -> bool:
    return all(_fits(value, schema) for value in values)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def job_of_line(line: Mapping[str, Any], *, folder: str) -> Job:
    """The job of an object with "portrait", "audio" or the option "speaker", "output" and options. Raises
    InvalidJob."""
    files = {name: line[name] for name in FILES if name in line}
    options = {name: value for name, value in line.items() if name not in FILES}
    if "speaker" in options:
        if "audio" in files:
            raise InvalidJob('A job has "audio" or "speaker", not both: each face has its own sound.')
        files["audio"] = "of each speaker"
    for name in FILES:
        if not isinstance(files.get(name), str) or not files[name] or "\0" in files[name]:
            raise InvalidJob(f'A job needs "{name}": the path of a file.')
    if "speaker" in options:
        files["audio"] = ""
    return Job(**files, options=options, folder=folder)
