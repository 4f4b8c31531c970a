"""The person alone: over a colour, a picture or nothing, from the command line to the browser."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from command import PORTRAIT, QUICK, animate
from faces import mesh
from PIL import Image

from sonimate.codecs.mesh.cut_out import person_share
from sonimate.errors import OptionOutOfRange
from sonimate.inputs import read_inputs, read_portrait
from sonimate.media.backdrop import read_backdrop
from sonimate.media.video import read_frames
from sonimate.pipeline import SonicPipeline

GREEN = (0, 177, 64)
READ_ALPHA = """async base64 => {
    const bytes = Uint8Array.from(atob(base64), letter => letter.charCodeAt(0));
    const video = document.createElement("video");
    video.muted = true;
    document.body.append(video);
    const shown = new Promise(done => video.requestVideoFrameCallback(done));
    video.src = URL.createObjectURL(new Blob([bytes], {type: "video/webm"}));
    await video.play();
    await shown;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const drawing = canvas.getContext("2d");
    drawing.drawImage(video, 0, 0);
    const alpha = (x, y) => drawing.getImageData(x * canvas.width, y * canvas.height, 1, 1).data[3];
    return [alpha(0.01, 0.01), alpha(0.99, 0.01), alpha(0.5, 0.3)];
}"""


def first_frame(path: Path) -> np.ndarray:
    return next(read_frames(path)).astype(int)


def middle_of_face(frame: np.ndarray) -> np.ndarray:
    """Of obama.jpg."""
    height, width = frame.shape[:2]
    return frame[round(0.3 * height), round(0.5 * width)]


@pytest.fixture(scope="module")
def transparent(words: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transparent video beside its sound: the default name."""
    sound = tmp_path_factory.mktemp("transparent") / "words.wav"
    sound.write_bytes(words.read_bytes())
    assert animate(PORTRAIT, sound, *QUICK, "--background", "transparent") == 0
    return sound.with_name("obama-words.webm")


def test_a_colour(words: Path, tmp_path: Path) -> None:
    kept, green = tmp_path / "kept.mp4", tmp_path / "green.mp4"
    assert animate(PORTRAIT, words, *QUICK, "-o", kept) == 0
    assert animate(PORTRAIT, words, *QUICK, "-o", green, "--background", "#00b140") == 0
    frame = first_frame(green)
    for corner in (frame[:12, :12], frame[:12, -12:]):
        assert np.abs(corner - GREEN).max() <= 4
    assert np.abs(middle_of_face(frame) - middle_of_face(first_frame(kept))).max() <= 12


def test_a_picture_covers_the_frame(words: Path, tmp_path: Path) -> None:
    """Wider than the frame: its left and right ends are cut off."""
    page = np.zeros((50, 400, 3), np.uint8)
    page[:, 160:200], page[:, 200:240] = (250, 0, 0), (0, 0, 250)
    Image.fromarray(page).save(tmp_path / "page.png")
    behind = ("--background", tmp_path / "page.png")
    assert animate(PORTRAIT, words, *QUICK, "-o", tmp_path / "a.mp4", *behind) == 0
    frame = first_frame(tmp_path / "a.mp4")
    assert np.abs(frame[:12, :12] - (250, 0, 0)).max() <= 6
    assert np.abs(frame[:12, -12:] - (0, 0, 250)).max() <= 6


def test_a_file_comes_before_a_colour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blue = np.full((4, 4, 3), (0, 0, 200), np.uint8)
    colour = read_backdrop("green")
    assert colour is not None
    assert colour.pixels is not None
    assert colour.pixels.tolist() == [[[0, 128, 0]]]
    Image.fromarray(blue).save("green", format="png")
    picture = read_backdrop("green")
    assert picture is not None
    assert picture.pixels is not None
    np.testing.assert_array_equal(picture.pixels, blue)


def test_a_folder_of_pictures_is_transparent(words: Path, tmp_path: Path) -> None:
    folder = f"{tmp_path}/frames/"
    assert animate(PORTRAIT, words, *QUICK, "-o", folder, "--background", "transparent") == 0
    names = sorted(Path(folder).glob("*.png"))
    assert len(names) == 32
    for name in names[::10]:
        with Image.open(name) as image:
            assert image.mode == "RGBA"
            frame = np.asarray(image)
        assert frame[:12, :12, 3].max() == frame[:12, -12:, 3].max() == 0
        assert middle_of_face(frame)[3] == 255


def test_webm_by_default_with_an_alpha_channel(transparent: Path) -> None:
    """What ffprobe shows: the tag of the stream, and pictures with alpha by the decoder that reads it."""
    with av.open(str(transparent)) as container:
        stream = container.streams.video[0]
        assert stream.metadata["alpha_mode"] == "1"
        decoder: Any = av.CodecContext.create("libvpx-vp9", "r")
        packets = list(container.demux(stream))
        frames = [picture for packet in packets for picture in decoder.decode(packet)]
    assert frames[0].format.name == "yuva420p"
    shown = frames[0].to_ndarray(format="rgba")
    assert shown[:12, :12, 3].max() <= 2
    assert middle_of_face(shown)[3] >= 253


def test_a_browser_shows_what_lies_behind(browser: Any, transparent: Path, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 300, "height": 300})
    page.set_default_timeout(30_000)
    page.set_content('<body style="background: rgb(255, 0, 255); margin: 0"></body>')
    left, right, face = page.evaluate(READ_ALPHA, b64encode(transparent.read_bytes()).decode())
    page.screenshot(path=tmp_path / "page.png")
    page.close()
    assert (left, right) == (0, 0)
    assert face == 255
    with Image.open(tmp_path / "page.png") as image:
        assert image.convert("RGB").getpixel((2, 2)) == (255, 0, 255)


def test_a_portrait_that_is_cut_out_keeps_its_alpha(words: Path, tmp_path: Path) -> None:
    """Its own edge, wider and harder than the network's; on white where the background is kept."""
    portrait = read_portrait(PORTRAIT, size=256, mesh=mesh())
    pixels, share = portrait.pixels, person_share(portrait.pixels, portrait.face.landmarks)
    assert share is not None
    wide = cv2.dilate((share > 127).astype(np.uint8) * 255, np.ones((17, 17)))
    Image.fromarray(np.dstack([pixels, wide])).save(tmp_path / "cut.png")
    folder = f"{tmp_path}/frames/"
    assert animate(tmp_path / "cut.png", words, *QUICK, "-o", folder, "--background", "transparent") == 0
    with Image.open(tmp_path / "frames/000001.png") as image:
        frame = np.asarray(image).astype(int)
    assert frame[0, 0, 3] == 0
    assert (np.abs(frame[..., 3] - wide) > 127).mean() < 0.02
    assert (np.abs(frame[..., 3] - share) > 127).mean() > 0.05
    opaque = (frame[..., 3] == 255) & (wide == 255)
    assert np.abs(frame[opaque][:, :3].mean(0) - pixels[opaque].mean(0)).max() < 8
    assert animate(tmp_path / "cut.png", words, *QUICK, "-o", tmp_path / "white.mp4") == 0
    assert first_frame(tmp_path / "white.mp4")[:8, :8].min() >= 250


@pytest.mark.parametrize(
    ("options", "words_of_error"),
    [
        (
            ["--background", "transparent", "-o", "a.mp4"],
            "cannot be transparent. Give it a name",
        ),
        (["--background", "nocolour"], "no picture nocolour for the background, and no colour of this name"),
        (["--background", "beach.png"], "beach.png does not exist"),
        (["--background", "#00b14080"], "half transparent"),
        (["--background", "words.wav"], "not an image"),
        (["--background", "red", "--paste-back"], "--background does not go with --paste-back"),
    ],
)
def test_refusals(
    options: list[str],
    words_of_error: str,
    words: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words.wav").write_bytes(words.read_bytes())
    assert animate(PORTRAIT, "words.wav", *QUICK, *options) == 2
    assert words_of_error in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["words.wav"]


def test_several_speakers_share_one_background(
    pair: Path, words: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert animate(pair, "--speaker", f"1={words}", "--background", "red") == 2
    assert "--speaker does not go with --background" in capfd.readouterr().err
    with pytest.raises(OptionOutOfRange, match="for one speaker"):
        SonicPipeline.from_pretrained().animate(pair, {1: words}, background="red")


def test_the_full_model_draws_its_own_background(words: Path) -> None:
    with pytest.raises(OptionOutOfRange, match="does not go with the full model"):
        read_inputs(PORTRAIT, words, size=None, background="red", mesh=mesh())


def test_a_drawing_in_which_no_person_is_seen(
    words: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Lines on white paper have a face for the detector, but no person for the network."""
    grey = cv2.cvtColor(read_portrait(PORTRAIT, size=384, mesh=mesh()).pixels, cv2.COLOR_RGB2GRAY)
    lines = cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), 1.5), cv2.CV_16S)
    drawing = np.clip(255 + 4 * lines.astype(int), 0, 255).astype(np.uint8)
    Image.fromarray(drawing).save(tmp_path / "lines.png")
    output = tmp_path / "a.mp4"
    assert animate(tmp_path / "lines.png", words, *QUICK, "-o", output, "--background", "red", "--force") == 2
    assert "cannot be told from the background" in capfd.readouterr().err
    assert not output.exists()
