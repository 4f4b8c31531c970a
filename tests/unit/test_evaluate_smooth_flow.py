"""smooth-flow: motion that goes on evenly is smooth, frames out of order are not."""

import cv2
import numpy as np
import pytest

from sonimate.evaluate.smooth_flow import smooth_flow


@pytest.fixture(scope="module")
def moving() -> np.ndarray:
    """A textured picture that moves to the right by 3 px a frame."""
    noise = np.random.default_rng(0).integers(0, 255, (96, 192, 3), np.uint8)
    picture = cv2.GaussianBlur(noise, (0, 0), 4)
    picture = np.clip(4.0 * (picture.astype(float) - 127) + 127, 0, 255).astype(np.uint8)
    return np.stack([np.roll(picture, 3 * k, axis=1)[:, :128] for k in range(11)])


def test_even_motion_is_smooth_and_every_frame_out_of_order_costs(moving: np.ndarray):
    found = []
    for wrong in (0, 1, 3, 5):
        order = np.arange(len(moving))
        order[1 : 2 * wrong : 2] = (order[1 : 2 * wrong : 2] + 5) % len(moving)
        found.append(smooth_flow(moving[order]))
    assert found[0] > 0.98
    assert found == sorted(found, reverse=True)
    assert found[0] - found[-1] > 0.02


def test_a_frozen_video_is_perfectly_smooth_and_two_frames_tell_nothing(moving: np.ndarray):
    assert smooth_flow([moving[0]] * 5) == pytest.approx(1, abs=1e-6)
    assert np.isnan(smooth_flow(moving[:2]))
