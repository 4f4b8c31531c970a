"""Several sounds as one: they begin together and last as long as the longest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest

import numpy as np

from sonimate.media.audio import Sound

OpenSound = Callable[[], Sound]
"""Opens a sound anew, to be read once."""


def mixed(sounds: Sequence[OpenSound]) -> Sound:
    """The sum of sounds, at the highest of their rates, in stereo if one of them is. Where it would exceed
    full scale, all of it is made as much quieter as its loudest sample needs; to know that, the sounds are
    read twice. One sound stays as it is.

    Raises the errors of the sounds, also while blocks are read.
    """
    if len(sounds) == 1:
        return sounds[0]()
    first = [sound() for sound in sounds]
    rate_hz, channels = max(sound.rate_hz for sound in first), max(sound.channels for sound in first)
    peak = max((float(np.abs(block).max()) for block in _sums(first, rate_hz, channels)), default=0.0)
    again = _sums([sound() for sound in sounds], rate_hz, channels)
    return Sound((block / max(peak, 1.0) for block in again), rate_hz, channels)


def _sums(sounds: Sequence[Sound], rate_hz: int, channels: int) -> Iterator[np.ndarray]:
    """Sums, block by block, each of a second, the last one shorter."""
    streams = [
        _seconds(sound.blocks if sound.rate_hz == rate_hz else sound.at_rate(rate_hz).blocks, rate_hz)
        for sound in sounds
    ]
    for blocks in zip_longest(*streams, fillvalue=np.zeros((0, 1), np.float32)):
        total = np.zeros((max(map(len, blocks)), channels), np.float32)
        for block in blocks:
            total[: len(block)] += block
        yield total


def _seconds(blocks: Iterable[np.ndarray], rate_hz: int) -> Iterator[np.ndarray]:
    """The same sound in blocks of exactly `rate_hz` samples, the last one shorter."""
    kept: list[np.ndarray] = []
    count = 0
    for block in blocks:
        kept.append(block)
        count += len(block)
        if count >= rate_hz:
            joined = np.concatenate(kept)
            whole = count // rate_hz * rate_hz
            yield from joined[:whole].reshape(-1, rate_hz, joined.shape[1])
            kept, count = [joined[whole:]], count - whole
    if count:
        yield np.concatenate(kept)
