"""What a video shows of a picture: faces are found at the picture's own resolution, boxes are the file's."""

from typing import Any

import numpy as np
import pytest
from faces import PORTRAITS, mesh
from media_samples import EXAMPLES
from PIL import Image

from sonimate.errors import FaceTooSmall, NoFaceFound
from sonimate.face import framing
from sonimate.face.framing import Choice, Framed, find_faces, frame_face
from sonimate.face.mesh import face_size
from sonimate.inputs import read_inputs
from sonimate.media.image import read_image

COLLINS = read_image(PORTRAITS / "astronaut_collins.jpg")
SPEECH = EXAMPLES / "speech/librivox_ss_0890.wav"


def page(width: int, height: int, *places: tuple[int, int, float]) -> np.ndarray:
    """A grey picture with the portrait at places (x, y, scale)."""
    canvas = Image.new("RGB", (width, height), (120, 125, 130))
    for x, y, scale in places:
        side = round(512 * scale)
        canvas.paste(Image.fromarray(COLLINS).resize((side, side), Image.Resampling.LANCZOS), (x, y))
    return np.array(canvas)


@pytest.fixture(scope="module")
def two() -> np.ndarray:
    """A picture 2400 px wide with two faces of 109 and 163 px."""
    return page(2400, 1000, (100, 100, 1.0), (1500, 100, 1.5))


def frame(picture: np.ndarray, *, size: int = 512, **options: Any) -> Framed:
    return frame_face(picture, Choice(size=size, **options), name="the picture", mesh=mesh())


def test_a_listed_box_chooses_the_face_that_it_names(two):
    with pytest.raises(NoFaceFound, match="left to right: 1: ") as refusal:
        frame(two, size=1200, face_box=(0, 0, 5, 5))
    boxes = str(refusal.value).partition("left to right: ")[2].rstrip(".").split("; ")
    faces = find_faces(two, mesh())
    assert len(boxes) == len(faces) == 2
    for text, face in zip(boxes, faces, strict=True):
        box = tuple(float(side) for side in text.split(": ")[1].split(","))
        np.testing.assert_allclose(box, face.box, atol=0.5)
        np.testing.assert_allclose(frame(two, size=1200, face_box=box).face.box, face.box, atol=1)


def test_a_box_that_misses_is_repeated_as_the_user_wrote_it(two):
    with pytest.raises(NoFaceFound, match="overlaps the box 2300,900,2390,990"):
        frame(two, face_box=(2300, 900, 2390, 990))


def test_the_report_has_the_box_in_pixels_of_the_file(two, tmp_path):
    path = tmp_path / "two.png"
    Image.fromarray(two).save(path)
    for crop, paste_back in ((False, False), (True, False), (True, True)):
        inputs = read_inputs(path, SPEECH, face=1, size=1200, crop=crop, paste_back=paste_back, mesh=mesh())
        np.testing.assert_allclose(inputs.face_box, find_faces(two, mesh())[0].box, atol=1)


def test_boxes_are_those_of_the_upright_picture(tmp_path):
    """A phone stores a picture turned, with the turn in EXIF; viewers and sonimate show it upright."""
    path, exif = tmp_path / "phone.jpg", Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(np.rot90(COLLINS[:, 100:]))
    stored.save(path, exif=exif, quality=95)
    upright = find_faces(COLLINS[:, 100:], mesh())[0].box
    np.testing.assert_allclose(read_inputs(path, SPEECH, mesh=mesh()).face_box, upright, atol=2)


def test_a_small_face_in_a_large_picture_is_animated_with_its_surroundings(caplog):
    """At 512 px the face would be 26 px high."""
    picture = page(3000, 2000, (1400, 300, 1.5))
    framed = frame(picture)
    assert face_size(framed.face) > 150
    np.testing.assert_allclose(face_size(framed.portrait.face), face_size(framed.face), rtol=1e-3)
    height, width = framed.portrait.pixels.shape[:2]
    assert 250 < min(width, height) <= max(width, height) <= 512
    (message,) = (record.getMessage() for record in caplog.records)
    assert "only its surroundings" in message
    assert "--paste-back" in message
    size = int(message.rpartition("--size ")[2].split()[0])
    caplog.clear()
    whole = frame(picture, size=size).portrait
    assert not caplog.records
    assert max(whole.pixels.shape) == size
    assert 48 <= face_size(whole.face) < 50


def test_the_crop_of_a_small_face_is_pasted_back_into_the_whole_picture(caplog):
    picture = page(3000, 2000, (1400, 300, 1.5))
    framed = frame(picture, paste_back=True)
    assert framed.canvas is not None
    assert framed.canvas.pixels.shape == picture.shape
    x0, y0, x1, y1 = framed.canvas.box
    np.testing.assert_array_equal(framed.portrait.pixels, picture[y0:y1, x0:x1])
    assert "--paste-back" not in caplog.text


def test_a_face_large_enough_is_never_cropped_without_being_asked(caplog):
    assert frame(COLLINS, size=256).portrait.pixels.shape == (256, 256, 3)
    assert not caplog.records


def test_a_face_too_small_in_the_file_asks_for_a_larger_picture():
    with pytest.raises(FaceTooSmall, match=r"4\d pixels high.*larger picture"):
        frame(page(400, 400, (50, 50, 0.4)))


def test_a_small_face_beside_a_large_one_can_be_chosen():
    """The small face has 2.5 % of the longer side, below what is searched once a face is found."""
    picture = page(2600, 1400, (0, 0, 2.5), (1900, 300, 0.6))
    assert len(find_faces(picture, mesh())) == 1
    large, small = find_faces(picture, mesh(), every_size=True)
    assert face_size(small) < 0.03 * 2600 < face_size(large)
    assert frame(picture, face=2, crop=True).face.box == small.box
    assert frame(picture, face_box=small.box, crop=True).face.box == small.box


def test_a_picture_too_wide_for_the_search_is_searched_shrunk(monkeypatch):
    expected = find_faces(COLLINS, mesh())[0]
    monkeypatch.setattr(framing, "SEARCH_PX", 400)
    (found,) = find_faces(COLLINS, mesh())
    np.testing.assert_allclose(found.box, expected.box, atol=2)
    with_real_limit = page(33_000, 1030, (20_000, 0, 2.0))
    monkeypatch.undo()
    assert frame(with_real_limit, size=256).face.box[0] > 20_000
