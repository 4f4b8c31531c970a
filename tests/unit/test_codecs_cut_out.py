"""A person without a background: their share of the pixels, their colours alone, and how they move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from faces import NAMES, example, mesh

from sonimate.codecs.mesh.cut_out import person_colours, person_share
from sonimate.codecs.mesh.warp import PortraitWarp
from sonimate.face.framing import find_faces
from sonimate.types import Portrait

SIDE = 200
TURNED = np.array([[0.05, 0.2, 0.04, 0.8, 0.2, 0]])


def share_of(portrait: Portrait, own: np.ndarray | None = None) -> np.ndarray:
    share = person_share(portrait.pixels, portrait.face.landmarks, own)
    assert share is not None
    return share


def over(frame: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    share = frame[..., 3:] / 255
    return share * frame[..., :3] + (1 - share) * np.array(colour)


def drawn(portrait: Portrait) -> np.ndarray:
    """The frame of a turned head."""
    warp = PortraitWarp(portrait)
    return warp.draw(warp.resolve(np.zeros((1, 478, 3)), TURNED))


@pytest.mark.parametrize("name", NAMES)
def test_the_face_and_the_body_belong_to_the_person_and_the_corners_do_not(name: str) -> None:
    portrait = example(name)
    share = share_of(portrait)
    assert (share.shape, share.dtype) == (portrait.pixels.shape[:2], np.uint8)
    x0, y0, x1, y1 = (round(side) for side in portrait.face.box)
    quarter = (y1 - y0) // 4
    assert share[y0 + quarter : y1 - quarter, x0 + quarter : x1 - quarter].min() == 255
    assert share[:10, :10].max() == 0
    assert share[:10, -10:].max() == 0
    column = (x0 + x1) // 2
    below = share[y1 : min(y1 + 2 * (y1 - y0), len(share)), column]
    assert (below > 250).mean() > 0.95


def test_a_cloud_at_a_sleeve_is_background_and_a_palette_before_dark_wood_is_not() -> None:
    """The network took the cloud for the person, and half of the palette for the background."""
    share = share_of(example("vigee_lebrun"))
    height, width = share.shape
    rows, columns = np.arange(height) / height, np.arange(width) / width
    cloud = np.ix_((rows > 0.57) & (rows < 0.66), columns < 0.08)
    palette = np.ix_((rows > 0.70) & (rows < 0.75), (columns > 0.7) & (columns < 0.8))
    assert share[cloud].max() < 30
    assert share[palette].min() > 225


def test_other_people_who_do_not_touch_are_background() -> None:
    pair = [example("astronaut_collins").pixels[:200, 110:250], example("mona_lisa").pixels[20:220, 50:190]]
    grey = np.full((200, 60, 3), 128, np.uint8)
    picture = np.ascontiguousarray(np.hstack([pair[0], grey, pair[1]]))
    left, right = sorted(find_faces(picture, mesh()), key=lambda face: face.box[0])
    for face, other in ((left, right), (right, left)):
        share = person_share(picture, face.landmarks)
        assert share is not None
        for one, wanted in ((face, 255), (other, 0)):
            x, y = np.round(one.landmarks[:, :2].mean(0)).astype(int)
            assert share[y, x] == wanted


def test_without_a_person_there_is_no_share() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    landmarks = example("obama").face.landmarks.copy()
    landmarks[:, :2] -= landmarks[:, :2].min(0) - 50
    assert person_share(noise, landmarks) is None
    own = np.full((SIDE, SIDE), 200, np.uint8)
    assert person_share(noise, landmarks, own) is own


def test_a_picture_that_is_cut_out_already_stays_so() -> None:
    """The alpha channel decides, although the network would take less; not where only corners are clear."""
    portrait = example("astronaut_collins")
    share = share_of(portrait)
    wider = np.maximum(share, np.roll(share, 9, axis=1))
    np.testing.assert_array_equal(share_of(portrait, wider), wider)
    rounded = np.full_like(share, 255)
    rounded[:20, :20] = rounded[-20:, -20:] = 0
    np.testing.assert_array_equal(share_of(portrait, rounded), np.minimum(share, rounded))


@pytest.mark.parametrize("behind", [(90, 140, 200), (255, 255, 255), (0, 160, 20)])
def test_no_halo_of_the_old_background(behind: tuple[int, int, int]) -> None:
    """Stripes of hair before a plain background, over another one: as if they had been painted there."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    x, y = columns - SIDE / 2, rows - SIDE / 2
    away = np.hypot(x, y) + 6 * np.sin(24 * np.arctan2(y, x))
    part = np.clip((60 - away) / 8 + 0.5, 0, 1)[..., None]
    share = np.round(255 * part[..., 0]).astype(np.uint8)
    person = np.array((60, 40, 30)) + 30 * np.sin(columns / 25)[..., None]
    picture = np.round(part * person + (1 - part) * np.array(behind)).astype(np.uint8)
    colours = person_colours(picture, share, SIDE)
    np.testing.assert_array_equal(colours[share == 255], picture[share == 255])
    new = (200, 0, 200)
    shown = over(np.dstack([colours, share]), new)
    wanted = part * person + (1 - part) * np.array(new)
    assert np.abs(shown - wanted).max() < 12
    naive = over(np.dstack([picture, share]), new)
    assert np.abs(shown - wanted).mean() < np.abs(naive - wanted).mean() / 5


@pytest.mark.parametrize("name", ["astronaut_collins", "mona_lisa"])
def test_the_person_moves_as_over_their_own_background(name: str) -> None:
    portrait = example(name)
    kept, alone = drawn(portrait), drawn(replace(portrait, share=share_of(portrait)))
    assert alone.shape == (*kept.shape[:2], 4)
    opaque = alone[..., 3] == 255
    difference = np.abs(alone[..., :3].astype(int) - kept)[opaque].max(1)
    assert (difference <= 2).mean() > 0.98
    assert opaque.mean() > 0.15
    assert alone[:10, :10, 3].max() == 0


def test_the_share_moves_with_the_head_and_stands_still_elsewhere() -> None:
    portrait = example("astronaut_collins")
    share = share_of(portrait)
    moved = drawn(replace(portrait, share=share))[..., 3]
    x0, _, x1, y1 = (round(side) for side in portrait.face.box)
    row = round(portrait.face.landmarks[:, 1].mean())
    shift = [np.argmax(part[row] > 127) for part in (share, moved)]
    assert shift[1] - shift[0] > 2
    below = round(y1 + 1.5 * (x1 - x0))
    np.testing.assert_array_equal(moved[below + 40 :], share[below + 40 :])
