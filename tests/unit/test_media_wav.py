"""Wav files of this project: what is written is read back, by this project and by everybody else's reader."""

import io
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonimate.errors import OutputNotWritable
from sonimate.media.audio import read_audio
from sonimate.media.wav import read_wav, write_wav
from sonimate.types import Waveform


@given(
    values=st.lists(st.floats(-1, 1, width=32), max_size=50),
    rate_hz=st.sampled_from([8_000, 16_000, 44_100]),
)
def test_what_is_written_is_read_back(
    values: list[float], rate_hz: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("wav") / "a.wav"
    sound = Waveform(np.array(values, np.float32), rate_hz)
    write_wav(path, sound)
    for source in (path, str(path), io.BytesIO(path.read_bytes())):
        read = read_wav(source)
        assert read.rate_hz == rate_hz
        assert read.samples.dtype == np.float32
        np.testing.assert_allclose(read.samples, sound.samples, atol=1 / 16_000)


def test_ffmpeg_reads_the_same_numbers(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 8000).astype(np.float32)
    path = write_wav(tmp_path / "a.wav", Waveform(samples, 16_000))
    np.testing.assert_array_equal(read_audio(path).samples, read_wav(path).samples)


def test_loud_samples_are_clipped_not_wrapped(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", Waveform(np.array([3.0, -3.0], np.float32), 16_000))
    np.testing.assert_allclose(read_wav(path).samples, [1, -1], atol=1e-4)


def test_stereo_is_not_taken_for_mono(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(400))
    with pytest.raises(ValueError, match="16-bit mono"):
        read_wav(tmp_path / "a.wav")


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputNotWritable, match="nowhere"):
        write_wav(tmp_path / "nowhere" / "a.wav", Waveform(np.zeros(9, np.float32), 16_000))
