"""Options of `sonimate speech`, apart from what makes it, so that --help states their defaults and loads
nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MEAN_SECONDS = 8.2
"""Of an utterance."""


@dataclass(frozen=True, kw_only=True)
class CorpusOptions:
    """minutes: of speech. seed: of all that is random. jobs: processes. recordings, transcripts, testdata:
    where Debian's packages put recordings, their texts, and pocketsphinx's test data."""

    minutes: float = 90.0
    seed: int = 0
    jobs: int = 1
    recordings: Path = Path("/usr/share/asterisk/sounds")
    transcripts: Path = Path("/usr/share/doc")
    testdata: Path = Path("/usr/share/pocketsphinx/test/data")

    @property
    def count(self) -> int:
        """Number of utterances."""
        return round(self.minutes * 60 / MEAN_SECONDS)
