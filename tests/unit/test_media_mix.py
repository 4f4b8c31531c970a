"""Several sounds as one: every sample of all of them, never beyond full scale."""

import numpy as np
import pytest

from sonimate.media.audio import Sound
from sonimate.media.mix import OpenSound, mixed
from sonimate.types import Waveform

RATE = 8_000


def tone(seconds: float, *, size: float = 0.4, rate_hz: int = RATE, hz: float = 200.0) -> np.ndarray:
    return (size * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def opened(samples: np.ndarray, rate_hz: int = RATE, block: int = 777) -> OpenSound:
    columns = samples.reshape(len(samples), -1)
    blocks = [columns[i : i + block] for i in range(0, len(columns), block)]
    return lambda: Sound(iter(blocks), rate_hz, columns.shape[1])


def heard(*sounds: OpenSound) -> np.ndarray:
    return np.concatenate(list(mixed(sounds).blocks))


@pytest.mark.parametrize(("first", "second"), [(2.5, 1.2), (0.3, 3.0), (1.0, 2.0)])
def test_the_sum_lasts_as_long_as_the_longest(first, second):
    a, b = tone(first), tone(second, hz=310)
    total = np.zeros(max(len(a), len(b)), np.float32)
    total[: len(a)] += a
    total[: len(b)] += b
    np.testing.assert_array_equal(heard(opened(a), opened(b, block=9_001))[:, 0], total)


def test_loud_sounds_become_quieter_together_and_keep_their_shape():
    a, b = tone(2, size=0.9), tone(2, size=0.9)
    total = heard(opened(a), opened(b))[:, 0]
    assert np.abs(total).max() <= 1
    np.testing.assert_allclose(total, (a + b) / np.abs(a + b).max(), atol=1e-6)


def test_mono_at_a_low_rate_joins_stereo_at_a_high_one():
    low, high = tone(2), np.stack([tone(1, rate_hz=48_000), np.zeros(48_000, np.float32)], axis=1)
    sound = mixed([opened(low), opened(high, 48_000)])
    assert (sound.rate_hz, sound.channels) == (48_000, 2)
    total = np.concatenate(list(sound.blocks))
    assert abs(len(total) - 96_000) < 50
    np.testing.assert_allclose(total[500:40_000, 1], tone(2, rate_hz=48_000)[500:40_000], atol=2e-3)
    np.testing.assert_allclose(total[500:40_000, 0], 2 * total[500:40_000, 1], atol=2e-3)


def test_one_sound_stays_as_it_is():
    loud = Waveform(2 * tone(1), RATE)
    assert np.abs(heard(lambda: Sound.from_waveform(loud))).max() > 0.7
