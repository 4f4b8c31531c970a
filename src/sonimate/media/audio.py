"""Sound files to arrays: 16 kHz mono for the models, the original quality for the finished video."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import av
import numpy as np
import soxr  # pyright: ignore[reportMissingTypeStubs]
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.errors import AudioTooShort, UnreadableAudio
from sonimate.media.container import decoded, open_container
from sonimate.types import Waveform

MIN_SECONDS = 0.2
"""One audio window of the model (10 Whisper steps at 50 Hz)."""

SILENCE_RMS = 1e-3
"""-60 dB of full scale, below the room tone of any usable voice recording."""

MIN_GAP_SECONDS, MAX_GAP_SECONDS = 0.1, 30.0
"""Gaps between these lengths are filled with silence, which keeps lips and voice aligned: shorter ones are
rounding of timestamps, longer ones are errors in them."""

CLOCKLESS_FORMATS = ("aac", "ac3", "amr", "dts", "eac3", "gsm", "loas", "mp3", "truehd")
"""FFmpeg's names of formats that store no times: it counts packets at the first one's rate, so that the times
are wrong once the rate changes."""


@dataclass(frozen=True)
class Sound:
    """Sound as a stream, to be read once: `blocks` float32 (n, channels), n > 0, in [-1, 1] at `rate_hz`."""

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
            resampler = soxr.ResampleStream(self.rate_hz, rate_hz, self.channels)
            resampled = (resampler.resample_chunk(block) for block in self.blocks)
            yield from (block for block in resampled if len(block))
            end = resampler.resample_chunk(np.zeros((0, self.channels), np.float32), last=True)
            if len(end):
                yield end

        return Sound(blocks(), rate_hz, self.channels)


def read_audio(path: str | Path, rate_hz: int = SAMPLE_RATE_HZ) -> Waveform:
    """Read a sound file, or a video's sound track, as the mean of its channels at `rate_hz`.

    The formats are those of `open_container`. Time 0 is the first sample; gaps in the file become
    silence. Raises FileMissing, UnreadableAudio (no sound in it, damaged, NaN or infinite samples), or
    AudioTooShort (under 0.2 s).
    """
    sound = stream_sound(path, mono=True)
    resampler = soxr.ResampleStream(sound.rate_hz, rate_hz, 1)
    pieces: list[np.ndarray] = []
    count = 0
    for block in sound.blocks:
        count += len(block)
        pieces.append(resampler.resample_chunk(block[:, 0]))
    pieces.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
    seconds = count / sound.rate_hz
    if seconds < MIN_SECONDS:
        raise AudioTooShort(
            f"{path} lasts {seconds:.3f} s, less than the {MIN_SECONDS} s that can be animated. "
            "Choose a longer recording."
        )
    return Waveform(_fit_length(np.concatenate(pieces), count * rate_hz / sound.rate_hz), rate_hz)


def stream_sound(path: str | Path, *, mono: bool = False) -> Sound:
    """Open a file's sound at its own rate, in mono or stereo as it begins, to be decoded block by block.

    Surround sound is mixed down to stereo. Where a file changes its rate or its channels midway, the rest is
    converted to the form of its beginning. mono: the mean of all channels.
    Raises FileMissing and UnreadableAudio, the latter also while the blocks are read.
    """
    with open_container(path, unreadable=UnreadableAudio) as container:
        first = next(decoded(container, _audio_stream(container, path), path), None)
        if first is None:
            raise UnreadableAudio(f"{path} holds no sound samples. Record it again or choose another file.")
        rate_hz, channels = first.sample_rate, 1 if mono else min(first.layout.nb_channels, 2)
    return Sound(_blocks(path, rate_hz, channels, mean=mono), rate_hz, channels)


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Resample float32 (n,) to (ceil(n * to_hz / from_hz),) by soxr's HQ recipe, as librosa does."""
    samples = np.asarray(samples, np.float32)
    if from_hz == to_hz:
        return samples
    return _fit_length(soxr.resample(samples, from_hz, to_hz), len(samples) * to_hz / from_hz)


def is_silent(waveform: Waveform) -> bool:
    """Whether the loudest 50 ms have an RMS below SILENCE_RMS."""
    window = max(1, waveform.rate_hz // 20)
    padded = np.pad(waveform.samples, (0, -len(waveform.samples) % window))
    power = np.square(padded, dtype=np.float64).reshape(-1, window).mean(axis=1)
    return bool(power.max(initial=0.0) < SILENCE_RMS**2)


def _audio_stream(container: InputContainer, path: str | Path) -> AudioStream:
    if not container.streams.audio:
        raise UnreadableAudio(
            f"{path} has no sound in it. Give a recording (wav, mp3, flac, ogg, m4a) or a video with sound."
        )
    return container.streams.audio[0]


def _blocks(path: str | Path, rate_hz: int, channels: int, *, mean: bool) -> Iterator[np.ndarray]:
    """Decode a file to blocks (n, channels) at `rate_hz`, whatever forms its frames have."""
    with open_container(path, unreadable=UnreadableAudio) as container:
        clocked = container.format.name not in CLOCKLESS_FORMATS
        frames = _after_gaps(decoded(container, _audio_stream(container, path), path), clocked=clocked)
        form = attrgetter("sample_rate", "layout.nb_channels", "layout.name", "format.name")
        for (frame_hz, count, layout, _), run in groupby(frames, key=lambda timed: form(timed[0])):
            # FFmpeg has no stereo mix of nameless layouts such as "9 channels": the mean takes its place.
            mixed = count > 2 and not mean and not layout.endswith("channels")
            mixer = av.AudioResampler("flt", "stereo" if mixed else None)
            blocks = _run_blocks(run, path, mixer, channels)
            if frame_hz != rate_hz:
                blocks = Sound(blocks, frame_hz, channels).at_rate(rate_hz).blocks
            yield from blocks


def _after_gaps(frames: Iterable[AudioFrame], *, clocked: bool) -> Iterator[tuple[AudioFrame, float, float]]:
    """(frame, its seconds after the first one, seconds of the gap before it); most gaps are 0.

    clocked: whether the file stores times. If not, gaps after a change of the rate count as 0.
    """
    start, first_hz, played, usable = None, 0, Fraction(0), True
    for frame in frames:
        time = frame.time or 0.0
        start = time if start is None else start
        first_hz = first_hz or frame.sample_rate
        usable = usable and (clocked or frame.sample_rate == first_hz)
        gap_seconds = time - start - float(played)
        if usable and MIN_GAP_SECONDS < gap_seconds < MAX_GAP_SECONDS:
            played += Fraction(round(gap_seconds * frame.sample_rate), frame.sample_rate)
        else:
            gap_seconds = 0.0
        yield frame, float(played), gap_seconds
        played += Fraction(frame.samples, frame.sample_rate)


def _run_blocks(
    run: Iterable[tuple[AudioFrame, float, float]], path: str | Path, mixer: av.AudioResampler, channels: int
) -> Iterator[np.ndarray]:
    """Blocks (n, channels) of frames of one form, and of silence in the gaps between them."""
    for frame, seconds, gap_seconds in run:
        if gap_seconds:
            yield np.zeros((round(gap_seconds * frame.sample_rate), channels), np.float32)
        # Interleaved: PyAV reads beyond the memory of frames of eight planes.
        mixed = mixer.resample(frame)[0]
        block = mixed.to_ndarray().reshape(-1, mixed.layout.nb_channels)
        if not np.isfinite(block).all():
            raise UnreadableAudio(
                f"{path} holds NaN or infinite samples {seconds:.2f} s after its start. "
                "Export the recording again, as 16-bit wav for example."
            )
        if block.shape[1] > channels:
            block = block.mean(axis=1, keepdims=True)
        yield np.repeat(block, 2, axis=1) if channels > block.shape[1] else block


def _fit_length(samples: np.ndarray, wanted: float) -> np.ndarray:
    length = math.ceil(wanted)
    return np.pad(samples[:length], (0, max(0, length - len(samples))))
