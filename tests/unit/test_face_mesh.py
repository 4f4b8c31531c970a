"""Landmarks move with the image: by scale, shift, turn and mirror, on photographs and paintings."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from sonimate.errors import FaceTooSmall, NoFaceFound
from sonimate.face.canonical import canonical_face
from sonimate.face.detect import Roi
from sonimate.face.mesh import FaceMesh, face_size, follow, roi_from_landmarks, select_face
from sonimate.types import Face

PORTRAITS = Path(__file__).parents[2] / "examples" / "portraits"
NAMES = ["astronaut_collins", "mona_lisa", "obama", "vigee_lebrun"]
GRAY = (120, 120, 120)


def read(name: str) -> np.ndarray:
    return np.asarray(Image.open(PORTRAITS / f"{name}.jpg").convert("RGB"))


@pytest.fixture(scope="module")
def mesh() -> FaceMesh:
    return FaceMesh(num_threads=1)


@pytest.fixture(scope="module", params=NAMES)
def portrait(request: pytest.FixtureRequest, mesh: FaceMesh) -> tuple[np.ndarray, Face]:
    """A portrait cut to three face sizes around its only face, and the face."""
    pixels = read(request.param)
    (face,) = mesh.find(pixels)
    x0, y0, x1, y1 = (int(value) for value in face.box)
    margin = int(face_size(face))
    cut = np.ascontiguousarray(pixels[max(0, y0 - margin) : y1 + margin, max(0, x0 - margin) : x1 + margin])
    return cut, select_face(mesh.find(cut))


def warp(pixels: np.ndarray, matrix: np.ndarray, width: int, height: int) -> np.ndarray:
    """`pixels` moved by `matrix` (2, 3), which maps continuous image coordinates."""
    centred = matrix.copy()
    centred[:, 2] += matrix[:, :2].sum(1) / 2 - 0.5
    return cv2.warpAffine(pixels, centred, (width, height), flags=cv2.INTER_AREA, borderValue=GRAY)


def mean_error(face: Face, expected_xy: np.ndarray) -> float:
    """Mean landmark distance as a fraction of the face's size."""
    return float(np.linalg.norm(face.landmarks[:, :2] - expected_xy, axis=1).mean()) / face_size(face)


def turned(pixels: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """The image turned on a gray square that holds all of it, and the matrix (2, 3) that did it."""
    height, width = pixels.shape[:2]
    side = math.ceil(math.hypot(height, width))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    matrix[:, 2] += side / 2 - np.array([width, height]) / 2
    return warp(pixels, matrix, side, side), matrix


def apply(matrix: np.ndarray, face: Face) -> np.ndarray:
    return face.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]


def test_a_face_is_described_in_image_pixels(portrait: tuple[np.ndarray, Face]) -> None:
    pixels, face = portrait
    assert face.landmarks.shape == (478, 3)
    assert face.landmarks.dtype == np.float32
    assert face.presence > 0.99
    x0, y0, x1, y1 = face.box
    assert 0 < x0 < x1 < pixels.shape[1]
    assert 0 < y0 < y1 < pixels.shape[0]
    nose, ear = face.landmarks[1], face.landmarks[234]
    assert nose[2] < ear[2], "nearer is smaller"
    forehead, chin = face.landmarks[10], face.landmarks[152]
    assert forehead[1] < nose[1] < chin[1]


@pytest.mark.parametrize(("face_px", "tolerance"), [(32, 0.025), (64, 0.012), (128, 0.008), (400, 0.006)])
def test_landmarks_scale_with_the_image(
    mesh: FaceMesh, portrait: tuple[np.ndarray, Face], face_px: int, tolerance: float
) -> None:
    pixels, face = portrait
    scale = face_px / face_size(face)
    height, width = (round(side * scale) for side in pixels.shape[:2])
    found = mesh.find(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))
    exact = (width / pixels.shape[1], height / pixels.shape[0])
    assert mean_error(select_face_of_any_size(found), face.landmarks[:, :2] * exact) < tolerance


@pytest.mark.parametrize("degrees", [20, -45, 90, 135, 180, -90])
def test_landmarks_turn_with_the_image(
    mesh: FaceMesh, portrait: tuple[np.ndarray, Face], degrees: float
) -> None:
    pixels, face = portrait
    image, matrix = turned(pixels, degrees)
    assert mean_error(select_face(mesh.find(image)), apply(matrix, face)) < 0.01


def test_landmarks_move_with_the_image(mesh: FaceMesh, portrait: tuple[np.ndarray, Face]) -> None:
    pixels, face = portrait
    height, width = pixels.shape[:2]
    shift = np.array([[1, 0, 41.5], [0, 1, 17.25]])
    image = warp(pixels, shift, width + 300, height + 60)
    assert mean_error(select_face(mesh.find(image)), apply(shift, face)) < 0.006


def test_landmarks_mirror_with_the_image(mesh: FaceMesh, portrait: tuple[np.ndarray, Face]) -> None:
    pixels, face = portrait
    vertices = canonical_face().vertices
    mirrored_vertices = vertices * (-1, 1, 1)
    twin = np.array([((vertices - vertex) ** 2).sum(1).argmin() for vertex in mirrored_vertices])
    (seen,) = mesh.find(np.ascontiguousarray(pixels[:, ::-1]))
    expected = face.landmarks[twin, :2] * (-1, 1) + (pixels.shape[1], 0)
    error = np.linalg.norm(seen.landmarks[:468, :2] - expected, axis=1).mean() / face_size(face)
    assert error < 0.012


def select_face_of_any_size(faces: list[Face]) -> Face:
    assert faces, "no face found"
    return max(faces, key=face_size)


def test_a_40_px_face_is_found_anywhere_in_a_3000_px_image(mesh: FaceMesh) -> None:
    pixels = read("obama")
    (face,) = mesh.find(pixels)
    scale = 40 / face_size(face)
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    image = np.full((1800, 3000, 3), GRAY, np.uint8)
    image[1500 : 1500 + small.shape[0], 2711 : 2711 + small.shape[1]] = small
    (found,) = mesh.find(image)
    assert mean_error(found, face.landmarks[:, :2] * scale + (2711, 1500)) < 0.03
    with pytest.raises(FaceTooSmall, match="at least 48"):
        select_face([found])


def test_a_face_that_fills_the_frame_is_found(mesh: FaceMesh, portrait: tuple[np.ndarray, Face]) -> None:
    pixels, face = portrait
    x0, y0, x1, y1 = (int(value) for value in face.box)
    (found,) = mesh.find(np.ascontiguousarray(pixels[y0:y1, x0:x1]))
    assert mean_error(found, face.landmarks[:, :2] - (x0, y0)) < 0.02


def test_two_people_come_left_to_right_whatever_their_size(mesh: FaceMesh) -> None:
    left, right = read("obama"), read("vigee_lebrun")
    height = max(left.shape[0], right.shape[0])
    image = np.full((height, left.shape[1] + right.shape[1], 3), GRAY, np.uint8)
    image[: left.shape[0], : left.shape[1]] = left
    image[: right.shape[0], left.shape[1] :] = right
    first, second = mesh.find(image)
    assert first.box[2] < left.shape[1] < second.box[0]
    assert select_face([first, second]) is first, "the largest by default"
    assert select_face([first, second], index=2) is second
    assert select_face([first, second], box=(left.shape[1], 0, image.shape[1], height)) is second


def test_no_face_is_found_in_pictures_without_people(mesh: FaceMesh) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    pixels = read("mona_lisa")
    for image in (noise, np.zeros((32, 500, 3), np.uint8), pixels[700:].copy(), pixels[:4, :4].copy()):
        assert mesh.find(image) == []


def fake_face(x0: float, y0: float, x1: float, y1: float) -> Face:
    return Face(box=(x0, y0, x1, y1), landmarks=np.zeros((478, 3), np.float32), presence=1.0)


def test_a_wrong_choice_of_a_face_lists_the_faces() -> None:
    faces = [fake_face(10, 20, 110, 140), fake_face(300, 20, 500, 300)]
    with pytest.raises(NoFaceFound, match="eyes, nose and mouth"):
        select_face([])
    with pytest.raises(NoFaceFound, match=r"no face number 3.*1: 10,20,110,140; 2: 300,20,500,300"):
        select_face(faces, index=3)
    with pytest.raises(NoFaceFound, match="no face number 0"):
        select_face(faces, index=0)
    with pytest.raises(NoFaceFound, match="No face overlaps the box 120,0,200,50"):
        select_face(faces, box=(120, 0, 200, 50))
    assert select_face(faces, box=(0, 0, 320, 300)) is faces[0]


def test_tracking_a_still_face_does_not_shimmer(mesh: FaceMesh, portrait: tuple[np.ndarray, Face]) -> None:
    pixels, face = portrait
    seen = list(mesh.track([pixels] * 16, start=face))
    landmarks = np.stack([face.landmarks[:, :2] for face in seen if face is not None])
    assert len(landmarks) == 16
    scale = 300 / face_size(face)
    deviation = landmarks.std(0) * scale
    assert deviation.mean() < 0.1, "pixels of a face 300 px high"
    assert deviation.max() < 0.4


def test_tracking_follows_a_moving_turning_growing_head(mesh: FaceMesh) -> None:
    pixels = read("astronaut_collins")
    (face,) = mesh.find(pixels)
    centre = (float(face.landmarks[1, 0]), float(face.landmarks[1, 1]))
    motions = []
    for step in range(12):
        matrix = cv2.getRotationMatrix2D(centre, 3.0 * step, 1.0 + 0.02 * step)
        matrix[:, 2] += (6.0 * step, 2.0 * step)
        motions.append(matrix)
    frames = [warp(pixels, matrix, 512, 512) for matrix in motions]
    for matrix, seen in zip(motions, mesh.track(frames), strict=True):
        assert seen is not None
        assert mean_error(seen, apply(matrix, face)) < 0.015


def test_tracking_reports_a_missing_face_and_finds_it_again(mesh: FaceMesh) -> None:
    pixels = read("astronaut_collins")
    elsewhere = np.roll(pixels, 200, axis=1)
    seen = list(mesh.track([np.zeros_like(pixels), pixels, np.zeros_like(pixels), elsewhere]))
    assert [face is None for face in seen] == [True, False, True, False]
    assert seen[1] is not None
    assert seen[3] is not None
    assert seen[3].box[0] - seen[1].box[0] == pytest.approx(200, abs=3)


def test_tracking_stays_with_the_face_it_was_given(mesh: FaceMesh) -> None:
    image = np.concatenate([read("astronaut_collins")[:, :350], read("astronaut_collins")[:, 50:]], axis=1)
    left, right = mesh.find(image)
    for face in mesh.track([image] * 3, start=right):
        assert face is not None
        assert face.box == pytest.approx(right.box, abs=2)
    assert left.box[2] < right.box[0]


def test_the_crop_damps_small_moves_and_follows_large_ones() -> None:
    start = Roi(100.0, 100.0, 200.0, math.pi - 0.001)
    near = follow(start, Roi(101.0, 100.0, 200.0, math.pi - 0.001))
    assert near.x == pytest.approx(100.25)
    far = Roi(160.0, 90.0, 220.0, 0.5)
    assert follow(start, far).x == far.x
    assert follow(None, far) == far
    across = follow(start, Roi(100.0, 100.0, 200.0, 0.001 - math.pi))
    assert abs(across.angle) == pytest.approx(math.pi, abs=0.001), "the short way round"


def test_the_crop_of_landmarks_turns_and_scales_with_them() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (478, 3)).astype(np.float32)
    points[33], points[263] = (-1, 0.2, 0), (1, 0.2, 0)
    level = roi_from_landmarks(points)
    turn = 2.2
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    moved = points.copy()
    moved[:, :2] = 70 * points[:, :2] @ rotation.T + (300, 200)
    roi = roi_from_landmarks(moved)
    assert roi.size == pytest.approx(70 * level.size, rel=1e-5)
    assert roi.angle == pytest.approx(turn)
    assert (roi.x, roi.y) == pytest.approx(70 * rotation @ (level.x, level.y) + (300, 200), rel=1e-5)
