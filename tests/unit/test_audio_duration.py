"""How many windows, latents and frames a sound takes, beside the reference implementation's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonimate.audio.duration import latents_shown, pad_to_windows, video_frames, window_count
from sonimate.audio.windows import frame_count
from sonimate.diffusion.plan import shifted_windows

LATENT_SAMPLES, WINDOW_SAMPLES = 1280, 32_000


def reference_windows(samples: int) -> int:
    """Of one step, by the plan that golden numbers hold (NOTES 4.7)."""
    return len(shifted_windows(frame_count(samples, 12.5), 0, window_frames=25, shift_offset=7))


@pytest.mark.parametrize(
    ("seconds", "windows"),
    [
        *((0.2, 1), (1.99, 1), (2.0, 1), (2.07, 1), (2.08, 2), (3.0, 2), (4.0, 2), (4.05, 2), (4.1, 3)),
        *((5.0, 3), (6.0, 3), (6.05, 3), (6.079, 3), (6.08, 4), (10.0, 5), (30.0, 15), (60.04, 30)),
    ],
)
def test_windows_are_those_of_the_reference(seconds: float, windows: int) -> None:
    samples = round(16_000 * seconds)
    assert window_count(samples, 12.5, 25) == reference_windows(samples) == windows


@given(samples=st.integers(3_200, 2_000_000))
def test_no_sound_takes_more_windows_than_the_reference_or_more_latents_than_one(samples: int) -> None:
    windows = window_count(samples, 12.5, 25)
    assert windows == reference_windows(samples)
    held = latents_shown(samples, as_reference=False) - 25 * windows
    assert held <= 1
    assert held < 1 or frame_count(samples, 12.5) == 25 * windows


@given(samples=st.integers(3_200, 500_000))
def test_shown_latents_suffice_for_both_frame_rates(samples: int) -> None:
    shown = latents_shown(samples, as_reference=False)
    assert video_frames(samples, 25, as_reference=False) in (2 * shown - 1, 2 * shown)
    assert video_frames(samples, 12.5, as_reference=False) <= shown
    assert latents_shown(samples, as_reference=True) == frame_count(samples, 12.5)


@pytest.mark.parametrize("samples", [1, 31_999, 32_000, 32_001, 33_279, 33_280, 96_000, 96_800])
def test_silence_fills_the_last_window_and_no_sound_is_cut(samples: int) -> None:
    padded = pad_to_windows(np.ones(samples, np.float32), 12.5, 25)
    assert padded.sum() == samples
    filled = window_count(samples, 12.5, 25) * WINDOW_SAMPLES
    assert filled <= len(padded) < filled + LATENT_SAMPLES
