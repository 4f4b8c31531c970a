"""A face's surroundings are cut out of a picture, and what moves there is laid back without a trace."""

import logging

import numpy as np
import pytest
from faces import PORTRAITS, canonical_landmarks, codec, mesh, portrait_of, poses
from hypothesis import given
from hypothesis import strategies as st
from media_samples import EXAMPLES
from PIL import Image

from sonimate.codecs.mesh.codec import MOTION, Motion
from sonimate.errors import FaceTooSmall, NoFaceFound, OptionOutOfRange
from sonimate.face.crop import (
    FEATHER,
    Canvas,
    PasteBack,
    crop_box,
    move_face,
    pasted,
    reference_crop,
    share_among,
)
from sonimate.face.geometry import process_bbox
from sonimate.face.mesh import face_size
from sonimate.inputs import read_inputs, read_portrait
from sonimate.media.image import read_image

SPEECH = EXAMPLES / "speech" / "librivox_ss_0890.wav"
COLLINS, OBAMA = (PORTRAITS / f"{name}.jpg" for name in ("astronaut_collins", "obama"))
COLLINS_BOX = (134, 33, 317, 216)
"""NOTES 2.4 applied by hand to the face box 180, 70, 272, 179 that FaceMesh finds in the 512 px picture."""


def grain(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@st.composite
def faces_in_images(draw):
    width, height = draw(st.integers(100, 2000)), draw(st.integers(100, 2000))
    across, down = draw(st.floats(48, width)), draw(st.floats(48, height))
    x = draw(st.floats(-0.2 * across, width - 0.8 * across))
    y = draw(st.floats(-0.2 * down, height - 0.8 * down))
    return (x, y, x + across, y + down), width, height


@given(faces_in_images())
def test_the_crop_gives_the_face_room_wherever_the_image_does(drawn):
    face, width, height = drawn
    box = crop_box(face, width=width, height=height)
    for axis, end in enumerate((width, height)):
        start, stop = box[axis::2]
        assert 0 <= start < stop <= end
        room = 0.15 * (stop - start) - 1  # a pixel is lost to rounding
        assert start == 0 or face[axis] - start >= room
        assert stop == end or stop - face[axis + 2] >= room


@given(across=st.floats(48, 300), ratio=st.floats(0.8, 1.3), x=st.floats(300, 1300), y=st.floats(300, 1300))
def test_the_crop_of_an_ordinary_face_is_the_reference_square(across, ratio, x, y):
    face = (x, y, x + across, y + ratio * across)
    expected = process_bbox(face, expand_ratio=0.5, width=2000, height=2000)
    assert crop_box(face, width=2000, height=2000) == expected


@given(faces_in_images())
def test_the_full_model_gets_the_reference_square_of_any_face(drawn):
    face, width, height = drawn
    expected = process_bbox(face, expand_ratio=0.5, width=width, height=height)
    assert reference_crop(face, width=width, height=height) == expected


def test_only_the_compact_model_gives_a_face_at_the_edge_more_room(tmp_path):
    """size=None stands for the full model, which scales the picture itself."""
    path = tmp_path / "edge.png"
    picture = read_image(COLLINS)[:, 180:]
    Image.fromarray(picture).save(path)
    height, width = picture.shape[:2]
    face = read_portrait(path, size=None, mesh=mesh()).face.box
    squares = [find(face, width=width, height=height) for find in (reference_crop, crop_box)]
    assert squares[0] != squares[1]
    for size, (x0, y0, x1, y1) in zip((None, 1024), squares, strict=True):
        inputs = read_inputs(path, SPEECH, size=size, crop=True, mesh=mesh())
        expected = picture[y0:y1, x0:x1]
        if size:
            expected = expected[: (y1 - y0) // 2 * 2, : (x1 - x0) // 2 * 2]
        np.testing.assert_array_equal(inputs.portrait.pixels, expected)


def test_only_a_picture_too_narrow_for_a_square_gets_another_crop():
    face = (20.0, 300.0, 180.0, 520.0)
    assert crop_box(face, width=200, height=900) == (0, 190, 200, 630)
    x0, y0, x1, y1 = crop_box(face, width=900, height=900)
    assert x1 - x0 == y1 - y0


def test_the_face_is_where_it_would_be_found_in_the_crop():
    portrait = read_portrait(OBAMA, size=300, crop=True, mesh=mesh())
    (found,) = mesh().find(portrait.pixels)
    away = np.linalg.norm(found.landmarks - portrait.face.landmarks, axis=1)
    assert away.mean() < 0.02 * face_size(found)


def test_moving_a_face_is_undone_by_moving_it_back():
    landmarks = canonical_landmarks(poses(1, np.random.default_rng(0)))[0] + [256, 256, 0]
    face = portrait_of(grain(512, 512), landmarks).face
    there = move_face(face, (100, 30, 340, 270), width=480, height=480)
    np.testing.assert_allclose(there.landmarks[:, :2], 2 * (face.landmarks[:, :2] - [100, 30]), rtol=1e-5)
    np.testing.assert_allclose(there.landmarks[:, 2], 2 * face.landmarks[:, 2], rtol=1e-5)
    back = move_face(there, (-200, -60, 824, 964), width=512, height=512)
    np.testing.assert_allclose(back.landmarks, face.landmarks, atol=1e-3)
    np.testing.assert_allclose(back.box, face.box, atol=1e-3)


@pytest.mark.parametrize("size", [None, 1024])
def test_a_crop_holds_the_files_own_pixels(size):
    portrait = read_portrait(COLLINS, size=size, crop=True, mesh=mesh())
    x0, y0, x1, y1 = COLLINS_BOX
    expected = read_image(COLLINS)[y0:y1, x0:x1]
    if size:
        expected = expected[:182, :182]
    np.testing.assert_array_equal(portrait.pixels, expected)


def test_size_limits_the_moving_part_and_none_keeps_its_size():
    assert max(read_portrait(COLLINS, size=100, crop=True, mesh=mesh()).pixels.shape) == 100
    np.testing.assert_array_equal(read_portrait(OBAMA, size=None, mesh=mesh()).pixels, read_image(OBAMA))


@pytest.fixture(scope="module")
def two_faces(tmp_path_factory):
    """Two pictures side by side: 1024 x 512 px."""
    path = tmp_path_factory.mktemp("two") / "two.png"
    collins = read_image(COLLINS)
    Image.fromarray(np.hstack([collins, collins[:, ::-1]])).save(path)
    return path


@pytest.mark.parametrize("choice", [{"face": 2}, {"face_box": (750.0, 70.0, 850.0, 180.0)}])
def test_the_chosen_face_is_cut_out(two_faces, choice):
    _, canvas = read_whole(two_faces, crop=True, **choice)
    mirrored = (1024 - COLLINS_BOX[2], COLLINS_BOX[1], 1024 - COLLINS_BOX[0], COLLINS_BOX[3])
    np.testing.assert_allclose(canvas.box, mirrored, atol=2)


def test_what_cannot_be_cropped_is_refused(two_faces):
    with pytest.raises(FaceTooSmall, match="--size 90 or more"):
        read_portrait(COLLINS, size=64, crop=True, mesh=mesh())
    with pytest.raises(OptionOutOfRange, match="size = 63"):
        read_portrait(COLLINS, size=63, crop=True, mesh=mesh())
    with pytest.raises(NoFaceFound, match=r"overlaps the box 0,400,90,500.*left to right: 1: "):
        read_portrait(two_faces, face_box=(0, 400, 90, 500), crop=True, mesh=mesh())


def test_a_picture_without_room_for_a_face_is_refused(tmp_path):
    path = tmp_path / "small.png"
    Image.fromarray(grain(40, 40)).save(path)
    with pytest.raises(FaceTooSmall, match="no room for a face"):
        read_portrait(path, crop=True, mesh=mesh())


def read_whole(path, **options):
    """Portrait and canvas of a picture that is to be pasted back."""
    inputs = read_inputs(path, SPEECH, paste_back=True, mesh=mesh(), **options)
    assert inputs.canvas is not None
    return inputs.portrait, inputs.canvas


def test_the_canvas_is_the_picture_with_even_sides():
    portrait, canvas = read_whole(OBAMA, size=255)
    np.testing.assert_array_equal(canvas.pixels, read_image(OBAMA)[:1136])
    assert canvas.box == (0, 0, 910, 1136)
    assert portrait.pixels.shape == (255, 204, 3)


def test_the_canvas_is_no_larger_than_a_video_may_be(monkeypatch):
    monkeypatch.setattr("sonimate.face.framing.MAX_SIZE_PX", 400)
    portrait, canvas = read_whole(COLLINS, crop=True, size=120, face_box=(180, 70, 272, 179))
    assert canvas.pixels.shape == (400, 400, 3)
    np.testing.assert_allclose(canvas.box, np.array(COLLINS_BOX) * 400 / 512, atol=2)
    assert max(portrait.pixels.shape) == 120


def test_a_canvas_is_kept_only_for_pasting(caplog):
    with caplog.at_level(logging.WARNING, "sonimate"):
        assert read_inputs(COLLINS, SPEECH, crop=True, mesh=mesh()).canvas is None
    assert not caplog.records


BOX = (60, 30, 260, 180)


@pytest.fixture
def canvas():
    return Canvas(grain(240, 320), BOX)


def test_outside_the_box_the_picture_stays_and_inside_the_frame_shows(canvas):
    frame = grain(150, 200, seed=1)
    whole = PasteBack(canvas)(frame)
    assert (whole.shape, whole.dtype) == (canvas.pixels.shape, np.uint8)
    x0, y0, x1, y1 = BOX
    changed = (whole != canvas.pixels).any(-1)
    changed[y0:y1, x0:x1] = False
    assert not changed.any()
    np.testing.assert_array_equal(whole[y0 + 15 : y1 - 15, x0 + 20 : x1 - 20], frame[15:-15, 20:-20])


def test_pasting_the_picture_itself_changes_nothing(canvas):
    x0, y0, x1, y1 = BOX
    np.testing.assert_array_equal(PasteBack(canvas)(canvas.pixels[y0:y1, x0:x1]), canvas.pixels)


def test_frames_fade_in_smoothly():
    whole = PasteBack(Canvas(np.zeros((240, 320, 3), np.uint8), BOX))(np.full((150, 200, 3), 255, np.uint8))
    for line, length in ((whole[105, :160, 0], 200), (whole[:105, 160, 0], 150)):
        steps = np.diff(line.astype(int))
        assert steps.min() >= 0
        assert steps.max() <= 255 * np.pi / 2 / (FEATHER * length) + 1  # a cosine's steepest slope
        assert line[-1] == 255
    x0, y0, _, _ = BOX
    assert whole[105, x0].max() <= 1
    assert whole[y0, 160].max() <= 1


def test_nothing_fades_at_the_pictures_own_edge():
    white = np.full((240, 160, 3), 255, np.uint8)
    whole = PasteBack(Canvas(np.zeros((240, 320, 3), np.uint8), (0, 0, 160, 240)))(white)
    assert whole[:, :140].min() == 255
    assert whole[:, 159].max() <= 2
    everywhere = PasteBack(Canvas(np.zeros((240, 320, 3), np.uint8), (0, 0, 320, 240)))
    np.testing.assert_array_equal(everywhere(grain(240, 320)), grain(240, 320))


@pytest.mark.parametrize("shape", [(75, 100), (300, 400), (576, 512), (64, 1024)])
def test_frames_of_any_size_fill_the_box(canvas, shape):
    """A horizontal gradient arrives with its middle in the middle and its ends at the ends."""
    gradient = np.linspace(0, 250, shape[1]).astype(np.uint8)
    frame = np.broadcast_to(gradient[None, :, None], (*shape, 3)).copy()
    row = PasteBack(canvas)(frame)[105, 80:240, 0]
    np.testing.assert_allclose(row, np.interp(np.arange(80, 240), (60, 259), (0, 250)), atol=2)


def test_every_picture_is_new(canvas):
    """A writer may keep or change what it is given."""
    before = canvas.pixels.copy()
    paste = PasteBack(canvas)
    first = paste(grain(150, 200, seed=1))
    expected = first.copy()
    second = paste(grain(150, 200, seed=1))
    second[:] = 0
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(canvas.pixels, before)


def test_a_moving_head_leaves_the_border_of_its_crop_still():
    """Head and mouth move much; a pixel inside the border no value changes by more than 3 of 255."""
    portrait, canvas = read_whole(COLLINS, crop=True)
    time = np.linspace(0, 2 * np.pi, 6)[:, None]
    head = np.zeros((len(time), MOTION)) + np.sin(time) * [0.1, 0.1, 0.1, 0.5, 0.5, 0.02]
    expression = (0.5 - 0.5 * np.cos(time)) * codec().open_mouth
    reference = codec().encode_reference(portrait)
    frames = codec().render(Motion(expression, head), reference.context)
    wholes = np.stack([whole.astype(int) for whole in map(PasteBack(canvas), frames)])
    change = np.abs(np.diff(wholes, axis=0)).max((0, 3))
    x0, y0, x1, y1 = canvas.box
    assert change[y0:y1, x0:x1].max() > 50
    change[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2] = 0
    assert change.max() <= 3


FACES = [(20.0, 40.0, 60.0, 90.0), (90.0, 50.0, 130.0, 100.0), (170.0, 10.0, 260.0, 130.0)]
"""Boxes of two faces of equal size and a larger one, in a picture of 320 x 240 px."""
WHOLE = (0, 0, 320, 240)


def test_each_pixel_belongs_to_the_nearest_face_and_large_ones_reach_farther():
    shares = [share_among(face, FACES[:n] + FACES[n + 1 :], WHOLE) for n, face in enumerate(FACES)]
    for own, (x0, y0, x1, y1) in zip(shares, FACES, strict=True):
        assert own[int(y0) : int(y1), int(x0) + 4 : int(x1) - 4].min() == 1
    two = share_among(FACES[0], FACES[1:2], WHOLE) + share_among(FACES[1], FACES[:1], WHOLE)
    np.testing.assert_allclose(two, 1, atol=1e-6)
    between = [share[69:71, 74:76].mean() for share in shares]  # in the middle between the two of equal size
    np.testing.assert_allclose(between, [0.5, 0.5, 0], atol=0.01)
    assert shares[2][75, 150] > shares[1][75, 150]  # as far from both boxes, nearer in sizes to the larger
    part = share_among(FACES[0], FACES[1:], (30, 20, 120, 200))
    np.testing.assert_array_equal(part, shares[0][20:200, 30:120])


def test_streams_are_pasted_one_after_another_each_into_its_share():
    still = grain(240, 320)
    canvases = [
        Canvas(still, WHOLE, share_among(face, FACES[:place], WHOLE)) for place, face in enumerate(FACES)
    ]
    streams = [iter(np.full((2, 240, 320, 3), value, np.uint8)) for value in (50, 100, 150)]
    for whole in pasted(canvases, streams):
        for (x0, y0, x1, y1), value in zip(FACES, (50, 100, 150), strict=True):
            middle = whole[int(y0 + y1) // 2, int(x0 + x1) // 2]
            np.testing.assert_array_equal(middle, [value] * 3)
        assert whole.min() >= 50
        assert whole.max() <= 150
