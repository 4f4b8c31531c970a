"""The table of inputs sees what works, what is refused, a traceback, and what is left behind."""

from pathlib import Path

import pytest
from media_samples import EXAMPLES
from PIL import Image

import inputs
from lib.kinds_of_input import Kind, write_sound
from sonimate.media.audio import read_audio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.open(EXAMPLES / "portraits/obama.jpg").resize((160, 200)).save(tmp_path / "face.png")
    speech = read_audio(EXAMPLES / "speech/librivox_ss_0890.wav").samples[8_000:12_800]
    write_sound(tmp_path / "voice.wav", speech, "pcm_s16le")
    (tmp_path / "out").mkdir()
    return tmp_path


def test_a_video_is_played_and_removed(folder: Path) -> None:
    row = inputs.try_kind(Kind("sound", "wav"), folder)
    assert (row["ends"], row["as wanted"], row["left behind"]) == ("works", "yes", "nothing")
    assert not list((folder / "out").iterdir())


def test_a_refusal_is_as_wanted_only_where_no_video_is(folder: Path) -> None:
    for video, as_wanted in ((False, "yes"), (True, "NO")):
        row = inputs.try_kind(Kind("sound", "missing", audio="none.wav", video=video), folder)
        assert (row["ends"], row["as wanted"]) == ("refused", as_wanted)
        assert row["words"] == "none.wav does not exist. Check the spelling of the path."


@pytest.mark.parametrize(
    ("shell", "words", "left"),
    [
        ("touch half.part; exit 2", "", "half.part"),
        ("touch $TMPDIR/half.part; exit 2", "", "half.part"),
        ("echo 'Traceback (most recent call last):' >&2; exit 2", "TRACEBACK", "nothing"),
    ],
)
def test_what_is_left_and_tracebacks_are_seen(shell: str, words: str, left: str, folder: Path) -> None:
    row = inputs.try_kind(Kind("environment", "broken", shell=shell, video=False), folder)
    assert (row["as wanted"], row["words"]) == ("NO", words)
    assert row["left behind"].endswith(left)
