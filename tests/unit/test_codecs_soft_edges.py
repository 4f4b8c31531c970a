"""Edges of a person that are solved hair by hair from a mask that is nearly right."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sonimate.codecs.mesh.soft_edges import soften_edges

HEAD_PX = 240.0


def mask_of(share: np.ndarray) -> np.ndarray:
    """What a network would see of it: whole, without single hairs, and a little blurred."""
    whole = cv2.morphologyEx((share > 0.5).astype(np.uint8), cv2.MORPH_OPEN, np.ones((9, 9)))
    return cv2.GaussianBlur(whole.astype(np.float32), (0, 0), 1.5)


def head_with_hairs(side: int) -> np.ndarray:
    """Share of a disc with thin hairs that stick out of it by up to the band's width: float32 (h, w)."""
    drawn = np.zeros((8 * side, 8 * side), np.uint8)
    middle, radius = 4 * side, 2.4 * side
    cv2.circle(drawn, (middle, middle), round(radius), 255, -1)
    for angle in np.linspace(0, 2 * np.pi, 60, endpoint=False):
        way = np.array([np.cos(angle), np.sin(angle)])
        start, end = middle + 0.95 * radius * way, middle + (radius + 0.12 * side) * way
        ends = [tuple(int(value) for value in np.round(place)) for place in (start, end)]
        cv2.line(drawn, ends[0], ends[1], 255, 12)
    return cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def over(share: np.ndarray, person: np.ndarray, behind: np.ndarray, deviation: float = 2.0) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, deviation, person.shape)
    mixed = share[..., None] * person + (1 - share[..., None]) * behind
    return np.clip(mixed + noise, 0, 255).astype(np.uint8)


def plain(colour: tuple[int, int, int], side: int) -> np.ndarray:
    return np.full((side, side, 3), colour, float)


@pytest.mark.parametrize("behind", [(240, 240, 240), (60, 130, 200)])
def test_hairs_before_a_plain_background_come_back(behind: tuple[int, int, int]) -> None:
    share = head_with_hairs(240)
    mask = mask_of(share)
    solved = soften_edges(over(share, plain((50, 35, 30), 240), plain(behind, 240)), mask, HEAD_PX)
    assert (solved.dtype, solved.min(), solved.max()) == (np.float32, 0, 1)
    soft = (share > 0.05) & (share < 0.95)
    assert np.abs(solved - share)[soft].mean() < 0.35 * np.abs(mask - share)[soft].mean()
    assert np.abs(solved - share).mean() < 0.2 * np.abs(mask - share).mean()


def test_beyond_the_band_nothing_changes() -> None:
    """A hole in the colours of the person, and a spot of their colour in the background."""
    share = head_with_hairs(240)
    picture = over(share, plain((50, 35, 30), 240), plain((240, 240, 240), 240))
    mask = mask_of(share)
    picture[110:130, 110:130], picture[5:20, 5:20] = 240, 50
    solved = soften_edges(picture, mask, HEAD_PX)
    assert solved[105:135, 105:135].min() == 1
    assert solved[:25, :25].max() == 0


def test_where_both_sides_look_alike_the_mask_decides() -> None:
    """Motley stripes that run through both: they would take a piece of the ear, or add one."""
    rows = np.arange(240)[:, None] * np.ones(240)
    stripes = (120 + 60 * np.sin(rows / 4))[..., None] * np.array([1.0, 0.8, 0.6])
    share = head_with_hairs(240)
    whole = cv2.GaussianBlur((mask_of(share) > 0.5).astype(np.float32), (0, 0), 1.0)
    solved = soften_edges(over(whole, stripes, 0.97 * stripes), whole, HEAD_PX)
    assert np.abs(solved - whole).mean() < 0.01
    assert np.abs(solved - whole).max() < 0.5


def test_large_pictures_are_solved_smaller_and_follow_their_own_pixels() -> None:
    share = head_with_hairs(1000)
    solved = soften_edges(
        over(share, plain((50, 35, 30), 1000), plain((230, 235, 240), 1000)), mask_of(share), 1000.0
    )
    assert np.abs(solved - share).mean() < 0.01
