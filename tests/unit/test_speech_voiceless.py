"""Sounds without a voice: every kind is drawn, finite, bounded and a function of its generator."""

import numpy as np
import pytest

from sonimate.speech.augment import degrade
from sonimate.speech.instruments import TIMBRES
from sonimate.speech.voiceless import KINDS, background, voiceless
from sonimate.types import Waveform


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_bounded_and_a_function_of_its_generator(kind):
    sounds = [voiceless(np.random.default_rng(seed), 2.0, [kind]).samples for seed in range(4)]
    again = voiceless(np.random.default_rng(3), 2.0, [kind]).samples
    np.testing.assert_array_equal(sounds[3], again)
    for samples in sounds:
        assert samples.shape == (32_000,)
        assert samples.dtype == np.float32
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() <= 1
    assert any(samples.any() for samples in sounds) == (kind != "silence")


@pytest.mark.parametrize("timbre", TIMBRES)
def test_a_note_has_the_pitch_that_was_asked_for(timbre):
    samples = TIMBRES[timbre](220.0, 16_000, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    nearest = np.abs(np.subtract.outer(np.arange(len(spectrum)), 110.0 * np.arange(1, 40))).min(1)
    share = (spectrum**2)[nearest <= 12].sum() / (spectrum**2).sum()
    assert share > (0.5 if timbre == "bell" else 0.9)  # a bell's partials are no harmonics of half its tone


def test_a_voice_is_still_heard_in_front_of_its_background():
    rng = np.random.default_rng(0)
    voice = np.sin(2 * np.pi * 220 * np.arange(32_000) / 16_000) * np.repeat([0.0, 0.5], 16_000)
    for _ in range(20):
        heard = degrade(Waveform(voice.astype(np.float32), 16_000), rng).samples
        assert heard[16_000:].std() > 1.5 * heard[:16_000].std()
    assert np.sqrt(np.mean(background(rng, 16_000) ** 2)) == pytest.approx(1.0, rel=1e-3)
