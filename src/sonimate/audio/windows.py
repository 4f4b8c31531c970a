"""Hidden states at 50 Hz -> one window per generated frame (NOTES 1.1, 1.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import torch
from torch import Tensor
from torch.nn import functional

from sonimate.clock import HIDDEN_STATES_PER_VIDEO_FRAME, SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS
from sonimate.errors import OptionOutOfRange

TOKEN_ROWS = 10  # 0.2 s: 4 rows before the frame, 6 from it on
TOKEN_ROWS_BEFORE = 4
BUCKET_ROWS = 50  # 1 s: 24 rows before the frame, 26 from it on
BUCKET_ROWS_BEFORE = 24


def video_frames_per_frame(fps: float) -> int:
    """Video frames (40 ms of sound) in one generated frame: 2 at 12.5 fps, 1 at 25 fps.

    Raises OptionOutOfRange where `fps` does not divide 25.
    """
    ratio = round(VIDEO_FPS / fps) if fps > 0 else 0
    if ratio == 0 or ratio * fps != VIDEO_FPS:
        raise OptionOutOfRange(
            f"{fps} frames a second; choose a rate that divides {VIDEO_FPS:g}: 12.5 or 25."
        )
    return ratio


def frame_count(n_samples: int, fps: float) -> int:
    """Frames generated for `n_samples` at 16 kHz: whole video frames, then whole frames (NOTES 1.1)."""
    return n_samples // SAMPLES_PER_VIDEO_FRAME // video_frames_per_frame(fps)


def token_windows(hidden_states: Tensor, fps: float, *, lead: int = 0) -> Tensor:
    """(t, l, d) -> (n, 10, l, d): 0.2 s around each frame; zeros beyond the ends of the sound.

    lead: every window is taken so many rows later, so that the frames come earlier than their sound.
    """
    return _windows(hidden_states, fps, rows=TOKEN_ROWS, rows_before=TOKEN_ROWS_BEFORE - lead)


def bucket_windows(hidden_states: Tensor, fps: float, *, lead: int = 0) -> Tensor:
    """(t, l, d) -> (n, 50, 1, d): 1 s of the last layer around each frame, `lead` rows later; zeros beyond
    the ends."""
    return _windows(hidden_states[:, -1:], fps, rows=BUCKET_ROWS, rows_before=BUCKET_ROWS_BEFORE - lead)


def parts_with_context(blocks: Iterable[Tensor], *, rows: int, context: int) -> Iterator[tuple[Tensor, int]]:
    """Rows (t, ...) that come in blocks -> parts of `rows` rows, the last one of what is left, each with up
    to `context` rows of its neighbours on both sides; and how many of these come before it.

    context: at most `rows`.
    """
    held, before = None, 0
    for block in chain(blocks, [None]):
        if block is not None:
            held = block if held is None else torch.cat([held, block])
        wanted = 1 if block is None else rows + context
        while held is not None and len(held) - before >= wanted:
            yield held[: before + rows + context], before
            start = max(before + rows - context, 0)
            held, before = held[start:], before + rows - start


def _windows(hidden_states: Tensor, fps: float, *, rows: int, rows_before: int) -> Tensor:
    """Frame i takes rows [hop * i - rows_before, hop * i - rows_before + rows)."""
    unit = HIDDEN_STATES_PER_VIDEO_FRAME
    hop = unit * video_frames_per_frame(fps)
    whole = hidden_states[: len(hidden_states) // unit * unit]
    padded = functional.pad(whole, (0, 0, 0, 0, rows_before, rows - rows_before))
    return padded.unfold(0, rows, hop)[: len(whole) // hop].movedim(-1, 1)
