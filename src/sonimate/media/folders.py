"""Folders that belong to one run: a record of what their results depend on, and a lock while a run writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sonimate.errors import FolderInUse, FolderOfAnotherRun
from sonimate.media.files import replacing, write_errors

LOCK = ".lock"
TAIL_BYTES = 1 << 20
LONGEST_VALUES = 120
"""Two values of a setting that are longer together, in characters, are left out of messages."""


@dataclass(frozen=True)
class FolderRecord:
    """A JSON file that says what the results beside it depend on, so that a run never continues the results
    of another one."""

    path: Path

    def read(self) -> dict[str, Any] | None:
        """The recorded values, or None if there is no record."""
        return json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else None

    def write(self, values: Mapping[str, Any]) -> None:
        """Replace the record; creates the folder. Raises OutputNotWritable."""
        with write_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as partial:
            partial.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")

    def check(self, values: Mapping[str, Any], *, advice: str = "Choose another folder.") -> None:
        """Compare the record with what this run would write: of the keys of `values`, those values.

        Raises FolderOfAnotherRun if there is no record, or naming what differs.
        """
        known = self.read()
        folder = self.path.parent
        if known is None:
            raise FolderOfAnotherRun(f"{folder} holds results, but no {self.path.name}. {advice}")
        wrong = differences({name: known.get(name) for name in values}, json.loads(json.dumps(values)))
        if wrong:
            raise FolderOfAnotherRun(
                f"{folder} holds results of another run, which differs in {', '.join(wrong)}. {advice}"
            )


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The names whose values differ, followed by both values where they are short; enters nested settings."""
    found: list[str] = []
    for name in {**old, **new}:
        one, other = old.get(name), new.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            nested = differences(cast(dict[str, Any], one), cast(dict[str, Any], other))
            found += nested if name == "settings" else [name] * bool(nested)
        elif one != other:
            values = f" ({one!r} there, {other!r} here)"
            found.append(name + values if len(values) < LONGEST_VALUES else name)
    return found


@contextmanager
def locked(folder: Path) -> Generator[None, None, None]:
    """Let one process at a time write to a folder, which is created; the lock ends with the process.

    Raises FolderInUse while another process holds the lock, and OutputNotWritable.
    """
    from filelock import FileLock, Timeout

    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = FileLock(folder / LOCK, blocking=False).acquire()
        except Timeout as error:
            raise FolderInUse(
                f"Another run is writing to {folder}. Wait until it has ended, or choose another folder."
            ) from error
    with lock:
        yield


def fingerprint(*parts: object) -> str:
    """24 hexadecimal digits that change with the `repr` of any part."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def files_fingerprint(folder: Path, pattern: str) -> str:
    """Changes with the files below a folder that match a glob pattern: their names, sizes and last megabyte.

    Quick for large weights; no two trained networks agree in all of these.
    """
    parts: list[tuple[str, int, bytes]] = []
    for path in sorted(folder.glob(pattern)):
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - TAIL_BYTES, 0))
            parts.append((path.relative_to(folder).as_posix(), size, hashlib.sha256(file.read()).digest()))
    return fingerprint(*parts)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
