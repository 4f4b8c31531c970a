"""Which frames the UNet sees together: a plan for every denoising step, as pure functions."""

from __future__ import annotations

from itertools import pairwise

from sonimate.configs import SamplingOptions
from sonimate.types import Plan


def step_plan(options: SamplingOptions, frames: int, step: int) -> Plan:
    """The windows of denoising step `step` (from 0) over `frames` frames, for sampling them jointly."""
    if options.windows == "shift":
        return shifted_windows(
            frames,
            step,
            window_frames=options.window_frames,
            shift_offset=options.shift_offset,
            overlap=options.overlap,
        )
    if options.windows == "independent":
        return independent_windows(frames, window_frames=options.window_frames)
    return overlapping_windows(frames, window_frames=options.window_frames, overlap=options.overlap)


def shifted_windows(
    frames: int, step: int, *, window_frames: int, shift_offset: int, overlap: int = 0
) -> Plan:
    """Time-aware position shift (paper alg. 1, NOTES 4.7): windows start at k * hop - step * shift_offset.

    Frames are a circle, so every window is full: it wraps, and holds frames twice where there are fewer
    frames than its length. Over the steps every frame meets every neighbour inside some window.
    """
    hop = window_frames - overlap
    shift = step * shift_offset
    return [
        [(start - shift + offset) % frames for offset in range(window_frames)]
        for start in range(0, frames, hop)
    ]


def overlapping_windows(frames: int, *, window_frames: int, overlap: int) -> Plan:
    """The same windows at every step, `overlap` frames shared by neighbours; the last ends with the video.

    One shorter window where there are fewer frames than its length.
    """
    last = max(frames - window_frames, 0)
    starts = [*range(0, last, window_frames - overlap), last]
    return [list(range(start, min(start + window_frames, frames))) for start in starts]


def independent_windows(frames: int, *, window_frames: int) -> Plan:
    """Windows that share no frame, as few as possible and of equal length but for one frame."""
    count = -(-frames // window_frames)
    bounds = [frames * index // count for index in range(count + 1)]
    return [list(range(start, stop)) for start, stop in pairwise(bounds)]
