"""A video or an animated picture as portrait: its first usable frame, or the one at --frame."""

import json

import cv2
import numpy as np
import pytest
from command import PORTRAIT, QUICK, SPEECH, animate
from PIL import Image

from sonimate.apps.cli import main
from sonimate.face.mesh import FaceMesh
from sonimate.face.picture import read_picture
from sonimate.media.video_writer import VideoWriter

SHORT = ("--duration", "0.4", *QUICK)
STILL = np.asarray(Image.open(PORTRAIT).convert("RGB").resize((256, 320)))
BLANK = np.full_like(STILL, 90)
MIRRORED = np.ascontiguousarray(STILL[:, ::-1])


@pytest.fixture(scope="module")
def mesh():
    return FaceMesh(num_threads=1)


@pytest.fixture
def video(tmp_path):
    """Half a second without a face, half a second blurred, then the portrait, and it mirrored from 2 s on."""
    path = tmp_path / "clip.mp4"
    blurred = cv2.GaussianBlur(STILL, (0, 0), 9)
    with VideoWriter(path, width=256, height=320) as writer:
        for frame, count in ((BLANK, 13), (blurred, 12), (STILL, 25), (MIRRORED, 25)):
            for _ in range(count):
                writer.write(frame)
    return path


def difference(a, b):
    return np.abs(a.astype(float) - b).mean()


def test_the_first_frame_with_a_sharp_face_is_taken_and_said(video, mesh, caplog):
    assert difference(read_picture(video, mesh), STILL) < 5
    assert "its frame at 1.00 s" in caplog.text


def test_the_frame_at_a_time_is_taken(video, mesh):
    assert difference(read_picture(video, mesh, 2.5), MIRRORED) < 5
    assert difference(read_picture(video, mesh, 1.5), STILL) < 5
    assert difference(read_picture(video, mesh, 0.0), BLANK) < 5


def test_an_animated_picture_is_searched_too(tmp_path, mesh):
    frames = [Image.fromarray(each) for each in (BLANK, STILL)]
    for name in ("a.gif", "a.webp", "a.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=300)
        assert difference(read_picture(tmp_path / name, mesh), STILL) < 12
        assert difference(read_picture(tmp_path / name, mesh, 0.1), BLANK) < 12


def test_the_command_animates_a_video_and_reports_the_frame(video, tmp_path, capsys):
    out = tmp_path / "out.mp4"
    assert animate(video, SPEECH, "-o", out, "--json", *SHORT) == 0
    report = json.loads(capsys.readouterr().out)
    assert any("its frame at 1.00 s" in warning for warning in report["warnings"])
    assert out.stat().st_size > 1000
    assert main(["faces", str(video), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["faces"]) == 1


def test_wrong_frames_are_refused(video, tmp_path, capsys):
    out = tmp_path / "out.mp4"
    empty = tmp_path / "empty.mp4"
    with VideoWriter(empty, width=256, height=320) as writer:
        for _ in range(10):
            writer.write(BLANK)
    for portrait, options, words in (
        (video, ("--frame", "9"), "lies beyond"),
        (PORTRAIT, ("--frame", "1"), "still picture"),
        (empty, (), "no face"),
        (SPEECH, (), "is a sound, not a picture"),
    ):
        assert animate(portrait, SPEECH, "-o", out, *options, *SHORT) == 2
        assert words in capsys.readouterr().err
        assert not out.exists()
