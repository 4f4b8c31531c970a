"""A mouth that the picture shows wide open has a clean chin and no rim of teeth once it is shut."""

import cv2
import numpy as np
import pytest
from faces import codec, cut, example, portrait_of

from sonimate.codecs.mesh import shut_mouth
from sonimate.codecs.mesh.raster import polygon_mask
from sonimate.codecs.mesh.warp import PortraitWarp
from sonimate.face.regions import LIPS_INNER, LIPS_OUTER
from sonimate.types import Portrait

STILL = np.zeros((1, 6))
RED, TEETH = (200, 60, 60), (240, 235, 230)


def opening(cm: float) -> np.ndarray:
    """Displacement (1, 478, 3) cm of a mouth that opens so far, as a jaw that drops."""
    moved = codec().displacement(codec().open_mouth[None])
    return cm * moved / (moved[0, 13, 1] - moved[0, 14, 1])


def filled(mask: np.ndarray, contour: np.ndarray, lower_px: float) -> np.ndarray:
    """A mask (h, w) in which a polygon, drawn out downwards, is set."""
    for down in np.linspace(0, lower_px, 10):
        cv2.fillPoly(mask, [np.round(contour + np.array([0, down])).astype(np.int32)], 1)
    return mask > 0


def wide_open(cm: float) -> Portrait:
    """Mona Lisa, her mouth open by `cm`, with red lips that reach 3 mm farther than the landmarks say, and
    teeth that reach 1 mm over the lip."""
    warp = PortraitWarp(example("mona_lisa", 768))
    motion = warp.resolve(opening(cm), STILL)
    pixels, landmarks = warp.draw(motion), motion.landmarks[0] + [0.5, 0.5, 0]
    scale = float(warp.pose.scale[0])
    for contour, beyond_cm, colour in ((LIPS_OUTER, 0.3, RED), (LIPS_INNER, 0.1, TEETH)):
        mask = np.zeros(pixels.shape[:2], np.uint8)
        pixels[filled(mask, landmarks[list(contour), :2], beyond_cm * scale)] = colour
    return portrait_of(pixels, landmarks)


def shut(portrait: Portrait, share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The frame (h, w, 3) with its mouth shut by `share`; (h, w) bool: its lips, and the 5 mm below them."""
    warp = PortraitWarp(portrait)
    motion = warp.resolve(opening(-share * (warp.vertices[13, 1] - warp.vertices[14, 1])), STILL)
    frame, outline = warp.draw(motion), motion.landmarks[0, list(LIPS_OUTER), :2]
    lips = polygon_mask(outline, (0, 0, frame.shape[1], frame.shape[0])) > 0.5
    reach = filled(lips.astype(np.uint8), outline, 0.5 * float(warp.pose.scale[0]))
    return frame.astype(int), lips, reach & ~lips


@pytest.fixture
def as_it_is(monkeypatch: pytest.MonkeyPatch):
    """Draws a mouth shut without any change of colours."""

    def draw(portrait: Portrait, share: float) -> np.ndarray:
        with monkeypatch.context() as patch:
            patch.setattr(shut_mouth, "RIM_GAP_CM", (98.0, 99.0))
            return shut(portrait, share)[0]

    return draw


def test_no_red_is_left_on_the_chin_and_no_teeth_on_the_lips(as_it_is):
    portrait = wide_open(2.0)
    frame, lips, chin = shut(portrait, 1.0)
    raw = as_it_is(portrait, 1.0)
    skin = example("mona_lisa", 768).pixels
    own = (skin[..., 0].astype(int) - skin[..., 1])[chin].mean()
    red, raw_red = ((each[..., 0] - each[..., 1])[chin].mean() - own for each in (frame, raw))
    assert raw_red > 10
    assert red < 0.6 * raw_red
    white, raw_white = (each[..., 2][lips] > 140 for each in (frame, raw))
    assert white.sum() < 0.5 * raw_white.sum()


def test_lips_hardly_apart_lose_teeth_but_no_red(as_it_is):
    """The landmarks of such lips are right, and what is red beside them is meant."""
    portrait = wide_open(0.6)
    frame, lips, chin = shut(portrait, 1.0)
    raw = as_it_is(portrait, 1.0)
    assert np.abs(frame - raw)[chin].mean() < 0.5
    assert (frame[..., 2][lips] > 140).sum() < 0.7 * (raw[..., 2][lips] > 140).sum()


def test_the_more_it_opens_the_less_is_changed(as_it_is):
    portrait = wide_open(2.0)
    changes = [
        np.abs(shut(portrait, share)[0] - as_it_is(portrait, share)).sum() for share in (1, 0.5, 0.2, 0)
    ]
    assert changes[0] > changes[2] > changes[3]
    assert changes[3] == 0


@pytest.mark.parametrize("name", ["mona_lisa", "vigee_lebrun"])
def test_portraits_with_a_shut_mouth_keep_their_colours(name, as_it_is):
    portrait = example(name)
    np.testing.assert_array_equal(shut(portrait, 1.0)[0], as_it_is(portrait, 1.0))


def test_a_mouth_at_the_pictures_edge_is_drawn():
    """Where its chin, or all of it, is outside of the picture."""
    portrait = wide_open(2.0)
    lips = portrait.face.landmarks[list(LIPS_OUTER), 1]
    for bottom in (lips.max() - 5, lips.min() - 40):
        frame, _, _ = shut(cut(portrait, 0, 0, portrait.pixels.shape[1], int(bottom)), 1.0)
        assert len(frame) == int(bottom)
