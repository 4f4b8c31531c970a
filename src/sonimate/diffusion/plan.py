"""Windows of frames that the UNet sees together, for every denoising step."""

from __future__ import annotations

from itertools import pairwise

from sonimate.configs import SamplingOptions
from sonimate.types import Plan


def step_plan(options: SamplingOptions, frames: int, step: int) -> Plan:
    """The windows of denoising step `step` (from 0) over `frames` frames, denoised jointly."""
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


def frame_predictions(options: SamplingOptions, frames: int) -> int:
    """Latent frames that the UNet computes over all steps, for each guidance branch: the cost that equations
    5 to 7 of the paper count in windows. The motion-frames baseline, which is sequential, computes the
    windows of "overlap"."""
    return sum(len(window) for step in range(options.steps) for window in step_plan(options, frames, step))


def shifted_windows(
    frames: int, step: int, *, window_frames: int, shift_offset: int, overlap: int = 0
) -> Plan:
    """Time-aware position shift (paper alg. 1, NOTES 4.7): windows start at k * hop - step * shift_offset.

    Frame indices wrap around at the end, so every window is full; with fewer frames than its length it holds
    frames twice. Over the steps, any two neighbouring frames are together in some window.
    """
    hop = window_frames - overlap
    shift = step * shift_offset
    return [
        [(start - shift + offset) % frames for offset in range(window_frames)]
        for start in range(0, frames, hop)
    ]


def overlapping_windows(frames: int, *, window_frames: int, overlap: int) -> Plan:
    """The same windows at every step; neighbours share `overlap` frames, the last two more if needed.

    The last window ends with the video. With fewer frames than a window's length there is one shorter window.
    """
    last = max(frames - window_frames, 0)
    starts = [*range(0, last, window_frames - overlap), last]
    return [list(range(start, min(start + window_frames, frames))) for start in starts]


def independent_windows(frames: int, *, window_frames: int) -> Plan:
    """Windows that share no frame: as few as possible, their lengths equal or one frame apart."""
    count = -(-frames // window_frames)
    bounds = [frames * index // count for index in range(count + 1)]
    return [list(range(start, stop)) for start, stop in pairwise(bounds)]
