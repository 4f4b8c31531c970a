"""Where the video and the words about it go: names, links, existing files, and streams in any state."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from command import PORTRAIT, QUICK, animate

from sonimate.apps.outputs import default_output
from sonimate.media.files import replacing, require_writable
from sonimate.media.video import read_frames

LONG = "测" * 80 + ".mp4"
"""244 bytes of the 255 that a name may have."""


def in_shell(output: Path, sound: Path, redirection: str, **environment: str) -> subprocess.CompletedProcess:
    """Run the command in a shell of its own, with some of its streams redirected."""
    words = [sys.executable, "-m", "sonimate", "animate", PORTRAIT, sound, "-o", output, *QUICK]
    line = f"{shlex.join(map(str, words))} {redirection}"
    variables = {**os.environ, **environment}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], env=variables, capture_output=True, timeout=250
    )


@pytest.mark.parametrize(
    ("redirection", "code"),
    [("2>&-", 0), (">&-", 0), ("<&- >&- 2>&-", 0), ("2>/dev/full", 0), (">/dev/full", 2), (">&- --json", 0)],
)
def test_streams_that_take_nothing_cost_no_video(
    redirection: str, code: int, words: Path, tmp_path: Path
) -> None:
    run = in_shell(tmp_path / "a.mp4", words, redirection)
    assert (run.returncode, b"Traceback" in run.stderr) == (code, False)
    assert len(list(read_frames(tmp_path / "a.mp4"))) == 32
    assert os.listdir(tmp_path) == ["a.mp4"]
    if code:
        assert b"error: The report cannot be written to standard output (No space left" in run.stderr


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_sound_comes_from_a_pipe_too(name: str, words: Path, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    pipe = f"< <(cat {shlex.quote(str(words))})"
    run = in_shell(tmp_path / "a.mp4", Path(name), pipe, TMPDIR=str(tmp_path / "temporary"))
    assert run.returncode == 0, run.stderr
    assert len(list(read_frames(tmp_path / "a.mp4"))) == 32
    empty = in_shell(tmp_path / "b.mp4", Path(name), "</dev/null", TMPDIR=str(tmp_path / "temporary"))
    assert (empty.returncode, empty.stderr.count(b"error: Nothing came through")) == (2, 1)
    assert not list((tmp_path / "temporary").iterdir())


def test_letters_that_the_terminal_lacks_are_escaped(words: Path, tmp_path: Path) -> None:
    run = in_shell(tmp_path / "结果.mp4", words, "", PYTHONIOENCODING="cp1252")
    assert (run.returncode, run.stderr.count(b"\n")) == (0, 5)
    assert rb"\u7ed3\u679c.mp4: 1.28 s of" in run.stdout
    assert len(list(read_frames(tmp_path / "结果.mp4"))) == 32


def test_a_long_name_a_link_and_an_empty_file_are_written(words: Path, tmp_path: Path) -> None:
    (tmp_path / "real.mp4").touch()
    (tmp_path / "link.mp4").symlink_to("real.mp4")
    (tmp_path / "dangling.mp4").symlink_to(LONG)
    assert animate(PORTRAIT, words, "-o", tmp_path / "link.mp4", *QUICK) == 0
    assert animate(PORTRAIT, words, "-o", tmp_path / "dangling.mp4", *QUICK) == 0
    assert (tmp_path / "link.mp4").is_symlink()
    assert (tmp_path / "dangling.mp4").is_symlink()
    for name in ("real.mp4", LONG):
        assert not (tmp_path / name).is_symlink()
        assert len(list(read_frames(tmp_path / name))) == 32
    assert len(list(tmp_path.iterdir())) == 4


def test_names_that_cannot_be_written_are_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "circle.mp4").symlink_to("circle.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    before = set(tmp_path.iterdir())
    cases = {"a" * 252 + ".mp4": "File name too long", "circle.mp4": "", "pipe.mp4": "not a regular file"}
    for name, message in cases.items():
        for option in ([], ["--dry-run"]):
            assert animate(PORTRAIT, tmp_path / "no sound", "-o", tmp_path / name, *option) == 2
            error = capsys.readouterr().err
            assert message in error
            assert "no sound" not in error
    assert set(tmp_path.iterdir()) == before


def test_an_existing_video_is_kept_unless_the_user_says_otherwise(
    words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    video = tmp_path / "a.mp4"
    arguments = (PORTRAIT, words, "-o", video, *QUICK)
    video.write_bytes(b"precious")
    for option in ([], ["--dry-run"]):
        assert animate(*arguments, *option) == 2
        assert "a.mp4 exists already. Give --overwrite (or -y)" in capsys.readouterr().err
    monkeypatch.setenv("TERM", "dumb")
    for answer, code in (("\n", 2), ("no\n", 2), ("", 2), ("y\n", 0)):
        assert video.read_bytes() == b"precious"
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        monkeypatch.setattr(sys, "stderr", terminal := Terminal())
        assert animate(*arguments) == code
        assert f"{video} exists already. Replace it? [y/N] " in terminal.getvalue()
    monkeypatch.undo()
    assert len(list(read_frames(video))) == 32
    video.write_bytes(b"precious")
    assert animate(*arguments, "-y") == 0
    assert len(list(read_frames(video))) == 32


def test_without_a_name_the_video_goes_beside_the_sound(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan names it, an existing one is kept, and a sound that is missing or a pipe has no folder."""
    (tmp_path / "sounds").mkdir()
    (tmp_path / "here").mkdir()
    sound = Path(shutil.copy(words, tmp_path / "sounds/a b.wav"))
    monkeypatch.chdir(tmp_path / "here")
    video = tmp_path / "sounds/obama-a b.mp4"
    assert animate(PORTRAIT, sound, *QUICK, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["output"] == str(video)
    assert animate(PORTRAIT, sound, *QUICK) == 0
    assert len(list(read_frames(video))) == 32
    for more in ([], ["--dry-run"]):
        assert animate(PORTRAIT, sound, *QUICK, *more) == 2
        assert "obama-a b.mp4 exists already. Give --overwrite (or -y)" in capsys.readouterr().err
    assert animate(PORTRAIT, "/nowhere/a.wav") == 2
    assert "/nowhere/a.wav does not exist" in capsys.readouterr().err
    assert not list(Path().iterdir())
    assert default_output("x/p.jpg", "-") == "p-stdin.mp4"
    long = default_output("测" * 80 + ".jpg", str(sound.with_name("音" * 80 + ".wav")))
    assert 240 < len(os.fsencode(long)) <= 255
    assert require_writable(long)


def test_a_link_stays_and_its_target_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "real"
    target.write_text("old")
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "link") as partial:
        partial.with_name("missing").read_text()
    assert target.read_text() == "old"
    with replacing(tmp_path / "link") as partial:
        assert partial.parent == target.parent
        partial.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert target.read_text() == "new"
    assert os.listdir(tmp_path / "folder") == ["real"]
    assert require_writable(tmp_path / "link") == target.resolve()
