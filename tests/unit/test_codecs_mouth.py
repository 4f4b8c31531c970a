"""The inside of the mouth has the portrait's light, colours and sharpness; closed lips show nothing of it."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from faces import codec, example, portrait_of

from sonimate.codecs.mesh.mouth import TEETH_DEPTH_CM, MouthInterior
from sonimate.codecs.mesh.mouth_colours import MouthColours, edge_softness
from sonimate.codecs.mesh.plane import FacePlane
from sonimate.codecs.mesh.raster import polygon_mask
from sonimate.codecs.mesh.refine import contour_matrix
from sonimate.codecs.mesh.teeth import INCISAL_MIDDLE_CM, Teeth, incisal_edge, teeth_texture
from sonimate.codecs.mesh.warp import PortraitWarp
from sonimate.face.pose import to_image
from sonimate.face.regions import LIPS_INNER, LIPS_OUTER
from sonimate.types import Portrait

STILL = np.zeros(6)


def opened_mouth(cm: float) -> np.ndarray:
    apart = codec().basis[:, 13, 1] - codec().basis[:, 14, 1]
    return codec().displacement(cm * apart[None] / (apart @ apart))[0]


def render(warp: PortraitWarp, expression: np.ndarray) -> np.ndarray:
    return warp.draw(warp.resolve(expression[None], STILL[None]))


def inside(portrait: Portrait, cm: float, tongue: np.ndarray | None = None) -> np.ndarray:
    """Pixels (n, 3) well inside the opened mouth."""
    warp = PortraitWarp(portrait)
    motion = warp.resolve(opened_mouth(cm)[None], STILL[None], None, None if tongue is None else tongue[None])
    height, width = portrait.pixels.shape[:2]
    curve = contour_matrix(len(LIPS_INNER)) @ motion.landmarks[0, list(LIPS_INNER), :2]
    mask = polygon_mask(curve, (0, 0, width, height)) > 0.95
    return warp.draw(motion)[mask].astype(float)


def changed(name: str, gain: float, grey: bool = False) -> Portrait:
    portrait = example(name, 768)
    pixels = portrait.pixels.astype(float) * gain
    if grey:
        pixels = np.repeat(pixels.mean(2, keepdims=True), 3, axis=2)
    return portrait_of(np.round(pixels).astype(np.uint8), portrait.face.landmarks)


@pytest.mark.parametrize("name", ["mona_lisa", "vigee_lebrun"])
def test_the_mouth_is_as_bright_as_its_portrait(name: str) -> None:
    bright, dark = (inside(changed(name, gain), 1.5) for gain in (1.0, 0.5))
    assert dark.mean() == pytest.approx(0.5 * bright.mean(), rel=0.15)
    face = example(name, 768)
    x0, y0, x1, y1 = (int(side) for side in face.face.box)
    assert bright.mean(1).max() <= np.percentile(face.pixels[y0:y1, x0:x1].mean(2), 99.5) + 3


@pytest.mark.parametrize("name", ["mona_lisa", "vigee_lebrun"])
def test_a_grey_portrait_has_a_grey_mouth(name: str) -> None:
    pixels = inside(changed(name, 1.0, grey=True), 1.5)
    assert np.ptp(pixels, axis=1).max() <= 2
    coloured = inside(changed(name, 1.0), 1.5)
    assert (coloured[:, 0] > coloured[:, 2]).mean() > 0.95  # warm, nowhere bluish


@pytest.mark.parametrize("name", ["mona_lisa", "vigee_lebrun"])
def test_the_tongue_is_seen_between_the_teeth(name: str) -> None:
    """Where it comes, teeth and shade give way to flesh; up behind the teeth it is seen less, at rest not."""
    portrait = example(name, 768)
    lying, up, between = (inside(portrait, 0.7, np.array(tip)) for tip in ((0, 0), (1, 0), (0.6, 1)))
    np.testing.assert_array_equal(inside(portrait, 0.7), lying)
    changed_up, changed_between = (np.abs(pixels - lying).max(1) > 4 for pixels in (up, between))
    assert changed_between.mean() > 0.15
    assert changed_between.sum() > changed_up.sum()
    warmth = (pixels[changed_between] @ [1, -0.5, -0.5] for pixels in (lying, between))
    before, after = (values.mean() for values in warmth)
    assert after > before + 3


def test_no_tongue_covers_the_portraits_own_teeth() -> None:
    """It looked like broken teeth."""
    portrait = example("obama", 768)
    lying, between = inside(portrait, 0.0), inside(portrait, 0.0, np.array((0.6, 1.0)))
    assert (np.abs(between - lying).max(1) > 4).mean() < 0.02


def test_closed_lips_show_nothing_of_the_mouth(monkeypatch: pytest.MonkeyPatch) -> None:
    portrait = example("vigee_lebrun", 768)
    warp = PortraitWarp(portrait)
    closed = render(warp, opened_mouth(-0.5))
    monkeypatch.setattr(
        type(warp._mouth), "paint", lambda *given: np.full((*given[3].shape, 3), 255, np.float32)
    )
    np.testing.assert_array_equal(render(warp, opened_mouth(-0.5)), closed)
    assert (render(warp, opened_mouth(1.0)) == 255).all(2).sum() > 50


def test_the_mouth_appears_without_a_jump() -> None:
    """Between closed and open by a millimetre no step of 0.1 mm changes a pixel much."""
    warp = PortraitWarp(example("vigee_lebrun", 768))
    rest = float(warp.vertices[13, 1] - warp.vertices[14, 1])
    frames = [render(warp, opened_mouth(gap - rest)).astype(int) for gap in np.arange(-0.01, 0.11, 0.01)]
    steps = [np.abs(b - a).max() for a, b in pairwise(frames)]
    assert max(steps) < 60
    assert np.abs(frames[-1] - frames[0]).max() > max(steps)


def test_the_same_mouth_is_drawn_the_same() -> None:
    first, second = (inside(example("mona_lisa", 768), 1.2) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_softness_is_read_from_the_picture() -> None:
    portrait = example("obama", 768)
    x0, y0, x1, y1 = (int(side) for side in portrait.face.box)
    grey = portrait.pixels[y0:y1, x0:x1].mean(2)
    found = [edge_softness(cv2.GaussianBlur(grey, (0, 0), sigma)) for sigma in (0.7, 1.0, 1.5)]
    np.testing.assert_allclose(found, (0.7, 1.0, 1.5), rtol=0.35)
    assert found == sorted(found)
    assert 0.4 < edge_softness(np.full((50, 50), 7.0)) < 3


def test_blurred_portraits_have_blurred_teeth() -> None:
    portrait = example("vigee_lebrun", 768)
    blurred = cv2.GaussianBlur(portrait.pixels, (0, 0), 3.0)
    sharp = MouthColours.of(portrait.pixels, portrait.face.landmarks)
    soft = MouthColours.of(blurred, portrait.face.landmarks)
    assert soft.softness_px > 1.5 * sharp.softness_px


def test_teeth_end_at_the_incisal_edge() -> None:
    texture = teeth_texture()
    assert texture.shape == (93, 312, 4)
    teeth = Teeth(np.ones(3), 1.0, 0.0)
    x, above = np.meshgrid(np.array([-0.4, 0.3, 1.3]), np.array([-0.2, 0.15]))
    colour, alpha = teeth.at(x, above + incisal_edge(x) - INCISAL_MIDDLE_CM)
    assert alpha[0].max() < 0.1
    assert alpha[1].min() > 0.8
    assert (colour[1].min(1) > 100).all()
    middle = texture[40:60, 120:190, :3].reshape(-1, 3).mean(0)
    assert np.ptp(middle) < 0.12 * middle.mean()


def test_small_mouths_and_narrow_openings_have_less_contrast() -> None:
    """As in real clips, where the same mouth has more contrast the more pixels and the more light it has."""

    def contrast(size: int, cm: float) -> float:
        return float(inside(example("mona_lisa", size), cm).mean(1).std())

    assert contrast(384, 1.5) < 0.9 * contrast(1024, 1.5)
    assert contrast(1024, 0.8) < 0.8 * contrast(1024, 1.5)


def test_teeth_of_a_smile_lie_in_the_light() -> None:
    """Between lips parted by 6 mm, teeth are brighter when the corners move outward."""
    portrait = example("mona_lisa", 1024)
    warp = PortraitWarp(portrait)
    wider = opened_mouth(0.6)
    lips = [*LIPS_INNER, *LIPS_OUTER]
    wider[lips, 0] += 0.25 * warp.vertices[lips, 0]
    height, width = portrait.pixels.shape[:2]

    def brightest(change: np.ndarray) -> float:
        motion = warp.resolve(change[None], STILL[None])
        curve = contour_matrix(len(LIPS_INNER)) @ motion.landmarks[0, list(LIPS_INNER), :2]
        mask = polygon_mask(curve, (0, 0, width, height)) > 0.95
        return float(np.percentile(warp.draw(motion)[mask].mean(1), 90))

    assert brightest(wider) > 1.15 * brightest(opened_mouth(0.6))


@pytest.mark.parametrize("picture_gap_cm", [0.5, 2.0])
def test_teeth_are_as_long_however_wide_the_picture_shows_the_mouth(picture_gap_cm: float) -> None:
    """The incisal edge lies below the line where lips meet, also of lips that are apart in the picture."""
    portrait = example("mona_lisa", 768)
    warp = PortraitWarp(portrait)
    opening = codec().displacement(codec().open_mouth[None])[0]
    opening /= opening[13, 1] - opening[14, 1]
    shown = (warp.vertices + 1.2 * opening)[None]
    plane = FacePlane.at(warp.pose, float(warp.vertices[[13, 14], 2].mean()) - TEETH_DEPTH_CM)
    landmarks = to_image(shown, warp.pose)[0]
    inner = landmarks[list(LIPS_INNER), :2]
    window = (*inner.min(0).astype(int), *inner.max(0).astype(int))
    coverage = polygon_mask(inner, window)
    edges = []
    for gap in (0.0, picture_gap_cm):
        vertices = warp.vertices + gap * opening
        moved = to_image(vertices[None], warp.pose)[0]
        dark = render(warp, gap * opening)
        cv2.fillPoly(dark, [np.round(moved[list(LIPS_INNER), :2]).astype(np.int32)], (40, 20, 20))
        painted = MouthInterior(dark, moved, vertices, plane).paint(plane, shown[0], coverage, window)
        column = painted[:, painted.shape[1] // 2].mean(1)
        edges.append(np.diff(column).argmin() * plane.pixel_cm)
    assert edges[1] == pytest.approx(edges[0], abs=0.1)


def close_up(gap_cm: float, half_width_cm: float = 2.3) -> tuple[np.ndarray, float]:
    """Mona Lisa's mouth of some width, painted at 60 px a cm: the middle columns (h, 30, 3), and the row of
    the line where her lips meet. The opening is a rectangle."""
    portrait, pixels_a_cm = example("mona_lisa", 768), 60
    vertices = PortraitWarp(portrait).vertices.copy()
    vertices[[LIPS_INNER[0], LIPS_INNER[10]], 0] = vertices[13, 0] + half_width_cm * np.array([-1, 1])
    opening = codec().displacement(codec().open_mouth[None])[0]
    shown = vertices + gap_cm * opening / (opening[13, 1] - opening[14, 1])
    plane = FacePlane(np.diag([pixels_a_cm, -pixels_a_cm]).astype(float), np.zeros(2))
    painter = MouthInterior(portrait.pixels, portrait.face.landmarks - [0.5, 0.5, 0], vertices, plane)
    top, bottom = (round(-pixels_a_cm * float(shown[lip, 1])) for lip in (13, 14))
    middle = round(pixels_a_cm * float(vertices[13, 0]))
    coverage = np.pad(np.ones((bottom - top, 180), np.float32), ((6, 6), (0, 0)))
    painted = painter.paint(plane, shown, coverage, (middle - 90, top - 6, middle + 90, bottom + 6))
    return painted[:, 75:105], -pixels_a_cm * float(vertices[[13, 14], 1].mean()) - top + 6


def test_small_mouths_have_small_teeth() -> None:
    """The incisal edge is below the line of the lips in proportion to the width of the mouth."""
    below = []
    for half_width in (2.3, 1.84):
        painted, contact = close_up(1.5, half_width)
        edge = np.diff(painted.mean((1, 2)))[20:-20].argmin() + 20
        below.append(edge - contact)
    assert below[1] == pytest.approx(0.8 * below[0], rel=0.1)


def test_teeth_in_narrow_gaps_are_brown_not_grey() -> None:
    """As between lips that reflect red: in the light of a wide opening they are nearly neutral."""
    wide, narrow = (close_up(gap)[0] for gap in (1.5, 0.35))
    teeth = [wide[20:36].mean((0, 1)), narrow[len(narrow) // 2].mean(0)]
    assert teeth[1][0] / teeth[1][2] > 1.3 * teeth[0][0] / teeth[0][2]
