"""Which clip this is: the one identity that shards, features, training and evaluation share."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

READABLE_LETTERS = 40
TEXT = re.compile(r"(?P<source>.*)#(?P<first_frame>\d+)@(?P<speed>[^@#]+)v(?P<version>\d+)", re.DOTALL)


@dataclass(frozen=True, order=True)
class ClipId:
    """A stretch of one file of footage, as it is or played in another way. Sorts by file, then by time.

    source: the file, relative to the folder of footage, with forward slashes.
    first_frame: where the clip begins in it, at 25 fps.
    speed: how fast it is played, picture and sound alike.
    version: 0 has the clip's own sound, 1 the same as another microphone might have recorded it.
    """

    source: str
    first_frame: int = 0
    speed: float = 1.0
    version: int = 0

    def __str__(self) -> str:
        """For messages and files: `a/b.mp4#60@0.9v1`. `parse` is the inverse."""
        return f"{self.source}#{self.first_frame}@{self.speed!r}v{self.version}"

    @classmethod
    def parse(cls, text: str) -> ClipId:
        """The inverse of `str`. Raises ValueError."""
        found = TEXT.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} names no clip: expected SOURCE#FRAME@SPEEDvVERSION")
        return cls(found["source"], int(found["first_frame"]), float(found["speed"]), int(found["version"]))

    @property
    def key(self) -> str:
        """A name for the clip's files, without suffix: at most 72 ASCII letters, digits, _ and -.

        It fits WebDataset, which ends keys at the first dot, and tar headers of 100 bytes. Unequal clips
        have unequal keys by their 64-bit digest. Keys are never parsed: the clip's text stands in its record.
        """
        readable = re.sub(r"[^A-Za-z0-9]+", "_", self.source)[:READABLE_LETTERS]
        digest = hashlib.sha256(str(self).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return f"{readable}-{self.first_frame:06d}-{digest}"

    @property
    def is_original(self) -> bool:
        """Whether picture and sound are those of the footage."""
        return self.speed == 1.0 and self.version == 0
