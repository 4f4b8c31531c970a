import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sonimate.audio.windows import bucket_windows, frame_count, token_windows
from sonimate.errors import OptionOutOfRange


def numbered(rows: int) -> torch.Tensor:
    """Hidden states of the value row + layer / 10; rows count from 1, so that padding shows as 0."""
    return torch.arange(1, rows + 1)[:, None, None] + torch.arange(5)[None, :, None] / 10


@pytest.mark.parametrize(("fps", "hop"), [(12.5, 4), (25, 2)])
@pytest.mark.parametrize(("windows", "rows", "before"), [(token_windows, 10, 4), (bucket_windows, 50, 24)])
def test_window_rows(windows, rows, before, fps, hop):
    states = numbered(120)
    frames = windows(states, fps)
    assert len(frames) == 120 // hop
    for frame, window in enumerate(frames):
        for column, row in enumerate(range(hop * frame - before, hop * frame - before + rows)):
            assert window[column, -1, 0] == (states[row, -1, 0] if 0 <= row < 120 else 0)


@pytest.mark.parametrize(("windows", "before"), [(token_windows, 4), (bucket_windows, 24)])
def test_a_lead_takes_windows_later_and_loses_no_row(windows, before):
    led, plain = windows(numbered(40), 12.5, lead=1), windows(numbered(40), 12.5)
    assert led.shape == plain.shape
    torch.testing.assert_close(led[:, :-1], plain[:, 1:])
    assert led[0, before - 1, -1, 0] == numbered(40)[0, -1, 0]


def test_rows_past_the_last_whole_unit_are_silence():
    assert torch.equal(token_windows(numbered(41), 12.5), token_windows(numbered(40), 12.5))


def test_bucket_windows_see_the_last_layer_only():
    assert bucket_windows(numbered(60), 12.5).shape == (15, 50, 1, 1)


@given(n_samples=st.integers(0, 2_000_000), fps=st.sampled_from([12.5, 25]))
def test_frame_count_is_the_number_of_windows(n_samples, fps):
    states = torch.zeros(n_samples // 320, 1, 1)
    assert len(token_windows(states, fps)) == len(bucket_windows(states, fps)) == frame_count(n_samples, fps)


@pytest.mark.parametrize("fps", [0, -25, 24, 30, 12])
def test_rates_that_do_not_divide_25_are_refused(fps):
    with pytest.raises(OptionOutOfRange):
        frame_count(16_000, fps)
