"""Votes in an SQLite file: each is on disk before the page hears that it was taken."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

from sonimate.errors import OutputNotWritable

TABLE = """
CREATE TABLE IF NOT EXISTS votes (
  rater TEXT NOT NULL, clip TEXT NOT NULL, first TEXT NOT NULL, second TEXT NOT NULL, question TEXT NOT NULL,
  value INTEGER NOT NULL, time TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (rater, clip, first, second, question))
"""
PUT = "INSERT OR REPLACE INTO votes (rater, clip, first, second, question, value) VALUES (?, ?, ?, ?, ?, ?)"
GET = "SELECT rater, clip, first, second, question, value FROM votes"
WAIT_SECONDS = 30


@dataclass(frozen=True)
class Vote:
    """first: the system that is rated 1 to 5, with `second` empty; or the two that were chosen from, in the
    order of their names, with value 1 or 2. A later vote of the same rater on the same replaces it."""

    rater: str
    clip: str
    first: str
    second: str
    question: str
    value: int


@dataclass(frozen=True)
class VoteFile:
    """Any number of threads and processes may use one at once. Raises OutputNotWritable."""

    path: Path

    def put(self, vote: Vote) -> None:
        """Returns when the vote will outlive the process and the machine."""
        with self._open() as file, file:
            file.execute(PUT, astuple(vote))

    def of_rater(self, rater: str) -> list[Vote]:
        with self._open() as file:
            return [Vote(*row) for row in file.execute(f"{GET} WHERE rater = ?", (rater,))]

    def all(self) -> list[Vote]:
        with self._open() as file:
            return [
                Vote(*row) for row in file.execute(f"{GET} ORDER BY rater, clip, first, second, question")
            ]

    @contextmanager
    def _open(self) -> Generator[sqlite3.Connection, None, None]:
        """Write-ahead, so that readers never wait; synchronous FULL, so that what is committed is on disk."""
        try:
            with closing(sqlite3.connect(self.path, timeout=WAIT_SECONDS)) as file:
                file.execute("PRAGMA journal_mode = WAL")
                file.execute("PRAGMA synchronous = FULL")
                file.execute(TABLE)
                yield file
        except sqlite3.Error as error:
            raise OutputNotWritable(f"The votes cannot be kept in {self.path} ({error}).") from error
