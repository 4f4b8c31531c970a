"""Files that are damaged in any way are read or refused: some cases of benchmarks/fuzz.py, and known ones."""

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from media_samples import EXAMPLES, encode_sound
from PIL import Image

from lib.damaged_files import PICTURES, SOUNDS, VIDEOS, damaged, make_samples, read_sample, try_cases
from sonimate.errors import SonimateError
from sonimate.media.audio import read_audio
from sonimate.media.container import SafeSeeks
from sonimate.media.image import read_image

SPEECH = EXAMPLES / "speech/librivox_ss_0890.wav"


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return make_samples(tmp_path_factory.mktemp("samples"))


@pytest.mark.parametrize("suffix", [*PICTURES, *SOUNDS, *VIDEOS])
def test_undamaged_samples_are_read(suffix: str, samples: dict[str, bytes], tmp_path: Path) -> None:
    """So that the cases below cannot all be refused for another reason."""
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(samples[suffix])
    wanted = 64 if suffix in PICTURES else 8 if suffix in VIDEOS else pytest.approx(9600, rel=0.2)
    assert read_sample(path) == wanted


def test_damaged_files_are_read_or_refused(
    samples: dict[str, bytes], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    readings = list(try_cases(samples, range(150), tmp_path))
    assert {reading.outcome for reading in readings} == {"read", "refused"}
    assert "library exception being dropped" not in capfd.readouterr().err


def test_damage_follows_from_the_seed(samples: dict[str, bytes]) -> None:
    made = [damaged(samples["png"], np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]
    assert made[0] != samples["png"]


@pytest.mark.parametrize("encoding", ["gbk", "latin-1"])
def test_tags_of_a_sound_need_not_be_utf_8(encoding: str, tmp_path: Path) -> None:
    """ID3v1, at the end of an mp3, has no field for its encoding."""
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    path = encode_sound(tmp_path / "a.mp3", noise, codec="libmp3lame", rate_hz=16_000)
    title = {"gbk": "\u4f60\u597d", "latin-1": "B\xe9la \xdcber"}[encoding].encode(encoding)
    path.write_bytes(
        path.read_bytes() + struct.pack("<3s30s30s30s4s30sB", b"TAG", title, title, b"", b"", b"", 0)
    )
    assert read_audio(path).seconds == pytest.approx(1, abs=0.1)


def test_damaged_exif_data_do_not_damage_the_picture(tmp_path: Path) -> None:
    grey = Image.new("RGB", (64, 48), (90, 90, 90))
    grey.save(tmp_path / "a.jpg", exif=b"Exif\0\0" + b"II*\0\xff\xff\xff\x7f" + bytes(8))
    assert read_image(tmp_path / "a.jpg").shape == (48, 64, 3)


def test_a_seek_before_the_start_is_an_error_code(tmp_path: Path) -> None:
    shutil.copy(SPEECH, tmp_path / "a.wav")
    with SafeSeeks(tmp_path / "a.wav", "rb") as file:
        assert file.seek(-5) < 0
        assert file.seek(-(10**30)) < 0
        assert file.seek(4) == 4
        assert file.read(4) == (tmp_path / "a.wav").read_bytes()[4:8]


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", b"A_AAC"), ("webm", b"V_VP9")])
def test_a_track_of_an_unknown_codec_is_refused_in_words(
    suffix: str, codec: bytes, samples: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(samples[suffix].replace(codec, codec[:2] + b"XYZ"))
    with pytest.raises(SonimateError, match="Convert it to"):
        read_sample(path)
