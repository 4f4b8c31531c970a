"""Moving portraits: nothing changes unasked, what is asked for happens, and hard pictures stay finite."""

import time

import cv2
import numpy as np
import pytest
import torch
from faces import NAMES, canonical_landmarks, codec, cut, example, mirrored_landmarks, portrait_of

from sonimate.codecs.mesh.codec import Motion
from sonimate.codecs.mesh.lip_edges import LipEdges
from sonimate.codecs.mesh.raster import polygon_mask
from sonimate.codecs.mesh.warp import PortraitWarp, face_outline, outer_edges, seen_triangles
from sonimate.configs import DecodeOptions
from sonimate.face.canonical import canonical_face, mirror_partners
from sonimate.face.pose import Pose, fit_pose, rotation_matrix, to_canonical, to_image
from sonimate.face.regions import LEFT_EYE, LIPS_INNER, RIGHT_EYE
from sonimate.types import Portrait

STILL = np.zeros(6)
NO_EXPRESSION = np.zeros((478, 3))
TALK = np.array([0.04, 0.06, -0.02, 0.15, 0.1, 0.01])
UNLIKELY = (255, 0, 255)


def opening(portrait: Portrait, contour: tuple[int, ...]) -> np.ndarray:
    """(h, w) coverage of the lips' or lids' opening in the picture."""
    height, width = portrait.pixels.shape[:2]
    return polygon_mask(portrait.face.landmarks[list(contour), :2] - 0.5, (0, 0, width, height))


def parted(upper: tuple[int, ...], lower: tuple[int, ...], cm: float) -> np.ndarray:
    """(478, 3) cm: the smallest change that the basis of real expressions has to part points by `cm`."""
    apart = codec().basis[:, upper, 1].mean(1) - codec().basis[:, lower, 1].mean(1)
    return codec().displacement(cm * apart[None] / (apart @ apart))[0]


def opened_mouth(cm: float) -> np.ndarray:
    return parted((13,), (14,), cm)


def blink(portrait: Portrait) -> np.ndarray:
    """(478, 3) cm: lids that meet, and a little more."""
    landmarks = portrait.face.landmarks[None].astype(float)
    heights = to_canonical(landmarks, fit_pose(landmarks))[0, :, 1]
    return parted((159, 386), (145, 374), -1.3 * (heights[[159, 386]] - heights[[145, 374]]).max())


def painted(portrait: Portrait, mask: np.ndarray, colour: tuple[int, int, int]) -> Portrait:
    """The portrait with the inside of a mask painted, up to a pixel from its edge."""
    pixels = portrait.pixels.copy()
    pixels[cv2.erode((mask > 0.5).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0] = colour
    return Portrait(pixels, portrait.face)


def count_of(frame: np.ndarray, portrait: Portrait, colour: tuple[int, int, int]) -> int:
    """Pixels of the face that are nearly of this colour."""
    x0, y0, x1, y1 = (int(side) for side in portrait.face.box)
    return int((np.abs(frame[y0:y1, x0:x1].astype(int) - colour).max(2) < 60).sum())


def render(warp: PortraitWarp, expression: np.ndarray, head: np.ndarray) -> np.ndarray:
    """One frame, uint8 (h, w, 3), of an expression (478, 3) in cm and a head motion (6,)."""
    return warp.draw(warp.resolve(expression[None], np.asarray(head, np.float64)[None]))


@pytest.mark.parametrize("name", NAMES)
def test_without_motion_only_the_mouths_inside_is_drawn_anew(name):
    portrait = example(name)
    frame = render(PortraitWarp(portrait), NO_EXPRESSION, STILL)
    change = np.abs(frame.astype(int) - portrait.pixels).max(2)
    reach = cv2.dilate((opening(portrait, LIPS_INNER) > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    assert change[reach == 0].max() <= 2
    assert change.mean() < 0.2


@pytest.mark.parametrize("name", ["astronaut_collins", "obama"])
def test_without_motion_an_open_mouth_shows_its_own_teeth(name):
    portrait = example(name)
    frame = render(PortraitWarp(portrait), NO_EXPRESSION, STILL)
    deep = cv2.erode((opening(portrait, LIPS_INNER) > 0.99).astype(np.uint8), np.ones((3, 3), np.uint8))
    assert np.abs(frame.astype(int) - portrait.pixels).max(2)[deep > 0].mean() < 4


def test_far_from_the_face_nothing_moves():
    portrait = example("vigee_lebrun")
    frame = render(PortraitWarp(portrait), opened_mouth(1.5), TALK)
    change = np.abs(frame.astype(int) - portrait.pixels).max(2)
    assert change.max() > 50
    for edge in (change[:2], change[-2:], change[:, :2], change[:, -2:]):
        assert edge.max() == 0
    x0, y0, x1, y1 = portrait.face.box
    size = max(x1 - x0, y1 - y0)
    rows, columns = np.mgrid[0 : change.shape[0], 0 : change.shape[1]]
    far = np.hypot(columns - (x0 + x1) / 2, rows - (y0 + y1) / 2) > 2 * size
    assert far.any()
    assert change[far].max() == 0


@pytest.mark.parametrize("name", ["mona_lisa", "vigee_lebrun"])
@pytest.mark.parametrize("shift_cm", [(0.6, 0.0), (0.0, -0.5), (-0.4, 0.3)])
def test_the_face_moves_as_far_as_the_head(name, shift_cm):
    portrait = example(name, 768)
    warp = PortraitWarp(portrait)
    frame = render(warp, NO_EXPRESSION, np.array([0, 0, 0, *shift_cm, 0]))
    expected = np.array(shift_cm) * [1, -1] * warp.pose.scale[0]
    x0, y0, x1, y1 = (int(side) for side in portrait.face.box)
    inner = np.s_[y0 + (y1 - y0) // 5 : y1 - (y1 - y0) // 5, x0 + (x1 - x0) // 5 : x1 - (x1 - x0) // 5]
    gray = [
        cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[inner].astype(np.float64)
        for picture in (portrait.pixels, frame)
    ]
    weights = cv2.createHanningWindow(gray[0].shape[::-1], cv2.CV_64F)
    found, _ = cv2.phaseCorrelate(gray[0] - gray[0].mean(), gray[1] - gray[1].mean(), weights)
    np.testing.assert_allclose(found, expected, atol=0.35)


def test_turning_the_head_moves_the_nose_over_the_cheeks():
    """Yaw to the viewer's right moves near points right and shortens that side."""
    portrait = example("vigee_lebrun")
    warp = PortraitWarp(portrait)
    mark = np.round(portrait.face.landmarks[4, :2]).astype(int)
    pixels = portrait.pixels.copy()
    cv2.circle(pixels, mark.tolist(), 3, UNLIKELY, -1)
    frame = render(
        PortraitWarp(Portrait(pixels, portrait.face)), NO_EXPRESSION, np.array([0, 0.15, 0, 0, 0, 0])
    )
    _, columns = np.nonzero(np.abs(frame.astype(int) - UNLIKELY).max(2) < 60)
    turned = rotation_matrix(np.array([[0, 0.15, 0]])) @ warp.pose.rotation
    moved = to_image(warp.vertices[None], Pose(warp.pose.scale, turned, warp.pose.translation))[0]
    assert columns.mean() - mark[0] > 1
    assert columns.mean() == pytest.approx(moved[4, 0], abs=1.0)


@pytest.mark.parametrize("name", ["astronaut_collins", "obama"])
def test_closed_lips_show_no_inside(name):
    portrait = example(name, 768)
    bright = (120, 255, 255)
    warp = PortraitWarp(painted(portrait, opening(portrait, LIPS_INNER), bright))
    shown = count_of(render(warp, NO_EXPRESSION, STILL), portrait, bright)
    assert shown > 30
    for pressed_cm in (2.0, 3.0):
        assert count_of(render(warp, opened_mouth(-pressed_cm), TALK), portrait, bright) < 0.02 * shown


@pytest.mark.parametrize("name", ["mona_lisa", "vigee_lebrun"])
def test_opened_lips_show_a_dark_inside_with_teeth(name):
    portrait = example(name, 768)
    warp = PortraitWarp(portrait)
    wide = opened_mouth(2.0)
    moved = to_image((warp.vertices + wide)[None], warp.pose)[0]
    height, width = portrait.pixels.shape[:2]
    inside = polygon_mask(moved[list(LIPS_INNER), :2], (0, 0, width, height)) > 0.9
    assert inside.sum() > 100
    lips = portrait.pixels[inside].mean()
    dark, bright = np.percentile(render(warp, wide, STILL)[inside].mean(1), [10, 90])
    assert dark < 0.75 * lips
    assert bright > lips


@pytest.mark.parametrize("name", NAMES)
def test_a_full_blink_covers_the_eyes(name):
    portrait = example(name, 768)
    eyes = np.maximum(opening(portrait, RIGHT_EYE), opening(portrait, LEFT_EYE))
    warp = PortraitWarp(painted(portrait, eyes, UNLIKELY))
    shown = count_of(render(warp, NO_EXPRESSION, STILL), portrait, UNLIKELY)
    assert shown > 40
    assert count_of(render(warp, blink(portrait), STILL), portrait, UNLIKELY) < 0.02 * shown
    assert count_of(render(warp, 2 * blink(portrait), TALK), portrait, UNLIKELY) < 0.02 * shown


def test_closed_lips_meet_in_a_smooth_line(monkeypatch):
    """White above and black below the opening of the picture: the closed border runs without stairs."""
    portrait = example("obama", 768)
    warp = PortraitWarp(portrait)
    motion = warp.resolve(opened_mouth(-2.0)[None], np.array([[0, 0, 0.06, 0, 0, 0]]))

    def border(contour: tuple[int, ...]) -> np.ndarray:
        """Height of the border's white, column by column, in the middle of the closed opening."""
        opening = portrait.face.landmarks[list(contour), :2] - 0.5
        edges = [opening[: len(contour) // 2 + 1], np.roll(opening[::-1], 1, axis=0)[: len(contour) // 2 + 1]]
        columns = np.arange(portrait.pixels.shape[1])
        height = np.mean([np.interp(columns, *edge[np.argsort(edge[:, 0])].T) for edge in edges], axis=0)
        white = np.clip(height - np.arange(portrait.pixels.shape[0])[:, None] + 0.5, 0, 1)
        pixels = np.repeat(np.round(255 * white)[..., None], 3, axis=2).astype(np.uint8)
        frame = PortraitWarp(Portrait(pixels, portrait.face)).draw(motion)[..., 0] / 255
        (x, y), spread = motion.landmarks[0, list(contour), :2].mean(0), np.ptp(opening[:, 0])
        rows = slice(int(y - 0.3 * spread), int(y + 0.3 * spread))
        return frame[rows, int(x - 0.3 * spread) : int(x + 0.3 * spread)].sum(0)

    def roughness() -> float:
        return float(np.abs(np.diff(border(LIPS_INNER), 2)).mean())

    smooth = roughness()
    monkeypatch.setattr(LipEdges, "draw", lambda *_: None)
    assert smooth < 0.65 * roughness()


def test_gaze_moves_the_iris_and_leaves_the_lids():
    portrait = example("vigee_lebrun", 1024)
    x, y = np.round(portrait.face.landmarks[468, :2] - 0.5).astype(int)
    pixels = portrait.pixels.copy()
    cv2.circle(pixels, (int(x), int(y)), 2, UNLIKELY, -1)
    warp = PortraitWarp(Portrait(pixels, portrait.face))
    gaze = NO_EXPRESSION.copy()
    gaze[468:478, 0] = 0.15
    still, moved = render(warp, NO_EXPRESSION, STILL), render(warp, gaze, STILL)
    eyes = np.maximum(opening(portrait, RIGHT_EYE), opening(portrait, LEFT_EYE))
    near = cv2.dilate((eyes > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert np.abs(moved.astype(int) - still).max(2)[~near].max() == 0
    columns = [np.nonzero(np.abs(f.astype(int) - UNLIKELY).max(2) < 90)[1].mean() for f in (still, moved)]
    assert columns[1] - columns[0] == pytest.approx(0.15 * warp.pose.scale[0], rel=0.3)


@pytest.mark.parametrize("name", NAMES)
def test_mirrored_motion_of_the_mirrored_picture_is_the_mirrored_frame(name):
    portrait = example(name)
    width = portrait.pixels.shape[1]
    other = portrait_of(
        np.ascontiguousarray(portrait.pixels[:, ::-1]), mirrored_landmarks(portrait.face.landmarks, width)
    )
    smile = opened_mouth(0.8)
    frame = render(PortraitWarp(portrait), smile, TALK)
    mirrored = render(
        PortraitWarp(other), smile[mirror_partners()] * [-1, 1, 1], TALK * [1, -1, -1, -1, 1, 1]
    )
    difference = np.abs(frame.astype(int) - mirrored[:, ::-1])
    moved = np.abs(frame.astype(int) - portrait.pixels)
    assert difference.mean() < 0.15 * moved.mean()


@pytest.mark.parametrize("name", ["obama", "mona_lisa"])
@pytest.mark.parametrize("part", ["tight", "left half", "chin", "tiny"])
def test_hard_pictures_stay_whole(name, part):
    portrait = example(name)
    x0, y0, x1, y1 = (int(side) for side in portrait.face.box)
    middle = (x0 + x1) // 2
    if part == "tight":
        hard = cut(portrait, x0, y0, x1, y1)
    elif part == "left half":
        hard = cut(portrait, max(x0 - 20, 0), y0 - 20, middle, y1 + 20)
    elif part == "chin":
        hard = cut(portrait, x0 - 20, y0 - 20, x1 + 20, (y0 + 3 * y1) // 4)
    else:
        share = 30 / (y1 - y0)
        pixels = cv2.resize(portrait.pixels, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        hard = portrait_of(pixels, portrait.face.landmarks * share)
    check_sanity(hard)


@pytest.mark.parametrize("yaw", [0.5, 0.9, -1.1])
def test_turned_faces_stay_whole(yaw):
    rng = np.random.default_rng(0)
    pose = Pose(
        np.array([9.0]), rotation_matrix(np.array([[0.1, yaw, 0.05]])), np.array([[120.0, -130.0, 0]])
    )
    noise = cv2.GaussianBlur(rng.integers(0, 256, (256, 240, 3), dtype=np.uint8), (0, 0), 3)
    check_sanity(portrait_of(noise, canonical_landmarks(pose)[0]))


def check_sanity(portrait: Portrait) -> None:
    """Nothing but the mouth changes at rest; motion changes something and makes up no brightness."""
    warp = PortraitWarp(portrait)
    still = np.abs(render(warp, NO_EXPRESSION, STILL).astype(int) - portrait.pixels)
    assert still.mean() < 2
    for change, motion in (
        (opened_mouth(2.0), TALK),
        (opened_mouth(-1.0), -3 * TALK),
        (NO_EXPRESSION, 5 * TALK),
    ):
        frame = render(warp, change, motion)
        assert frame.shape == portrait.pixels.shape
        assert frame.dtype == np.uint8
        assert np.abs(frame.astype(int) - portrait.pixels).max() > 0
        assert frame.mean() == pytest.approx(portrait.pixels.mean(), rel=0.15, abs=4)


@pytest.mark.parametrize("yaw", [0.0, 0.6, -1.0])
def test_the_seen_part_of_a_face_has_one_outline(yaw):
    pose = Pose(np.array([10.0]), rotation_matrix(np.array([[0.0, yaw, 0.0]])), np.zeros((1, 3)))
    landmarks = canonical_landmarks(pose)[0]
    seen = seen_triangles(landmarks)
    count = len(canonical_face().triangles)
    assert len(seen) == count if yaw == 0 else 0.4 * count < len(seen) < count
    around = face_outline(landmarks, seen)
    assert len(around) == len(set(around))
    assert len(around) == pytest.approx(len(outer_edges(seen)), abs=2)  # a corner may hang by one vertex


def test_frames_stream_at_the_output_rate():
    portrait = example("mona_lisa")
    encoded = codec().encode_reference(portrait)
    latents = torch.zeros(3, *codec().latent_shape)
    stream = codec().decode(latents, encoded.context)
    started = time.perf_counter()
    frames = list(stream)
    assert (time.perf_counter() - started) / len(frames) < 0.5
    assert len(frames) == 6
    assert all(np.array_equal(frame, frames[0]) for frame in frames)
    still = codec().motion(latents, encoded.context, DecodeOptions()).expression[:1]
    motion = Motion(np.repeat(still, 2, axis=0), np.array([STILL, TALK]))
    first, second = codec().render(motion, encoded.context)
    assert np.array_equal(first, frames[0])
    assert not np.array_equal(second, frames[0])
