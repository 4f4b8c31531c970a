"""A list of jobs and the folder of its videos: what is done, what is to do, and the report."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sonimate.apps.jobs.job_options import Job, job_arguments, job_of_line
from sonimate.apps.jobs.workers import Outcome
from sonimate.errors import FileMissing, InvalidJob, SonimateError
from sonimate.media.files import replacing, require_file

STATE, REPORT_JSON, REPORT_TEXT, LOGS = "state.jsonl", "report.json", "report.txt", "logs"
KEPT_FROM_REPORT = ("seconds", "wall_seconds", "model_loads", "seed", "warnings")


BAD_INPUT = frozenset(
    {
        "audio_too_short",
        "face_too_small",
        "file_missing",
        "image_too_large",
        "inputs_swapped",
        "invalid_job",
        "mouth_not_visible",
        "no_face_found",
        "unreadable_audio",
        "unreadable_image",
    }
)
"""Codes of errors that come again as long as the job and its files stay as they are."""


@dataclass(frozen=True)
class Entry:
    """A line of the list. name: for messages. key: changes with the job and with its files. reason: why it
    is no job, and then `job` is None."""

    line: int
    name: str
    key: str
    job: Job | None
    reason: SonimateError | None = None


def read_list(path: str | Path, folder: Path) -> list[Entry]:
    """The jobs of a JSON Lines file. Inputs are relative to the file, outputs to `folder`, and within it.

    A line that is no job becomes an entry with the reason. Raises FileMissing, FileNotReadable.
    """
    file = require_file(path)
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    entries: list[Entry] = []
    taken: set[Path] = set()
    for number, text in enumerate(lines, 1):
        if text.strip():
            entries.append(_entry(number, text, file.parent, folder, taken))
    if not entries:
        raise FileMissing(f"{path} holds no jobs. Write one JSON object a line.")
    return entries


def _entry(number: int, text: str, inputs: Path, folder: Path, taken: set[Path]) -> Entry:
    name = f"line {number}"
    try:
        try:
            line = json.loads(text)
        except ValueError as error:
            raise InvalidJob(f"This line is no JSON ({error}).") from error
        if not isinstance(line, dict):
            raise InvalidJob('This line is no JSON object with "portrait", "audio" and "output".')
        given = job_of_line(cast("dict[str, Any]", line), folder=str(inputs))
        name, output = given.output, (folder / given.output).resolve()
        if not output.is_relative_to(folder.resolve()):
            raise InvalidJob(f"{given.output} lies outside the folder of the videos. Give a name within it.")
        if output in taken:
            raise InvalidJob(f"{given.output} is the output of an earlier line, too. Choose another name.")
        taken.add(output)
        log = folder / LOGS / f"{given.output.replace(os.sep, '_')}.log"
        job = Job(
            portrait=given.portrait,
            audio=given.audio,
            output=str(output),
            options=given.options,
            folder=given.folder,
            log=str(log.absolute()),
        )
        job_arguments(job)
        return Entry(number, name, _key(job), job)
    except SonimateError as error:
        return Entry(number, name, hashlib.sha256(text.encode()).hexdigest(), None, error)


def _key(job: Job) -> str:
    """Of a job and the present state of its files: their sizes and times of change."""
    files: list[Any] = []
    for name in job.inputs:
        with suppress(OSError):
            state = os.stat(Path(job.folder, name))
            files.append((state.st_size, state.st_mtime_ns))
    parts = [job.portrait, job.audio, job.output, dict(job.options), files]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class BatchState:
    """What is done, in a file that only grows: a run that is killed at any time loses no finished job."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / STATE
        self.results: dict[str, dict[str, Any]] = {}
        if self._file.exists():
            for line in self._file.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError, KeyError):  # the last line of a killed run
                    result = json.loads(line)
                    self.results[result["key"]] = result

    def is_done(self, entry: Entry) -> bool:
        """Whether the entry's video was made and is still there as it was written, or its input is bad."""
        result = self.results.get(entry.key)
        if result is None:
            return False
        if result["status"] != "succeeded" or entry.job is None:
            return result["error"]["code"] in BAD_INPUT
        with suppress(OSError):
            return entry.job.output_path.stat().st_size == result["bytes"]
        return False

    def add(self, entry: Entry, outcome: Outcome, attempts: int) -> dict[str, Any]:
        """Record how a job ended."""
        result: dict[str, Any] = {
            "key": entry.key,
            "line": entry.line,
            "output": entry.name,
            "status": outcome.status,
            "attempts": attempts,
            "worker": outcome.pid,
        }
        if outcome.report is not None and entry.job is not None:
            result["bytes"] = entry.job.output_path.stat().st_size
            result |= {name: outcome.report.get(name) for name in KEPT_FROM_REPORT}
        else:
            result["error"] = outcome.error
        self.results[entry.key] = result
        with self._file.open("a", encoding="utf-8") as file:
            file.write(f"\n{json.dumps(result)}\n")
        return result


def write_batch_report(
    folder: Path, entries: Iterable[Entry], state: BatchState, made: int
) -> list[dict[str, Any]]:
    """Write report.json and report.txt. made: videos of this run. Returns the results that are failures."""
    results = [state.results[entry.key] for entry in entries if entry.key in state.results]
    failed = [result for result in results if result["status"] != "succeeded"]
    counts = {"jobs": len(results), "succeeded": len(results) - len(failed), "failed": len(failed)}
    counts["made_by_this_run"] = made
    with replacing(folder / REPORT_JSON) as partial:
        partial.write_text(json.dumps({**counts, "results": results}, indent=1) + "\n", encoding="utf-8")
    lines = [", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in counts.items())]
    lines += [
        f"{result['output']} (line {result['line']}): {result['error']['message']}" for result in failed
    ]
    with replacing(folder / REPORT_TEXT) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return failed
