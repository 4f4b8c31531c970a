"""Sound files to arrays: 16 kHz mono for the models, original quality for the finished video."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soxr
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import InvalidDataError

from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.errors import AudioTooShort, UnreadableAudio
from sonimate.media.files import open_container
from sonimate.types import Waveform

log = logging.getLogger(__name__)


MIN_SECONDS = 0.2
"""One audio window of the model (10 Whisper steps at 50 Hz)."""

SILENCE_RMS = 1e-3
"""-60 dB of full scale, below the room tone of any usable voice recording."""

MIN_GAP_SECONDS, MAX_GAP_SECONDS = 0.1, 30.0
"""Missing stretches that are filled with silence to keep lips and voice aligned: longer than the rounding
of timestamps, shorter than the jump of a broken clock."""


@dataclass(frozen=True)
class Sound:
    """Sound as a stream, to be read once: `blocks` float32 (n, channels) in [-1, 1] at `rate_hz`."""

    blocks: Iterator[np.ndarray]
    rate_hz: int
    channels: int

    @classmethod
    def from_waveform(cls, waveform: Waveform) -> Sound:
        samples, rate_hz = waveform.samples[:, None], waveform.rate_hz
        return cls((samples[i : i + rate_hz] for i in range(0, len(samples), rate_hz)), rate_hz, 1)

    def at_rate(self, rate_hz: int) -> Sound:
        """The same sound resampled to `rate_hz`, still as a stream."""

        def blocks() -> Iterator[np.ndarray]:
            resampler = soxr.ResampleStream(self.rate_hz, rate_hz, self.channels, dtype="float32")
            for block in self.blocks:
                yield resampler.resample_chunk(block)
            yield resampler.resample_chunk(np.zeros((0, self.channels), np.float32), last=True)

        return Sound(blocks(), rate_hz, self.channels)


def read_audio(path: str | Path, rate_hz: int = SAMPLE_RATE_HZ) -> Waveform:
    """Read a sound file, or a video's sound track, as the mean of its channels at `rate_hz`.

    Any format that FFmpeg decodes. Time 0 is the first sample; stretches missing from the file are silent.
    Raises FileMissing, UnreadableAudio (no sound in it, damaged, NaN or infinite samples), or
    AudioTooShort (under 0.2 s).
    """
    sound = stream_sound(path, max_channels=None)
    resampler = soxr.ResampleStream(sound.rate_hz, rate_hz, 1, dtype="float32", quality="HQ")
    pieces, count = [], 0
    for block in sound.blocks:
        count += len(block)
        pieces.append(resampler.resample_chunk(block.mean(axis=1)))
    pieces.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
    if count == 0:
        raise UnreadableAudio(f"{path} holds no sound samples. Record it again or choose another file.")
    seconds = count / sound.rate_hz
    if seconds < MIN_SECONDS:
        raise AudioTooShort(
            f"{path} lasts {seconds:.3f} s, less than the {MIN_SECONDS} s that can be animated. "
            "Choose a longer recording."
        )
    samples = _fit_length(np.concatenate(pieces), _resampled_length(count, sound.rate_hz, rate_hz))
    return Waveform(samples, rate_hz)


def stream_sound(path: str | Path, *, max_channels: int | None = 2) -> Sound:
    """Open a file's sound at its own rate and quality, to be decoded block by block.

    A sound of more than `max_channels` is mixed down to stereo; None keeps every channel.
    Raises FileMissing and UnreadableAudio, the latter also while the blocks are read.
    """
    with open_container(path, unreadable=UnreadableAudio) as container:
        stream = _audio_stream(container, path)
        first = next(_frames(container, stream, path), None)
        if first is None:
            raise UnreadableAudio(f"{path} holds no sound samples. Record it again or choose another file.")
        rate_hz, channels = first.sample_rate, first.layout.nb_channels
    mix_down = max_channels is not None and channels > max_channels
    return Sound(_blocks(path, rate_hz, mix_down=mix_down), rate_hz, 2 if mix_down else channels)


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Resample float32 (n,) to (ceil(n * to_hz / from_hz),) by soxr's HQ recipe, as librosa does."""
    samples = np.asarray(samples, np.float32)
    if from_hz == to_hz:
        return samples
    resampled = soxr.resample(samples, from_hz, to_hz, quality="HQ")
    return _fit_length(resampled, _resampled_length(len(samples), from_hz, to_hz))


def is_silent(waveform: Waveform) -> bool:
    """Whether even the loudest 50 ms stay below SILENCE_RMS."""
    window = max(1, waveform.rate_hz // 20)
    padded = np.pad(waveform.samples, (0, -len(waveform.samples) % window))
    power = np.square(padded, dtype=np.float64).reshape(-1, window).mean(axis=1)
    return bool(power.max(initial=0.0) < SILENCE_RMS**2)


def first_sound_time(container: InputContainer) -> float | None:
    """Seconds, on the container's clock, at the first sample that `read_audio` returns; None if mute."""
    if not container.streams.audio:
        return None
    stream = container.streams.audio[0]
    first = next(_frames(container, stream, Path(container.name)), None)
    return None if first is None else _time_of(first)


def _audio_stream(container: InputContainer, path: str | Path) -> AudioStream:
    if not container.streams.audio:
        raise UnreadableAudio(
            f"{path} has no sound in it. Give a recording (wav, mp3, flac, ogg, m4a) or a video with sound."
        )
    return container.streams.audio[0]


def _frames(container: InputContainer, stream: AudioStream, path: str | Path) -> Iterator[AudioFrame]:
    """Decode a stream. A damaged packet is passed over, as players do; its time is left as a gap."""
    damaged = 0
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except InvalidDataError:
            damaged += 1
    if damaged:
        log.warning("%s: %d damaged packets of sound were replaced by silence", path, damaged)


def _blocks(path: str | Path, rate_hz: int, *, mix_down: bool) -> Iterator[np.ndarray]:
    mixer = av.AudioResampler(format="fltp", layout="stereo", rate=rate_hz) if mix_down else None
    with open_container(path, unreadable=UnreadableAudio) as container:
        start, count = None, 0
        for frame in _frames(container, _audio_stream(container, path), path):
            if frame.sample_rate != rate_hz:
                raise UnreadableAudio(f"{path} changes its sampling rate midway. Convert it to wav first.")
            start = _time_of(frame) if start is None else start
            block = _samples(mixer.resample(frame)[0] if mixer else frame)
            gap_seconds = _time_of(frame) - start - count / rate_hz
            if MIN_GAP_SECONDS < gap_seconds < MAX_GAP_SECONDS:
                silence = np.zeros((round(gap_seconds * rate_hz), block.shape[1]), np.float32)
                count += len(silence)
                yield silence
            if not np.isfinite(block).all():
                raise UnreadableAudio(
                    f"{path} holds NaN or infinite samples {count / rate_hz:.2f} s after its start. "
                    "Export the recording again, as 16-bit wav for example."
                )
            count += len(block)
            yield block


def _samples(frame: AudioFrame) -> np.ndarray:
    """Frame -> float32 (n, channels) in [-1, 1], integers divided by their full scale."""
    values = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels)
    if values.dtype == np.uint8:
        return (values.astype(np.float32) - 128) / 128
    if values.dtype.kind == "i":
        return (values / 2.0 ** (8 * values.itemsize - 1)).astype(np.float32)
    return values.astype(np.float32)


def _time_of(frame: AudioFrame) -> float:
    return 0.0 if frame.time is None else frame.time


def _resampled_length(count: int, from_hz: int, to_hz: int) -> int:
    return math.ceil(count * to_hz / from_hz)


def _fit_length(samples: np.ndarray, length: int) -> np.ndarray:
    return np.pad(samples[:length], (0, max(0, length - len(samples))))
