"""Lip sync: the sounds that do not belong to the picture, and the summary over clips."""

from __future__ import annotations

import numpy as np
import pytest

from lib.targets import lip_checks
from sonimate.errors import OptionOutOfRange
from sonimate.evaluate.curves import correlation
from sonimate.evaluate.lips import LipScore, pairing, shift_half, summarise


def test_nobody_gets_their_own_sound_or_that_of_their_own_speaker():
    speakers = ["a", "a", "a", "b", "c", "c", "d"]
    for index, other in enumerate(pairing(speakers)):
        assert speakers[index] != speakers[other]


def test_everybodys_sound_is_used_once_when_all_speakers_differ():
    assert sorted(pairing(list("abcdefg"))) == list(range(7))
    assert pairing(list("abcd")) == [2, 3, 0, 1]


def test_one_speaker_cannot_be_shuffled():
    with pytest.raises(OptionOutOfRange, match="two speakers"):
        pairing(["a", "a"])


def test_a_shift_by_half_its_length_keeps_the_sound_but_breaks_the_sync():
    envelope = np.convolve(np.random.default_rng(0).normal(size=408), np.hanning(9), mode="valid")
    shifted = shift_half(envelope)
    assert np.array_equal(np.sort(shifted), np.sort(envelope))
    assert abs(correlation(shifted, envelope)) < 0.2


def score(**changes: float) -> LipScore:
    values = dict.fromkeys(LipScore.__dataclass_fields__, 0.0) | {"r": 0.5, "amplitude": 1.0, "seconds": 40.0}
    return LipScore(**(values | {"clip": "x"} | changes))  # type: ignore[arg-type]


def test_late_and_early_lags_do_not_cancel():
    summary = summarise([score(lag_ms=-120.0), score(lag_ms=120.0)])
    assert summary["mean lag_ms"] == 0
    assert summary["median |lag_ms|"] == 120
    assert [check.name for check in lip_checks(summary) if not check.met] == ["median |lag| in ms"]


def test_a_long_clip_weighs_more_in_the_mean_by_second():
    summary = summarise([score(r=0.2, seconds=30.0), score(r=0.6, seconds=10.0)])
    assert summary["mean r"] == pytest.approx(0.4)
    assert summary["mean r by second"] == pytest.approx(0.3)
    assert summary["footage seconds"] == 40
    assert "seconds of footage" in [check.name for check in lip_checks(summary) if not check.met]
