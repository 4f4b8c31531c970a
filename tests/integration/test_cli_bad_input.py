"""Bad input: one line that says what is wrong, exit code 2, and no new file."""

import re
import resource
import sys
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from command import PORTRAIT, SPEECH, animate, wav
from PIL import Image

from sonimate.media.image import read_image, write_png


@contextmanager
def disk_of(size_bytes: int) -> Iterator[None]:
    """No file may grow beyond this, which the system reports as it does a full disk: by a failing write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


Maker = Callable[[Path], Path]


def truncated(folder: Path) -> Path:
    (folder / "cut.jpg").write_bytes(PORTRAIT.read_bytes()[:20_000])
    return folder / "cut.jpg"


def no_image(folder: Path) -> Path:
    (folder / "text.jpg").write_text("not an image")
    return folder / "text.jpg"


def huge(folder: Path) -> Path:
    Image.new("1", (30_000, 30_000)).save(folder / "huge.png")
    return folder / "huge.png"


def faceless(folder: Path) -> Path:
    write_png(folder / "sky.png", np.full((200, 300, 3), (90, 140, 220), np.uint8))
    return folder / "sky.png"


def small_face(folder: Path) -> Path:
    small = Image.fromarray(read_image(PORTRAIT))
    small.thumbnail((110, 110))
    page = Image.new("RGB", (256, 256), "white")
    page.paste(small, (60, 60))
    page.save(folder / "far.png")
    return folder / "far.png"


def sliver(folder: Path) -> Path:
    write_png(folder / "sliver.png", np.zeros((1, 900, 3), np.uint8))
    return folder / "sliver.png"


def missing(folder: Path) -> Path:
    return folder / "nothing.here"


@pytest.mark.parametrize(
    ("maker", "message"),
    [
        (missing, r"nothing\.here does not exist"),
        (lambda folder: folder, r"is a folder"),
        (no_image, r"text\.jpg is not an image"),
        (truncated, r"cut\.jpg cannot be decoded"),
        (huge, r"huge\.png has more than 120 million pixels"),
        (faceless, r"No face was found in the image"),
        (small_face, r"The face at .* pixels high, but at least 48"),
        (sliver, r"no room for a face"),
    ],
)
def test_bad_pictures(maker: Maker, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_refused(maker(tmp_path), SPEECH, message, tmp_path, capsys)


def empty_wav(folder: Path) -> Path:
    with wave.open(str(folder / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
    return folder / "a.wav"


def no_sound(folder: Path) -> Path:
    (folder / "text.wav").write_text("not a sound")
    return folder / "text.wav"


@pytest.mark.parametrize(
    ("maker", "message"),
    [
        (missing, r"nothing\.here does not exist"),
        (no_sound, r"text\.wav cannot be decoded"),
        (empty_wav, r"a\.wav holds no sound samples"),
        (lambda folder: wav(folder / "a.wav", np.ones(800)), r"a\.wav lasts 0\.050 s, less than the 0\.2 s"),
        (lambda folder: wav(folder / "a.wav", np.full(9000, np.nan)), r"a\.wav holds NaN or infinite"),
    ],
)
def test_bad_sounds(maker: Maker, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_refused(PORTRAIT, maker(tmp_path), message, tmp_path, capsys)


def check_refused(
    portrait: Path, audio: Path, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that says what is wrong, exit code 2, and no new file."""
    before = set(folder.iterdir())
    assert animate(portrait, audio, "-o", folder / "out.mp4") == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("sonimate: error: ")
    assert re.search(message, line)
    assert printed.out == ""
    assert set(folder.iterdir()) == before


def test_bad_outputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.mp4").mkdir()
    video = tmp_path / "input.mp4"
    video.write_bytes(b"precious")
    cases = {
        tmp_path / "nowhere/a.mp4": "nowhere does not exist",
        tmp_path / "file/a.mp4": "file does not exist",
        tmp_path / "folder.mp4": "is a folder",
        tmp_path / "a.avi": "ends in .mp4",
        video: "is the input",
    }
    if sys.platform == "linux":
        cases[Path("/proc/self/a.mp4")] = "is not writable"
    for output, message in cases.items():
        assert animate(PORTRAIT, video, "-o", output) == 2
        error = capsys.readouterr().err
        assert error.startswith("sonimate: error: ")
        assert message in error
    assert video.read_bytes() == b"precious"


@pytest.mark.parametrize("size_bytes", [0, 20_000])
def test_a_full_disk(
    size_bytes: int, words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with disk_of(size_bytes):
        assert animate(PORTRAIT, words, "-o", tmp_path / "a.mp4", "--size", "512", "--steps", "1") == 2
    assert "a.mp4 cannot be written (File too large)" in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--model", "nonesuch"),
            "There is no model 'nonesuch'. Give a folder with model_index.json, OWNER/NAME on the hub, or",
        ),
        (("--device", "quantum"), "device 'quantum' is not available; this machine has"),
        (("--decode-chunk", "0"), "--decode-chunk: '0' is not a whole number from 1 to 1000"),
        (("--decode-chunk", "8"), "--decode-chunk is for the full model"),
        (("--steps", "0"), "--steps: '0' is not a whole number from 1 to 1000"),
        (("--steps", "1001"), "--steps: '1001' is not"),
        (("--steps", "2.5"), "--steps: '2.5' is not"),
        (("--seed", "-1"), "--seed: '-1' is not"),
        (("--image-guidance", "nan"), "--image-guidance: 'nan' is not a finite number"),
        (("--audio-guidance", "inf"), "--audio-guidance: 'inf' is not a finite number"),
        (("--audio-guidance", "50"), "--audio-guidance: '50' is not a finite number from 0 to 10"),
        (("--audio-guidance", "-5"), "--audio-guidance: '-5' is not"),
        (("--image-guidance", "10.1"), "--image-guidance: '10.1' is not"),
        (("--audio-guidance", "much"), "--audio-guidance: 'much' is not a finite number"),
        (("--dynamic-scale", "0.4"), "--dynamic-scale: '0.4' is not a finite number from 0.5 to 2"),
        (("--dynamic-scale", "2.1"), "--dynamic-scale: '2.1' is not"),
        (("--head-motion", "129"), "--head-motion: '129' is not a finite number from 0 to 128"),
        (("--expression", "-1"), "--expression: '-1' is not"),
        (("--blinks", "41"), "--blinks: '41' is not a finite number from 0 to 40"),
        (("--gaze", "up"), "--gaze: 'up' is not natural, steady, or X,Y in degrees with X from -12 to 12"),
        (("--gaze=-13,0",), "--gaze: '-13,0' is not"),
        (("--gaze", "1,nan"), "--gaze: '1,nan' is not"),
        (("--shift", "-1"), "--shift: '-1' is not"),
        (
            ("--guidance-interval", "1,701"),
            "--guidance-interval: '1,701' is not LOW,HIGH with 0 <= LOW < HIGH <= 700",
        ),
        (("--size", "63"), "--size: '63' is not a whole number from 64 to 8192"),
        (("--fps", "29"), "--fps: '29' is not 12.5, 24, 25, 30, 50 or 60"),
        (("--face", "0"), "--face: '0' is not"),
        (("--mask-box", "1,2,3"), "--mask-box: '1,2,3' is not X0,Y0,X1,Y1"),
        (("--mask-box", "4"), "--mask-box: '4' is not a finite number from 0.5 to 3"),
        (("--mask-box", "1.2"), "--mask-box is for the full model"),
        (("--face-box", "1,2,3"), "--face-box: '1,2,3' is not X0,Y0,X1,Y1"),
        (("--face-box", "30,0,10,40"), "--face-box: '30,0,10,40' is not"),
        (("--face-box", "0,0,9,9", "--face", "1"), "not allowed with argument"),
    ],
)
def test_options_out_of_range(
    arguments: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert animate(PORTRAIT, SPEECH, "-o", tmp_path / "a.mp4", *arguments) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())
