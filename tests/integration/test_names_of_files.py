"""Portraits, sounds and videos with names of any kind: spaces, emoji, Chinese, accents, signs of shells."""

import shutil
from pathlib import Path

import pytest
from command import PORTRAIT, SPEECH, animate

from sonimate.apps.cli import main


@pytest.mark.parametrize("folder", ["我的 文件夹", "été 🎬", "it's $HOME & more"])
def test_files_of_any_name_are_animated(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / folder
    place.mkdir()
    portrait, sound, video = (
        place / "我的照片 😀.jpg",
        place / "la voix d'été.wav",
        place / "输出 video 🎬.mp4",
    )
    shutil.copy(PORTRAIT, portrait)
    shutil.copy(SPEECH, sound)
    quick = ("--size", 192, "--steps", 1, "--duration", 0.4)
    assert animate(portrait, sound, "-o", video, *quick) == 0
    assert video.stat().st_size > 1000
    assert main(["faces", str(portrait), "-o", str(place / "编号 ①.png")]) == 0
    assert {path.name for path in place.iterdir()} == {portrait.name, sound.name, video.name, "编号 ①.png"}
    assert animate(portrait, place / "没有.wav", "-o", video, "-y", *quick) == 2
    assert "没有.wav" in capsys.readouterr().err
