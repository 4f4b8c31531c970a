"""Stage `probe`: can the file be read, and does it have sound? The sound is decoded once, for all stages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.footage.sample import MIN_SECONDS, Sample
from sonimate.footage.sources import reading, safely
from sonimate.media.audio import stream_sound
from sonimate.media.video import read_video

STAGE = "probe"


def probe(sample: Sample) -> Iterator[Sample]:
    """A file -> the same with facts about its picture, and its sound at 16 kHz mono on disk.

    Rejected without sound, or if shorter than MIN_SECONDS. Raises the errors of an unreadable file.
    """
    with reading():
        info, _ = read_video(sample.source)
    known = sample.with_facts(STAGE, **asdict(info))
    if not info.has_sound:
        yield known.rejected(STAGE, "no sound")
        return
    with reading():
        sound = stream_sound(sample.source, mono=True).at_rate(SAMPLE_RATE_HZ)
    count = 0
    with sample.sound_file.open("wb") as file:
        for block in safely(sound.blocks):
            block.tofile(file)
            count += len(block)
    seconds = min(info.seconds, count / SAMPLE_RATE_HZ)
    short = seconds < MIN_SECONDS
    yield known.rejected(STAGE, "too short", f"{seconds:.2f} s") if short else known
