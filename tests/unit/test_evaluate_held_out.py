"""The score of an animated clip rises and falls as it must when its curves are damaged in a known way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lib.targets import held_out_checks
from sonimate.evaluate.curves import moved_earlier
from sonimate.evaluate.face_curves import ShapeCurves
from sonimate.evaluate.held_out import LEAD_MS, HeldOutScore, compare
from sonimate.evaluate.lips import Clip
from sonimate.footage.retiming import OWN

FRAMES = 500


def band_limited(count: int, seed: int) -> np.ndarray:
    """(FRAMES, count) curves of unit variance up to 6 Hz."""
    spectrum = np.random.default_rng(seed).normal(size=(FRAMES // 2 + 1, count, 2)) @ [1, 1j]
    spectrum[np.fft.rfftfreq(FRAMES, 1 / 25) > 6] = 0
    curves = np.fft.irfft(spectrum, FRAMES, axis=0)
    return curves / curves.std(0)


def speaking(seed: int = 0) -> ShapeCurves:
    """A face whose lips move in two ways: they open, and they widen."""
    opening, width, brows, across, down = band_limited(5, seed).T
    ways = np.linalg.qr(np.random.default_rng(9).normal(size=(80, 2)))[0].T
    lips = np.outer(5 * opening, ways[0]) + np.outer(4 * width, ways[1])
    return ShapeCurves(
        opening=10 + 5 * opening,
        width=50 + 4 * width,
        lips=lips.reshape(FRAMES, 40, 2),
        brows=20 + brows,
        gaze=np.stack([across, 0.1 * down], axis=1),
        eyes=np.full(FRAMES, 0.3),
    )


def score(own: ShapeCurves, real: ShapeCurves | None = None) -> HeldOutScore:
    return compare(clip_of(real or speaking()), own, speaking(seed=1))


def clip_of(shapes: ShapeCurves, delay_ms: float = 0.0, retimed_by: str = OWN) -> Clip:
    """A clip of which only the curves count."""
    unused: Any = None
    return Clip("clip", "clip", "someone", unused, unused, unused, shapes, delay_ms, retimed_by)


def test_a_clip_against_itself_is_perfect():
    perfect = score(speaking())
    for name in ("opening_r", "width_r", "opening_amplitude", "width_amplitude", "dimensions_ratio"):
        assert getattr(perfect, name) == pytest.approx(1), name
    for name in ("band_4_6", "band_4_8", "brows", "gaze"):
        assert getattr(perfect, name) == pytest.approx(1), name
    assert perfect.lag_ms == pytest.approx(0, abs=1e-6)
    assert abs(perfect.shuffled_r) < 0.2
    checks, _ = held_out_checks([perfect])
    assert [check.name for check in checks if not check.met] == []


@pytest.mark.parametrize("factor", [0.25, 0.5, 2.0])
def test_a_scaled_width_shows_in_its_amplitude_alone(factor: float):
    real = speaking()
    scaled = score(replace(real, width=50 + factor * (real.width - 50)))
    assert scaled.width_amplitude == pytest.approx(factor)
    assert scaled.opening_amplitude == pytest.approx(1)
    assert scaled.width_r == pytest.approx(1)


def test_a_jaw_on_a_photo_has_one_dimension():
    real = speaking()
    opening = np.outer(real.opening, np.arange(80.0)).reshape(FRAMES, 40, 2)
    jaw = score(replace(real, lips=opening))
    assert jaw.dimensions == pytest.approx(1)
    assert jaw.pc1 == pytest.approx(1)
    assert jaw.dimensions_ratio < 0.6
    assert jaw.real_pc1 + jaw.real_pc2 == pytest.approx(1)


@pytest.mark.parametrize("frames", [-3, 2, 5])
def test_a_late_mouth_is_late_also_against_the_clip_as_filmed(frames: int):
    real = speaking()
    late = replace(real, opening=np.roll(real.opening, frames), width=np.roll(real.width, frames))
    found = compare(clip_of(real, delay_ms=-50.0), late, real)
    assert found.lag_ms == pytest.approx(40 * frames, abs=1)
    assert found.raw_lag_ms == pytest.approx(40 * frames + 50, abs=1)
    assert found.opening_r < 0.9


def test_a_mouth_that_leads_as_meant_loses_nothing():
    real = speaking()
    early = replace(
        real, opening=moved_earlier(real.opening, LEAD_MS), width=moved_earlier(real.width, LEAD_MS)
    )
    found = score(early)
    assert found.lag_ms == pytest.approx(-LEAD_MS, abs=2)
    assert found.opening_r < 0.95
    assert found.opening_r_led == found.width_r_led == pytest.approx(1)


def test_noise_lowers_r_step_by_step_and_raises_the_band():
    real = speaking()
    noise = np.random.default_rng(2).normal(size=FRAMES)
    noisy = [score(replace(real, opening=real.opening + amount * noise)) for amount in (0, 2, 5, 10)]
    r, band = [one.opening_r for one in noisy], [one.band_4_8 for one in noisy]
    assert r == sorted(r, reverse=True)
    assert r[-1] < 0.6
    assert band == sorted(band)


def test_a_frozen_face_fails_everything_that_asks_for_motion():
    real = speaking()
    still = {
        name: np.repeat(getattr(real, name)[:1], FRAMES, axis=0) for name in ("opening", "width", "lips")
    }
    frozen = score(replace(real, **still, brows=np.full(FRAMES, 20.0), gaze=np.zeros((FRAMES, 2))))
    assert frozen.opening_r == frozen.width_r == frozen.dimensions == frozen.brows == frozen.gaze == 0
    checks, _ = held_out_checks([frozen])
    assert {check.name for check in checks if check.met} == {"lag in ms", "opening r, shuffled sound"}


def test_means_are_over_sources_and_over_the_seeds_of_a_clip():
    perfect = score(speaking())
    several = [
        replace(perfect, group=group, clip=clip, seed=seed, opening_r=r)
        for group, clip, seed, r in (
            ("a", "1", 0, 0.2),
            ("a", "1", 1, 0.4),
            ("a", "2", 0, 0.5),
            ("b", "3", 0, 0.8),
        )
    ]
    checks, texts = held_out_checks(several)
    assert checks[0].value == pytest.approx((0.4 + 0.8) / 2)
    assert texts["opening_r"].startswith("0.600 (")
