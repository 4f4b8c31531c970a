"""Blinks, brows and head motion on phones given by hand."""

import numpy as np
import pytest

from sonimate.speech.gestures import blinks, brows, head_motion
from sonimate.speech.phones import Phone


def speech(seconds: float, phrase: float = 1.5, pause: float = 0.5) -> list[Phone]:
    """Phrases of quarter-second syllables, every third stressed, with pauses between."""
    phones, at, count = [], 0.0, 0
    while at < seconds:
        for _ in range(round(phrase / 0.25)):
            phones += [Phone("t", at, at + 0.1), Phone("aa", at + 0.1, at + 0.25, count % 3 == 0)]
            at, count = at + 0.25, count + 1
        phones.append(Phone("sil", at, at + pause))
        at += pause
    return phones


def onsets(lids: np.ndarray) -> np.ndarray:
    return np.flatnonzero((lids[1:] >= 0.5) & (lids[:-1] < 0.5))


@pytest.mark.parametrize("per_minute", [10.0, 18.0, 25.0])
def test_blinks_come_at_about_the_asked_rate_and_close_fully(per_minute):
    lids = blinks(speech(1200), 1200.0, np.random.default_rng(1), per_minute=per_minute)
    count = len(onsets(lids)) / 20
    assert 0.65 * per_minute < count < 1.2 * per_minute
    assert lids.min() == 0
    assert lids.max() <= 1
    assert np.mean([lids[i : i + 6].max() for i in onsets(lids)]) > 0.85


def test_a_blink_closes_faster_than_it_opens_and_lasts_200_to_400_ms():
    lids = blinks(speech(600), 600.0, np.random.default_rng(2), per_minute=12.0)
    starts, ends = np.flatnonzero((lids[1:] > 0) & (lids[:-1] == 0)), []
    rising, falling = [], []
    for start in starts:
        end = start + 1 + int(np.argmax(lids[start + 1 :] == 0))
        ends.append(end)
        peak = start + int(np.argmax(lids[start:end]))
        rising.append(peak - start)
        falling.append(end - peak)
    assert 5 <= np.median(np.array(ends) - starts) <= 10
    assert np.mean(falling) > 1.2 * np.mean(rising)


def test_blinks_prefer_pauses():
    phones = speech(3000, phrase=6.0, pause=0.6)
    lids = blinks(phones, 3000.0, np.random.default_rng(3), per_minute=15.0)
    in_pause = np.zeros(len(lids), bool)
    for phone in phones:
        if phone.symbol == "sil":
            in_pause[int((phone.start_seconds - 0.2) * 25) : int(phone.end_seconds * 25)] = True
    at = onsets(lids)
    assert in_pause[at].mean() > 1.7 * in_pause.mean()


def test_brows_stay_in_range_scale_with_amplitude_and_need_stress():
    phones = speech(120)
    raised = [brows(phones, 120.0, np.random.default_rng(4), amplitude=a) for a in (0.0, 0.5, 1.0)]
    assert raised[0].max() == 0
    assert raised[1].mean() == pytest.approx(raised[2].mean() / 2, rel=1e-4)
    assert 0.3 < raised[2].max() <= 1
    flat = [Phone(p.symbol, p.start_seconds, p.end_seconds) for p in phones]
    assert brows(flat, 120.0, np.random.default_rng(4), amplitude=1.0).max() == 0


def test_head_motion_is_stationary_and_smooth():
    runs = np.stack(
        [head_motion(speech(40), 40.0, np.random.default_rng(seed), amplitude=1.0) for seed in range(60)]
    )
    early, late = runs[:, :250].std(axis=(0, 1)), runs[:, -250:].std(axis=(0, 1))
    np.testing.assert_allclose(early, late, rtol=0.3)
    assert np.abs(runs[..., 1:4].mean(axis=(0, 1))).max() < 0.03
    degrees = np.rad2deg(runs[..., :3].std(axis=(0, 1)))
    assert ((degrees > 1) & (degrees < 6)).all()
    assert np.rad2deg(np.abs(np.diff(runs[..., :3], axis=1)).max()) < 3


def test_head_motion_scales_with_amplitude():
    still, vivid = (head_motion(speech(20), 20.0, np.random.default_rng(5), amplitude=a) for a in (0.1, 2.0))
    np.testing.assert_allclose(vivid, 20 * still, rtol=1e-4, atol=1e-6)


def test_nods_lower_the_chin_on_stressed_vowels():
    phones = speech(30)
    times = np.array([p.start_seconds + p.seconds / 2 for p in phones if p.stressed])
    frames = np.round(times[times < 29] * 25).astype(int)
    pitch = np.stack(
        [head_motion(phones, 30.0, np.random.default_rng(s), amplitude=1.0)[:, 0] for s in range(80)]
    )
    assert pitch[:, frames].mean() > pitch[:, frames + 9].mean() + 0.005


def test_gestures_are_functions_of_the_seed():
    phones = speech(10)
    draws = [
        (
            blinks(phones, 10.0, np.random.default_rng(seed), per_minute=20.0),
            brows(phones, 10.0, np.random.default_rng(seed), amplitude=1.0),
            head_motion(phones, 10.0, np.random.default_rng(seed), amplitude=1.0),
        )
        for seed in (7, 7, 8)
    ]
    for first, again, other in zip(*draws, strict=True):
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)
