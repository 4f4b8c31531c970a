"""Eyes: blinks and glances over many seeds, and lids that close on every portrait under painted skin."""

import cv2
import numpy as np
import pytest
import torch
from faces import NAMES, canonical_landmarks, codec, example, portrait_of, poses

from sonimate.codecs.mesh.eyes import EYEBALL_CM, GLANCE_HIGH_CM, GLANCE_LOW_CM, eye_motion, move_eyes
from sonimate.codecs.mesh.lids import EyeLids
from sonimate.codecs.mesh.motion import EyeMotion, upper_and_lower
from sonimate.codecs.mesh.warp import PortraitWarp
from sonimate.configs import NATURAL_EYES, DecodeOptions, EyeOptions, Gaze
from sonimate.errors import OptionOutOfRange
from sonimate.evaluate.face_curves import shape_curves
from sonimate.evaluate.statistics import blinks_per_minute
from sonimate.face.canonical import canonical_vertices
from sonimate.face.pose import Pose, rotation_matrix
from sonimate.face.regions import (
    LEFT_EYE,
    LEFT_IRIS,
    RIGHT_EYE,
    RIGHT_IRIS,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
)
from sonimate.types import Portrait

FPS = 25.0
SEEDS = range(100)


def drawn(seconds: float, seed: int, options: EyeOptions = NATURAL_EYES) -> EyeMotion:
    """Of a head that stays still, with a mouth that opens and closes at random."""
    count = round(seconds * FPS)
    mouth = np.abs(np.random.default_rng(seed).normal(size=count))
    return eye_motion(mouth, np.zeros((count, 6)), FPS, np.random.default_rng(seed), options)


def posed(warp: PortraitWarp, eyes: EyeMotion) -> list[np.ndarray]:
    """Frames of a still face with moving eyes."""
    count = len(eyes.closure)
    motion = warp.resolve(np.zeros((count, 478, 3)), np.zeros((count, 6)), eyes)
    return [warp.draw(type(motion)(motion.vertices[i : i + 1], motion.pose[i : i + 1])) for i in range(count)]


def closing(*closure: float) -> EyeMotion:
    return EyeMotion(np.array(closure), np.zeros((len(closure), 2)))


def opening(portrait: Portrait, contour: tuple[int, ...], growth: float = 1.0) -> np.ndarray:
    """(h, w) bool, the eye in the picture."""
    polygon = portrait.face.landmarks[list(contour), :2]
    polygon = polygon.mean(0) + growth * (polygon - polygon.mean(0))
    mask = np.zeros(portrait.pixels.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(polygon).astype(np.int32)], 1)
    return mask > 0


@pytest.mark.parametrize("seconds", [10, 10.4, 11.9, 12.2, 15, 18.1, 24.2, 60])
def test_every_seed_blinks_10_to_24_times_a_minute(seconds):
    rates = [blinks_per_minute(0.3 * (1 - drawn(seconds, seed).closure)) for seed in SEEDS]
    assert min(rates) >= 10
    assert max(rates) <= 24


@pytest.mark.parametrize("wanted", [0, 3, 8, 16, 25, 40])
def test_every_seed_blinks_as_often_as_asked(wanted):
    for seed in SEEDS:
        shut = drawn(60, seed, EyeOptions(blinks=wanted)).closure == 1
        assert abs(np.count_nonzero(np.diff(shut.astype(int)) == 1) - wanted) <= 1


@pytest.mark.parametrize("wanted", [0, 12, 40])
def test_rendered_lids_blink_as_often_as_asked(wanted):
    """Counted in the pixels: skin takes the place of the eye."""
    portrait = example("obama", 256)
    encoded = codec().encode_reference(portrait)
    options = DecodeOptions(seed=3, fps=12.5, eyes=EyeOptions(blinks=wanted, gaze="steady"))
    frames = codec().decode(torch.zeros(188, *codec().latent_shape), encoded.context, options)
    mask = opening(portrait, RIGHT_EYE)
    eyes = np.stack([frame[mask].astype(float) for frame in frames])
    changed = np.abs(eyes - np.median(eyes, axis=0)).mean((1, 2))
    shut = changed > 15
    assert abs(np.count_nonzero(np.diff(shut.astype(int)) == 1) - wanted / 4) <= 1


@pytest.mark.parametrize(("gaze", "toward"), [("steady", (0, 0)), ((10, 0), (1, 0)), ((-12, -6), (-2, -1))])
def test_eyes_look_where_they_are_asked_to(gaze, toward):
    """In drawn frames: the irises' landmarks go there, and stay."""
    encoded = codec().encode_reference(example("obama", 256))
    latents = torch.zeros(50, *codec().latent_shape)

    def looks(direction: Gaze) -> np.ndarray:
        options = DecodeOptions(seed=1, eyes=EyeOptions(blinks=0, gaze=direction))
        motion = codec().motion(latents, encoded.context, options)
        return shape_curves(codec().resolve(motion, encoded.context).landmarks).gaze

    change = looks(gaze) - looks("steady")
    assert looks(gaze).std(0).max() < 0.02 < looks("natural").std(0).max()
    if gaze != "steady":
        degrees = np.degrees(np.arcsin(change.mean(0) / 10 / EYEBALL_CM))
        np.testing.assert_allclose(degrees, gaze, atol=2.5)
    assert (np.sign(np.round(change.mean(0), 1)) == np.sign(toward)).all()


@pytest.mark.parametrize(
    "wrong", [{"blinks": 41}, {"blinks": -1}, {"blinks": float("nan")}, {"gaze": "up"}, {"gaze": (13, 0)}]
)
def test_eyes_are_asked_for_what_they_can_do(wrong):
    with pytest.raises(OptionOutOfRange, match=next(iter(wrong))):
        EyeOptions(**wrong)


def test_blinks_shut_the_eyes_and_take_100_to_250_ms():
    for seed in SEEDS:
        closure = drawn(20, seed).closure
        edges = np.flatnonzero(np.diff((closure > 0.02).astype(int)))
        for start, end in edges.reshape(-1, 2):
            assert 0.1 <= (end - start) / FPS <= 0.25
            assert closure[start : end + 1].max() == 1


def test_intervals_between_blinks_vary():
    shut = [np.flatnonzero(np.diff((drawn(60, seed).closure == 1).astype(int)) == 1) for seed in SEEDS]
    gaps = np.concatenate([np.diff(frames) for frames in shut]) / FPS
    assert gaps.min() >= 0.9
    assert gaps.max() < 9
    assert gaps.std() > 1


def test_blinks_prefer_closed_mouths():
    mouth = np.tile(np.repeat([1.0, 0.0], 10), 75)
    shut = [
        eye_motion(mouth, np.zeros((1500, 6)), FPS, np.random.default_rng(seed)).closure == 1
        for seed in range(20)
    ]
    assert np.mean([mouth[frames].mean() for frames in shut]) < 0.2


def test_eyes_rest_and_jump_and_mostly_look_at_the_viewer():
    gaze = np.stack([drawn(20, seed).gaze for seed in SEEDS])
    speed = np.linalg.norm(np.diff(gaze, axis=1), axis=2)
    assert (speed == 0).mean() > 0.85
    spread = 10 * np.sqrt(gaze.var(1).sum(1))
    assert 0.6 < np.median(spread) < 1.1
    assert (np.linalg.norm(gaze, axis=2) < 0.06).mean() > 0.4
    moving = (speed > 0).astype(int)
    for row in np.pad(moving, ((0, 0), (1, 1))):
        starts, ends = np.flatnonzero(np.diff(row) == 1), np.flatnonzero(np.diff(row) == -1)
        assert (ends - starts).max() <= 2


def test_eyes_stay_on_the_viewer_while_the_head_turns():
    head = np.zeros((250, 6))
    head[:, 1] = 0.1 * np.sin(np.arange(250) / 20)
    turned = eye_motion(np.zeros(250), head, FPS, np.random.default_rng(3)).gaze
    still = eye_motion(np.zeros(250), 0 * head, FPS, np.random.default_rng(3)).gaze
    assert np.corrcoef((turned - still)[:, 0], head[:, 1])[0, 1] < -0.9
    assert (turned >= GLANCE_LOW_CM).all()
    assert (turned <= GLANCE_HIGH_CM).all()


def test_upper_lids_follow_the_gaze_and_nothing_else_moves():
    rest = canonical_vertices()[None]
    change = move_eyes(rest, EyeMotion(np.zeros(1), np.array([[0.1, -0.1]])))[0] - rest[0]
    np.testing.assert_allclose(change[[RIGHT_IRIS, LEFT_IRIS], :2], [[0.1, -0.1]] * 2)
    assert -0.1 < change[RIGHT_UPPER_LID, 1] < -0.06
    moved = set(np.flatnonzero(np.abs(change).max(1)))
    uppers = {int(v) for contour in (RIGHT_EYE, LEFT_EYE) for v in upper_and_lower(contour)[0]}
    assert moved == uppers | set(range(468, 478))


@pytest.mark.parametrize("name", NAMES)
def test_lids_close_on_this_portraits_own_lids(name):
    warp = PortraitWarp(example(name))
    vertices = warp.resolve(np.zeros((3, 478, 3)), np.zeros((3, 6)), closing(0, 0.5, 1)).vertices
    for contour in (RIGHT_EYE, LEFT_EYE):
        upper, lower = upper_and_lower(contour)
        apart = np.linalg.norm(vertices[:, upper] - vertices[:, lower], axis=2)
        assert apart[2].max() < 1e-9
        np.testing.assert_allclose(apart[1], apart[0] / 2)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_eye_and_no_smear_shows_when_shut(name):
    """The eye's pixels become skin: as light as the skin around it, and none of them of the eye's colour."""
    portrait = example(name, 768)
    eyes = {contour: opening(portrait, contour) for contour in (RIGHT_EYE, LEFT_EYE)}
    pixels = portrait.pixels.copy()
    for contour in eyes:
        pixels[opening(portrait, contour, 0.8)] = (255, 0, 255)
    magenta = posed(PortraitWarp(Portrait(pixels, portrait.face)), closing(1))[0]
    (shut,) = posed(PortraitWarp(portrait), closing(1))
    for contour, mask in eyes.items():
        near = opening(portrait, contour, 1.5)
        assert (np.abs(magenta[near].astype(int) - (255, 0, 255)).max(1) < 80).mean() < 0.01
        skin = portrait.pixels[opening(portrait, contour, 2.5) & ~opening(portrait, contour, 1.6)]
        assert shut[mask].mean() > 0.6 * np.median(skin.mean(1))


@pytest.mark.parametrize("name", NAMES)
def test_a_shut_eye_has_no_edge_but_its_lashes(name):
    """Beside and above the eye the skin goes on without steps: no horns of squeezed lashes."""
    portrait = example(name, 768)
    (shut,) = posed(PortraitWarp(portrait), closing(1))
    lightness = shut.mean(2)
    for contour in (RIGHT_EYE, LEFT_EYE):
        points = portrait.face.landmarks[list(contour), :2]
        width = np.ptp(points[:, 0])
        upper, _ = upper_and_lower(contour)
        x, y = portrait.face.landmarks[upper, :2].mean(0)
        across = lightness[round(y), round(x - 0.3 * width) : round(x + 0.3 * width)]
        assert np.abs(np.diff(across)).max() < 0.08 * np.median(across)


@pytest.mark.parametrize("name", ["mona_lisa", "obama"])
def test_a_shut_lid_lies_in_the_shade_of_its_brow(name):
    """Deep eyes: the painted lid passes into the shade above it, and is no pale patch with an outline."""
    portrait = example(name, 768)
    pixels = portrait.pixels.astype(float)
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    eyes = [portrait.face.landmarks[list(contour), :2] for contour in (RIGHT_EYE, LEFT_EYE)]
    for points in eyes:
        width, (u, v) = np.ptp(points[:, 0]), points.mean(0)
        away = ((x - u) / (1.1 * width)) ** 4 + ((y - v + 0.35 * width) / (0.4 * width)) ** 4
        pixels *= 1 - 0.65 * np.exp(-away)[..., None]
    (shut,) = posed(PortraitWarp(Portrait(pixels.round().astype(np.uint8), portrait.face)), closing(1))
    for points in eyes:
        width, (u, v) = np.ptp(points[:, 0]), points.mean(0)
        middle = shut[round(v - 0.55 * width) : round(v), round(u - 0.15 * width) : round(u + 0.15 * width)]
        down = middle.mean((1, 2))
        assert np.diff(down).max() < 0.37 * down.mean()


def test_lashes_of_small_eyes_are_a_line_without_gaps():
    """In eyes 10 to 15 px wide, and at every angle, a lash line is not dark here and pale there."""
    steps = []
    for scale in (4.2, 4.8, 5.7):
        for roll in (0.0, 0.1, 0.2):
            pose = Pose(
                np.array([scale]), rotation_matrix(np.array([[0, 0, roll]])), np.array([[60, -60, 0]])
            )
            landmarks = canonical_landmarks(pose)[0]
            frame = np.full((120, 120, 3), 200, np.uint8)
            cv2.fillPoly(frame, [np.round(landmarks[list(RIGHT_EYE), :2]).astype(np.int32)], (20, 20, 20))
            upper, lower = upper_and_lower(RIGHT_EYE)
            moved = landmarks.copy()
            moved[upper] = moved[lower]
            EyeLids(frame, landmarks, RIGHT_EYE).draw(frame, moved, 1.0)
            outer, inner = np.sort(moved[[RIGHT_EYE[0], RIGHT_EYE[8]], 0])
            quarter, y = (inner - outer) / 4, moved[lower, 1].mean()
            line = frame[
                round(y - 4) : round(y + 5), round(outer + quarter) : round(inner - quarter) + 1
            ].mean(2)
            steps.extend(np.abs(np.diff(line.min(0))))
    assert np.mean(steps) < 20


@pytest.mark.parametrize("name", ["obama", "astronaut_collins"])
def test_a_rim_of_glasses_goes_on_before_the_lid(name):
    portrait = example(name, 768)
    pixels = portrait.pixels.copy()
    rims = []
    for contour in (RIGHT_EYE, LEFT_EYE):
        upper, _ = upper_and_lower(contour)
        points = portrait.face.landmarks[list(contour), :2]
        width, x = np.ptp(points[:, 0]), points[:, 0].mean()
        y = portrait.face.landmarks[upper, 1].min() - 0.14 * width
        line = np.round([x - width, y]).astype(int), np.round([x + width, y]).astype(int)
        cv2.line(pixels, line[0].tolist(), line[1].tolist(), (10, 10, 10), 1)
        rims.append((line[0][1], slice(round(x - 0.35 * width), round(x + 0.35 * width))))
    (shut,) = posed(PortraitWarp(Portrait(pixels, portrait.face)), closing(1))
    for y, across in rims:
        assert shut[y - 4 : y + 5, across].mean(2).min(0).max() < 80


def test_an_open_lid_is_not_painted():
    portrait = example("obama")
    lids = EyeLids(portrait.pixels, portrait.face.landmarks.astype(float), RIGHT_EYE)
    frame = portrait.pixels.copy()
    lids.draw(frame, portrait.face.landmarks.astype(float), 0.05)
    np.testing.assert_array_equal(frame, portrait.pixels)


def test_lids_of_faces_at_the_border_and_of_tiny_ones_are_drawn():
    for scale, shift in ((1.0, 0.0), (1.0, 90.0), (0.3, 50.0), (2.0, -200.0)):
        pose = poses(1, np.random.default_rng(0), turn=0.1)
        pose.translation[:] = [60 + shift, -60, 0]
        pose.scale[:] = 6 * scale
        landmarks = canonical_landmarks(pose)[0]
        frame = np.full((120, 120, 3), 128, np.uint8)
        for contour in (RIGHT_EYE, LEFT_EYE):
            EyeLids(frame, landmarks, contour).draw(frame, landmarks, 1.0)
        assert frame.shape == (120, 120, 3)


def test_closed_eyes_stay_closed():
    portrait = example("obama")
    (shut,) = posed(PortraitWarp(portrait), closing(1))
    landmarks = portrait.face.landmarks.copy()
    for contour in (RIGHT_EYE, LEFT_EYE):
        upper, lower = upper_and_lower(contour)
        landmarks[upper] = 0.1 * landmarks[upper] + 0.9 * landmarks[lower]
    encoded = codec().encode_reference(portrait_of(shut, landmarks))
    warp = encoded.context
    motion = codec().motion(torch.zeros(60, *codec().latent_shape), warp, DecodeOptions(seed=1))
    assert motion.eyes is None
    vertices = codec().resolve(motion, warp).vertices
    apart = vertices[:, RIGHT_UPPER_LID, 1] - vertices[:, RIGHT_LOWER_LID, 1]
    assert apart.max() < 0.15
