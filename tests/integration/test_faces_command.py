"""`sonimate faces`: what it lists is what `animate` takes."""

import json

import numpy as np
import pytest
from command import PORTRAIT, SPEECH, animate
from media_samples import EXAMPLES
from PIL import Image

from sonimate.apps.cli import main
from sonimate.media.image import read_image, write_png


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A picture with two faces, the larger one at the right."""
    path = tmp_path_factory.mktemp("two") / "two.png"
    page = Image.new("RGB", (1500, 900), (110, 120, 130))
    for name, x, side in (("mona_lisa", 30, 500), ("astronaut_collins", 660, 800)):
        picture = Image.open(EXAMPLES / f"portraits/{name}.jpg")
        picture.thumbnail((side, side))
        page.paste(picture, (x, 60))
    write_png(path, np.array(page))
    return path


def test_a_listed_number_and_box_choose_the_same_face(two, tmp_path, capsys):
    assert main(["faces", str(two), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert (listed["width"], listed["height"], listed["output"]) == (1500, 900, None)
    assert [found["face"] for found in listed["faces"]] == [1, 2]
    for found in listed["faces"]:
        box = ",".join(map(str, found["face_box"]))
        for choice in (("--face", found["face"]), ("--face-box", box)):
            output = tmp_path / "out.mp4"
            assert animate(two, SPEECH, "-o", output, *choice, "--dry-run", "--json") == 0
            chosen = json.loads(capsys.readouterr().out)["face_box"]
            np.testing.assert_allclose(chosen, found["face_box"], atol=1)


def test_the_copy_shows_a_box_around_each_face_and_else_the_picture(two, tmp_path, capsys):
    assert main(["faces", str(two), "-o", str(tmp_path / "copy.png")]) == 0
    text = capsys.readouterr().out
    assert "--face 1 " in text
    assert "copy.png shows them" in text
    picture, copy = read_image(two), read_image(tmp_path / "copy.png")
    changed = (picture != copy).any(-1)
    assert 0 < changed.mean() < 0.05
    boxes = [line.split("--face-box ")[1].split()[0].split(",") for line in text.splitlines()[1:3]]
    for x0, y0, x1, y1 in np.array(boxes, int):
        assert changed[(y0 + y1) // 2, [x0, x1]].all()
        assert not changed[(y0 + y1) // 2, x0 + 20 : x1 - 20].any()


def test_a_picture_without_a_face_and_the_picture_as_copy_are_refused(tmp_path, capsys):
    write_png(tmp_path / "sky.png", np.full((200, 300, 3), 180, np.uint8))
    assert main(["faces", str(tmp_path / "sky.png")]) == 2
    assert "No face was found" in capsys.readouterr().err
    copy = tmp_path / "copy.png"
    copy.write_bytes(PORTRAIT.read_bytes())
    for output in (copy, tmp_path / "copy.mp4", tmp_path / "nowhere/copy.png"):
        assert main(["faces", str(copy), "-o", str(output)]) == 2
    assert copy.read_bytes() == PORTRAIT.read_bytes()
