"""Hidden states at 50 Hz -> one window per generated frame (NOTES 1.1, 1.4)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from sonimate.errors import OptionOutOfRange

UNIT_SAMPLES = 640  # 40 ms at 16 kHz: sound is cut to whole 25 fps frames
UNIT_ROWS = 2
UNITS_HZ = 25
TOKEN_ROWS = 10  # 0.2 s: 4 rows before the frame, 6 from it on
TOKEN_ROWS_BEFORE = 4
BUCKET_ROWS = 50  # 1 s: 24 rows before the frame, 26 from it on
BUCKET_ROWS_BEFORE = 24


def units_per_frame(fps: float) -> int:
    """40 ms units a frame: 2 at 12.5 fps, 1 at 25 fps.

    Raises:
        OptionOutOfRange: `fps` does not divide 25.
    """
    units = round(UNITS_HZ / fps) if fps > 0 else 0
    if units == 0 or units * fps != UNITS_HZ:
        raise OptionOutOfRange(f"{fps} frames a second; choose a rate that divides {UNITS_HZ}: 12.5 or 25.")
    return units


def frame_count(n_samples: int, fps: float) -> int:
    """Frames generated for `n_samples` at 16 kHz: whole 40 ms units, then whole frames (NOTES 1.1)."""
    return n_samples // UNIT_SAMPLES // units_per_frame(fps)


def token_windows(hidden_states: Tensor, fps: float) -> Tensor:
    """(t, l, d) -> (n, 10, l, d): 0.2 s around each frame; zeros beyond the ends of the sound."""
    return _windows(hidden_states, fps, rows=TOKEN_ROWS, rows_before=TOKEN_ROWS_BEFORE)


def bucket_windows(hidden_states: Tensor, fps: float) -> Tensor:
    """(t, l, d) -> (n, 50, 1, d): 1 s of the last layer around each frame; zeros beyond the ends."""
    return _windows(hidden_states[:, -1:], fps, rows=BUCKET_ROWS, rows_before=BUCKET_ROWS_BEFORE)


def _windows(hidden_states: Tensor, fps: float, *, rows: int, rows_before: int) -> Tensor:
    """Frame i takes rows [hop * i - rows_before, hop * i - rows_before + rows)."""
    hop = UNIT_ROWS * units_per_frame(fps)
    whole = hidden_states[: len(hidden_states) // UNIT_ROWS * UNIT_ROWS]
    padded = functional.pad(whole, (0, 0, 0, 0, rows_before, rows - rows_before))
    frames = padded.unfold(0, rows, hop)[: len(whole) // hop]
    return frames.movedim(-1, 1)
