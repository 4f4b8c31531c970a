"""Speakers that a model never sees, to judge it by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from sonimate.errors import OptionOutOfRange, TooFewClips


class Spoken(Protocol):
    @property
    def speaker(self) -> str: ...


S = TypeVar("S", bound=Spoken)


def divide(samples: Sequence[S], held_out: Sequence[str]) -> tuple[list[S], list[S]]:
    """Samples to train on, and those of the held-out speakers: some, unless nobody is held out.

    Raises OptionOutOfRange: nobody has such a name. TooFewClips: nobody is left to train on.
    """
    speakers = sorted({sample.speaker for sample in samples})
    unknown = [name for name in held_out if name not in speakers]
    if unknown:
        raise OptionOutOfRange(
            f"held_out: nobody is named {', '.join(map(repr, unknown))}; there are {', '.join(speakers)}."
        )
    if samples and set(held_out) == set(speakers):
        raise TooFewClips(
            f"held_out names all {len(speakers)} speakers. Hold out fewer, or prepare footage of more."
        )
    return (
        [sample for sample in samples if sample.speaker not in held_out],
        [sample for sample in samples if sample.speaker in held_out],
    )
