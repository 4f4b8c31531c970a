"""Faces move about the portrait's own."""

import numpy as np
import pytest
from faces import codec

from sonimate.codecs.mesh.motion import Motion


def spread(count: int) -> np.ndarray:
    """Standard deviations in cm of coefficients in real speech: 3 for the first, falling off as 1 / k."""
    return 3 / np.arange(1, count + 1) ** 0.8


def gap(coefficients: np.ndarray) -> np.ndarray:
    """Change (n,) in cm of the inner lips' distance."""
    moved = codec().displacement(coefficients)
    return moved[:, 13, 1] - moved[:, 14, 1]


def test_a_voice_moves_a_face_about_the_portraits_own():
    """The network draws faces unlike those of its training toward them; an opening that lasts is speech."""
    rng = np.random.default_rng(0)
    count = len(codec().basis)
    drawn_away = np.concatenate([np.zeros(1), rng.normal(size=count - 1)]) * spread(count)
    expression = rng.normal(size=(1000, count)) * spread(count) + drawn_away
    latents = codec().to_latents(Motion(expression, np.full((1000, 6), 0.2)))
    moved = codec().from_latents(latents)
    shown = codec().from_latents(codec().rest_mouth(latents, np.ones(1000)))
    before, after = moved.expression.mean(0), shown.expression.mean(0)
    opening = codec().open_mouth / np.linalg.norm(codec().open_mouth)
    assert np.linalg.norm(after - after @ opening * opening) < 0.2 * np.linalg.norm(drawn_away)
    assert gap(after[None]) == pytest.approx(gap(before[None]), abs=0.02)
    np.testing.assert_allclose(shown.expression - after, moved.expression - before, atol=1e-3)
    np.testing.assert_allclose(shown.head.mean(0), 0, atol=1e-5)


def test_a_short_sound_may_be_all_one_shape_of_the_mouth():
    expression = np.tile(np.roll(spread(len(codec().basis)), 1), (10, 1))
    latents = codec().to_latents(Motion(expression, np.zeros((10, 6))))
    shown = codec().from_latents(codec().rest_mouth(latents, np.ones(10)))
    assert np.linalg.norm(shown.expression) > 0.8 * np.linalg.norm(expression)
