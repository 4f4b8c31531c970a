"""Faces move about the portrait's own, and jaws rest while lips are shut."""

import numpy as np
import pytest
import torch
from faces import NAMES, codec, example

from sonimate.codecs.mesh.motion import PRESSED_CM, Motion
from sonimate.configs import DecodeOptions
from sonimate.face.regions import CHIN, MOUTH_CORNER_LEFT, MOUTH_CORNER_RIGHT


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


def pressed(count: int) -> np.ndarray:
    """Coefficients (count, k) of lips that cross by 0 to 1 cm over a jaw that drops by as much: what gains
    made of shut mouths. Nothing else of the mouth is prescribed but its width, 0.4 cm more."""
    basis = codec().basis
    measures = np.stack(
        [
            basis[:, 13, 1] - basis[:, 14, 1],
            basis[:, CHIN, 1],
            basis[:, MOUTH_CORNER_LEFT, 0] - basis[:, MOUTH_CORNER_RIGHT, 0],
        ],
        axis=1,
    )
    crossing = np.linspace(0, 1, count)
    wanted = np.stack([-crossing, -crossing, np.full(count, 0.4)], axis=1)
    likely = measures * codec().scales[:, None] ** 2
    return wanted @ np.linalg.solve(likely.T @ measures, likely.T)


@pytest.mark.parametrize("name", NAMES)
def test_jaws_rest_while_lips_are_shut(name):
    """Lips that would cross by 1 cm cross by a millimetre, the chin stays, and the mouth keeps its width."""
    warp = codec().encode_reference(example(name)).context
    closed = (
        warp.vertices
        + codec().displacement(
            codec().motion(torch.zeros(1, *codec().latent_shape), warp, DecodeOptions()).expression
        )[0]
    )
    asked = pressed(60)
    asked = np.concatenate([asked, -asked])  # gains move a clip about its mean
    latents = codec().to_latents(Motion(asked / codec().gains, np.zeros((120, 6))))
    moved = codec().motion(latents, warp, DecodeOptions()).expression[:56]  # before the leap between both
    shown = warp.vertices + codec().displacement(moved)
    crossing = shown[:, 14, 1] - shown[:, 13, 1]
    assert PRESSED_CM * 0.9 < crossing.max() < PRESSED_CM * 1.3
    chin = shown[:, CHIN, 1] - closed[CHIN, 1]
    assert np.abs(chin).max() < 0.2
    steps = np.abs(np.diff(chin))
    assert steps.max() < 0.03
    width = shown[:, MOUTH_CORNER_LEFT, 0] - shown[:, MOUTH_CORNER_RIGHT, 0]
    np.testing.assert_allclose(width, width[0], atol=0.06)


@pytest.mark.parametrize(("hertz", "gain"), [(0.5, 1.0), (1, 1.06), (5, 1.58), (12, 1.28)])
def test_mouths_move_farther_at_the_rate_of_syllables_alone(hertz, gain):
    warp = codec().encode_reference(example(NAMES[0])).context
    wave = 0.5 + 0.1 * np.sin(2 * np.pi * hertz * np.arange(200) / 25 + 0.5)
    asked = np.outer(wave, codec().open_mouth / float(gap(codec().open_mouth[None])[0]))
    latents = codec().to_latents(Motion(asked / codec().gains, np.zeros((200, 6))))
    shown = gap(codec().motion(latents, warp, DecodeOptions()).expression)[20:-20]
    assert shown.std() == pytest.approx(gain * gap(asked)[20:-20].std(), rel=0.03)
