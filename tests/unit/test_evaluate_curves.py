"""Correlation and lag of curves whose delay and agreement are known."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from sonimate.evaluate.curves import MAX_LAG_FRAMES, amplitude_ratio, best_lag, correlation, moved_earlier


def syllables(frames: int, seed: int = 0) -> np.ndarray:
    """A mouth that opens and closes irregularly, some four times a second."""
    noise = np.random.default_rng(seed).normal(size=frames + 8)
    return np.convolve(noise, np.hanning(9), mode="valid")


@pytest.mark.parametrize("late", [-8, -3, 0, 1, 5, 8])
def test_lag_is_recovered_and_positive_when_generated_comes_late(late: int):
    mouth = syllables(200)
    lag = best_lag(mouth[20 - late : 170 - late], mouth[20:170])
    assert lag.frames == pytest.approx(late, abs=0.125)
    assert lag.milliseconds == pytest.approx(40 * lag.frames)
    assert lag.r == pytest.approx(1)


@pytest.mark.parametrize("late_ms", [-113, -47, -20, 5, 15, 30, 75])
def test_lag_is_found_between_frames(late_ms: int):
    """Curves of 1 to 5 Hz, as of a mouth, at 25 fps."""
    rng = np.random.default_rng(4)
    rates, phases = rng.uniform(1, 5, 12), rng.uniform(0, 2 * np.pi, 12)

    def mouth(at: np.ndarray) -> np.ndarray:
        return np.sin(2 * np.pi * rates * at[:, None] + phases).sum(1)

    seconds = np.arange(150) / 25
    lag = best_lag(mouth(seconds - late_ms / 1000), mouth(seconds))
    assert lag.milliseconds == pytest.approx(late_ms, abs=5)


def test_lag_survives_noise_another_amplitude_and_another_length():
    mouth = syllables(300)
    noise = np.random.default_rng(1).normal(size=290) * mouth.std()
    lag = best_lag(3 * mouth[6:296] + 3 * noise + 5, mouth[10:])
    assert lag.frames == pytest.approx(4, abs=0.3)
    assert 0.5 < lag.r < 0.9


def test_lag_of_a_short_clip_stays_within_it():
    assert abs(best_lag(syllables(6), syllables(6, seed=1)).frames) <= 4 < MAX_LAG_FRAMES


def test_of_equal_delays_the_shortest_wins():
    assert best_lag(np.zeros(50), syllables(50)).frames == 0


def test_correlation_ignores_scale_and_offset_but_not_sign():
    mouth = syllables(100)
    assert correlation(2 * mouth + 1, mouth) == pytest.approx(1)
    assert correlation(-mouth, mouth) == pytest.approx(-1)
    assert correlation(np.ones(100), mouth) == 0
    assert correlation(np.concatenate([mouth, 9 * np.ones(5)]), mouth) == pytest.approx(1)


def test_correlation_agrees_with_numpy():
    a, b = syllables(80), syllables(80) + syllables(80, seed=2)
    assert correlation(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])


def test_amplitude_ratio_is_generated_over_real():
    mouth = syllables(100)
    assert amplitude_ratio(0.7 * mouth + 3, mouth) == pytest.approx(0.7)


@pytest.mark.parametrize("level", [0.0, 0.3, -1e6])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_constant_curve_correlates_with_nothing(level: float, dtype: type):
    still = np.full(57, level, dtype)
    assert correlation(still, syllables(57)) == 0
    assert correlation(syllables(57), still) == 0
    assert correlation(still, still) == 0


def test_the_unit_of_a_curve_changes_no_correlation():
    a, b = syllables(60), syllables(60, seed=3)
    assert correlation(1e-9 * a, b) == pytest.approx(correlation(a, b))


def test_fewer_than_two_frames_correlate_with_nothing_and_have_no_lag():
    assert correlation(np.empty(0), np.empty(0)) == correlation(np.ones(1), np.arange(9.0)) == 0
    with pytest.raises(ValueError, match="at least 2"):
        best_lag(np.ones(1), np.ones(5))


def test_confidence_tells_one_clear_delay_from_a_rhythm_that_repeats():
    noise = np.random.default_rng(0).normal(size=200)
    beat = np.tile([0.0, 1.0], 100)
    clear, repeating = best_lag(noise, noise), best_lag(beat, beat, max_frames=4)
    assert clear.confidence > 0.8
    assert repeating.r == pytest.approx(1)
    assert repeating.confidence == pytest.approx(0, abs=1e-9)


def test_curves_load_no_torch():
    line = "import sys, sonimate.evaluate.curves; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 0


@pytest.mark.parametrize("milliseconds", [-70.0, -40.0, 0.0, 13.0, 20.0, 100.0])
def test_a_curve_is_moved_without_losing_amplitude(milliseconds: float):
    """A 5 Hz curve, which linear interpolation would flatten by a fifth."""
    time = np.arange(500) / 25
    late = np.sin(2 * np.pi * 5 * (time - milliseconds / 1000)) * np.hanning(500)
    moved = moved_earlier(late, milliseconds)
    assert correlation(moved, np.sin(2 * np.pi * 5 * time) * np.hanning(500)) > 0.99
    assert moved.std() == pytest.approx(late.std(), rel=1e-3)
