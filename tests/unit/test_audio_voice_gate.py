"""The gate of the mouth: it opens before a voice and closes soon after it, whatever the loudness."""

import numpy as np
import pytest
import torch

from sonimate.audio.voice_gate import CLOSES_AFTER_SECONDS, OPENS_BEFORE_SECONDS, RAMP_SECONDS, voice_gate
from sonimate.models.voice_detector import VoiceDetector, VoiceDetectorConfig


def logits(*voices: tuple[float, float], seconds: float = 4.0) -> np.ndarray:
    """A voice from each start to each end, 50 values a second."""
    times = (np.arange(round(50 * seconds)) + 0.5) / 50
    return np.where([any(start < time < end for start, end in voices) for time in times], 3.0, -3.0)


def test_the_gate_is_open_throughout_a_voice_and_its_anticipation():
    gate = voice_gate(logits((1.0, 2.0)), 100, 25)
    times = np.arange(100) / 25
    around = (times > 1 - OPENS_BEFORE_SECONDS) & (times < 2 + CLOSES_AFTER_SECONDS)
    assert (gate[around] == 1).all()
    outside = (times < 1 - OPENS_BEFORE_SECONDS - RAMP_SECONDS) | (times > 2.14)
    assert not gate[outside].any()
    assert np.abs(np.diff(gate)).max() == pytest.approx(0.04 / RAMP_SECONDS, abs=1e-6)


def test_a_pause_closes_it_and_the_closure_of_a_stop_does_not():
    gate = voice_gate(logits((0.5, 1.5), (2.0, 3.0)), 100, 25)
    assert gate[44] == 0
    assert (voice_gate(logits((0.5, 1.5), (1.6, 3.0)), 100, 25)[13:75] == 1).all()


def test_knocks_do_not_open_it_and_silence_has_no_edges():
    assert not voice_gate(logits((1.0, 1.1)), 100, 25).any()
    assert not voice_gate(logits(), 100, 25).any()
    assert voice_gate(logits((-1.0, 5.0)), 100, 25).all()


def test_frames_beyond_the_sound_are_at_rest():
    assert not voice_gate(logits((3.0, 4.0)), 150, 25)[105:].any()


def test_a_detector_gives_one_logit_a_row():
    detector = VoiceDetector(VoiceDetectorConfig(layers=2, channels=3))
    assert detector(torch.randn(7, 2, 3)).shape == (7,)
