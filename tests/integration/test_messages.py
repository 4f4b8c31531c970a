"""Users confuse names, folders and formats: one line says what to do, and --json has a code for programs."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command import PORTRAIT, SPEECH, animate
from ordinary_user import an_ordinary_user
from PIL import Image

from sonimate import errors
from sonimate.apps.cli import main
from sonimate.errors import FileNotReadable, SonimateError
from sonimate.media.audio import read_audio
from sonimate.media.files import require_folder
from sonimate.media.image import read_image


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user may enter; those of pytest are closed to others."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("closed", ["file", "folder"])
def test_permission_denied_is_no_damage(closed: str, public: Path) -> None:
    folder = public / "closed"
    folder.mkdir()
    portrait, sound = (Path(shutil.copy(path, folder)) for path in (PORTRAIT, SPEECH))
    for path in (portrait, sound) if closed == "file" else (folder,):
        path.chmod(0)
    with an_ordinary_user():
        for read, path in ((read_image, portrait), (read_audio, sound)):
            with pytest.raises(FileNotReadable, match=f"{path.name} may not be read: permission denied"):
                read(path)
        if closed == "folder":
            with pytest.raises(FileNotReadable, match="may not be read"):
                require_folder(folder)
    folder.chmod(0o755)


ADDRESS = "https://example.com/a.jpg"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((ADDRESS, SPEECH), f"{ADDRESS} is an address, not a file. Download it first"),
        ((PORTRAIT, "s3://bucket/a.wav"), "s3://bucket/a.wav is an address"),
        ((SPEECH, PORTRAIT), "obama.jpg is a picture, not a sound. The portrait comes first"),
        ((PORTRAIT, PORTRAIT), "obama.jpg is a picture, not a sound. The portrait comes first"),
        ((SPEECH, SPEECH), "librivox_ss_0890.wav is a sound, not a picture. The portrait comes first"),
        (("dot.png", SPEECH), "dot.png is 1 x 1 pixels"),
        (("a" * 300 + ".png", SPEECH), "is longer than a name of a file can be"),
        ((PORTRAIT, SPEECH, "--model", "sonic-svd-xt"), "run `sonimate models download`"),
        (
            (PORTRAIT, SPEECH, "--audio-guidence", 3),
            "unknown arguments: --audio-guidence 3. See sonimate animate",
        ),
        (
            (PORTRAIT, SPEECH, "--steps", "x"),
            "argument --steps: 'x' is not a whole number from 1 to 1000. See",
        ),
        ((PORTRAIT,), "the following arguments are required: AUDIO. See sonimate animate --help."),
    ],
)
def test_animate_says_in_one_line_what_to_do(
    words: tuple[object, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (1, 1)).save("dot.png")
    assert animate(*words, "-o", "a.mp4") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sonimate: error: ")
    assert message in line
    assert os.listdir() == ["dot.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("prepare", "nope", "-o", "shards"), "nope does not exist"),
        (("prepare", PORTRAIT, "-o", "shards"), "obama.jpg is a file. Give the path of a folder"),
        (("train", PORTRAIT, "--data", ".", "-o", "run"), "obama.jpg is no YAML"),
        (("anmate",), "invalid choice: 'anmate'"),
        (("models",), "the following arguments are required: ACTION. See sonimate models --help."),
        (("models", "verify", "compact", "more"), "unknown argument: more. See sonimate models --help."),
    ],
)
def test_other_verbs_say_it_too(
    words: tuple[object, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([str(word) for word in words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sonimate: error: ")
    assert message in line


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((PORTRAIT, "nobody.wav"), "file_missing"),
        ((SPEECH, PORTRAIT), "inputs_swapped"),
        ((PORTRAIT, SPEECH, "--steps", "0"), "wrong_usage"),
        ((PORTRAIT, SPEECH, "--decode-chunk", "8"), "option_out_of_range"),
        ((PORTRAIT, SPEECH, "--model", "none"), "unknown_model"),
    ],
)
def test_json_has_errors_too(
    words: tuple[object, ...], code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert animate(*words, "-o", tmp_path / "a.mp4", "--json") == 2
    printed = capsys.readouterr()
    error = json.loads(printed.out)["error"]
    assert error["code"] == code
    assert set(error) == {"code", "message"}
    assert printed.err == ""


def test_every_class_of_errors_has_a_code_of_its_own() -> None:
    """Programs rely on these names: a new class adds one, and none of them changes."""
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.code.fget(kind.__new__(kind)) for kind in classes if issubclass(kind, SonimateError)}  # pyright: ignore
    assert codes >= {
        *("file_missing", "file_not_readable", "unreadable_image", "unreadable_audio", "image_too_large"),
        *("no_face_found", "face_too_small", "audio_too_short", "option_out_of_range", "wrong_usage"),
        *("output_not_writable", "unknown_model", "invalid_checkpoint", "extra_missing", "not_enough_memory"),
        *("inputs_swapped", "hub_unreachable", "invalid_recipe"),
    }
    assert len(codes) == sum(issubclass(kind, SonimateError) for kind in classes)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_the_first_of_several_pictures_is_used_and_a_user_is_told(
    suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (Image.new("RGB", (64, 64), colour) for colour in ("white", "black"))
    first.save(tmp_path / f"a.{suffix}", save_all=True, append_images=[second])
    assert read_image(tmp_path / f"a.{suffix}").mean() > 250
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/a.{suffix} holds several pictures: the first one is used."
    ]


def test_one_picture_is_not_called_several(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nor a photograph with a second picture for depth or brightness, as telephones write them (MPO)."""
    picture = Image.fromarray(np.full((64, 64, 3), 90, np.uint8))
    for suffix in ("gif", "png", "webp", "tif", "jpg"):
        picture.save(tmp_path / f"a.{suffix}")
        read_image(tmp_path / f"a.{suffix}")
    picture.save(tmp_path / "b.jpg", format="MPO", save_all=True, append_images=[picture])
    read_image(tmp_path / "b.jpg")
    assert not caplog.records
