"""16-bit PCM wav files: the one format in which this project itself stores sound."""

from __future__ import annotations

import wave
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sonimate.media.files import replacing, write_errors
from sonimate.types import Waveform


def to_pcm16(samples: np.ndarray) -> np.ndarray:
    """Samples in [-1, 1], clipped to it -> int16."""
    return np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)


def from_pcm16(samples: np.ndarray) -> np.ndarray:
    """int16 -> float32 in [-1, 1)."""
    return samples.astype(np.float32) / 32768


def read_wav(file: str | Path | BinaryIO) -> Waveform:
    """Read a 16-bit mono wav file, or an open binary file, that `write_wav` or a speech engine wrote.

    For files that users give there is `read_audio`. Raises ValueError for another width or channel count.
    """
    with wave.open(str(file) if isinstance(file, Path) else file) as reader:
        if (reader.getsampwidth(), reader.getnchannels()) != (2, 1):
            raise ValueError(
                f"expected 16-bit mono, got {8 * reader.getsampwidth()}-bit x {reader.getnchannels()}"
            )
        samples = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
        return Waveform(from_pcm16(samples), reader.getframerate())


def write_wav(path: Path, waveform: Waveform) -> Path:
    """Write 16-bit wav, samples (n,) or (n, channels) clipped to [-1, 1]; returns `path`.

    Raises OutputNotWritable.
    """
    blocks = waveform.samples[:, None] if waveform.samples.ndim == 1 else waveform.samples
    return write_wav_blocks(path, [blocks], waveform.rate_hz, blocks.shape[1])


def write_wav_blocks(path: Path, blocks: Iterable[np.ndarray], rate_hz: int, channels: int) -> Path:
    """`write_wav` of a stream of samples (n, channels)."""
    with replacing(path) as partial, write_errors(path), wave.open(str(partial), "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        for block in blocks:
            writer.writeframes(to_pcm16(block).astype("<i2").tobytes())
    return path
