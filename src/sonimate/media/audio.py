"""Sound files to arrays: 16 kHz mono for the models, the original quality for the finished video."""

from __future__ import annotations

import logging
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

from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.errors import AudioTooShort, UnreadableAudio
from sonimate.media.container import decoded, open_container
from sonimate.media.sound_track import sound_track, stated_seconds, track_account
from sonimate.types import Waveform

_log = logging.getLogger(__name__)

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

CANCELLED = 0.01
"""Power that the mean of channels keeps at least of the loudest one, -20 dB. Below it they cancel each other,
as the channels of a wrongly connected microphone do."""

EARLY_END_SECONDS = 0.15
"""Shorter differences between header and sound are the ends that encoders add and decoders drop."""

MUCH_LOUDER = 2.0
"""In power: only then does another channel take the place of the one that is heard."""


@dataclass(frozen=True, kw_only=True)
class SoundChoice:
    """What is heard of a file: `track` counts from 1, None takes the default one; `duration_seconds` from
    `start_seconds` on, None takes all."""

    track: int | None = None
    start_seconds: float = 0.0
    duration_seconds: float | None = None


WHOLE_SOUND = SoundChoice()


@dataclass(frozen=True)
class Sound:
    """Sound as a stream, to be read once: `blocks` float32 (n, channels), n > 0, in [-1, 1] at `rate_hz`.

    stated_seconds: how long the file says that its sound lasts; None if it does not say so exactly.
    """

    blocks: Iterator[np.ndarray]
    rate_hz: int
    channels: int
    stated_seconds: float | None = None

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


def read_audio(
    path: str | Path, rate_hz: int = SAMPLE_RATE_HZ, choice: SoundChoice = WHOLE_SOUND
) -> Waveform:
    """Read a sound file, or a video's sound track, as the mean of its channels at `rate_hz`; of channels that
    cancel each other, the loudest.

    The formats are those of `open_container`. Time 0 is the first sample; gaps in the file become
    silence. A file that ends early is read as far as it goes, with a logged warning. Memory: that of the
    result and an eighth of it.
    Raises FileMissing, UnreadableAudio (no sound in it, damaged, NaN or infinite samples), OptionOutOfRange
    (no such track), or AudioTooShort (under 0.2 s).
    """
    sound = stream_sound(path, mono=True, choice=choice)
    resampler = soxr.ResampleStream(sound.rate_hz, rate_hz, 1)
    samples, count = bytearray(), 0  # grows in place
    for block in sound.blocks:
        count += len(block)
        samples.extend(resampler.resample_chunk(np.ascontiguousarray(block[:, 0])).data.cast("B"))
    samples.extend(resampler.resample_chunk(np.zeros(0, np.float32), last=True).data.cast("B"))
    seconds = count / sound.rate_hz
    if seconds < MIN_SECONDS:
        raise AudioTooShort(_too_short(path, seconds, choice))
    if choice.duration_seconds is None:
        _warn_of_early_end(path, seconds + choice.start_seconds, sound.stated_seconds)
    wanted_bytes = 4 * math.ceil(count * rate_hz / sound.rate_hz)
    del samples[wanted_bytes:]
    samples.extend(bytes(wanted_bytes - len(samples)))
    return Waveform(np.frombuffer(samples, np.float32), rate_hz)


def sound_seconds(path: str | Path, choice: SoundChoice = WHOLE_SOUND) -> float:
    """How long the chosen sound of a file lasts by the times of its packets, without decoding them: within
    0.1 s of what `read_audio` returns. Raises as it does."""
    start, end = None, 0.0
    with open_container(path, unreadable=UnreadableAudio) as container:
        stream = sound_track(container, path, choice.track)
        for packet in container.demux(stream):
            if packet.size:
                time = end if packet.pts is None else float(packet.pts * packet.time_base)
                start = time if start is None else start
                end = max(end, time + float((packet.duration or 0) * packet.time_base))
    seconds = max(end - (start or 0.0) - choice.start_seconds, 0.0)
    return seconds if choice.duration_seconds is None else min(seconds, choice.duration_seconds)


def stream_sound(path: str | Path, *, mono: bool = False, choice: SoundChoice = WHOLE_SOUND) -> Sound:
    """Open a file's sound at its own rate, in mono or stereo as it begins, to be decoded block by block.

    Surround sound is mixed down to stereo. Where a file changes its rate or its channels midway, the rest is
    converted to the form of its beginning. mono: one channel of all, as in `read_audio`.
    Raises FileMissing, UnreadableAudio and OptionOutOfRange, the first two also while the blocks are read.
    """
    with open_container(path, unreadable=UnreadableAudio) as container:
        stream = sound_track(container, path, choice.track)
        if mono and choice.track is None and len(container.streams.audio) > 1:
            _log.info(track_account(container, path, stream))
        stated = stated_seconds(path, container, stream)
        first = next(decoded(container, stream, path), None)
        if first is None:
            raise UnreadableAudio(f"{path} holds no sound samples. Record it again or choose another file.")
        rate_hz, channels = first.sample_rate, 1 if mono else min(first.layout.nb_channels, 2)
    blocks = _blocks(path, rate_hz, channels, choice.track, mean=mono)
    return Sound(_chosen(blocks, rate_hz, choice), rate_hz, channels, stated)


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Resample float32 (n,) to (ceil(n * to_hz / from_hz),) by soxr's HQ recipe, as librosa does."""
    samples = np.asarray(samples, np.float32)
    if from_hz == to_hz:
        return samples
    return _fit_length(soxr.resample(samples, from_hz, to_hz), len(samples) * to_hz / from_hz)


def is_silent(waveform: Waveform) -> bool:
    """Whether the loudest 50 ms have an RMS below SILENCE_RMS."""
    window = max(1, waveform.rate_hz // 20)
    for start in range(0, len(waveform.samples), 600 * window):  # half a minute at once
        part = waveform.samples[start : start + 600 * window]
        padded = np.pad(part, (0, -len(part) % window))
        power = np.square(padded, dtype=np.float64).reshape(-1, window).mean(axis=1)
        if power.max(initial=0.0) >= SILENCE_RMS**2:
            return False
    return True


def _blocks(
    path: str | Path, rate_hz: int, channels: int, track: int | None, *, mean: bool
) -> Iterator[np.ndarray]:
    """Decode a file to blocks (n, channels) at `rate_hz`, whatever forms its frames have."""
    with open_container(path, unreadable=UnreadableAudio) as container:
        clocked = container.format.name not in CLOCKLESS_FORMATS
        stream = sound_track(container, path, track)
        frames = _after_gaps(decoded(container, stream, path), clocked=clocked)
        form = attrgetter("sample_rate", "layout.nb_channels", "layout.name", "format.name")
        for (frame_hz, count, layout, _), run in groupby(frames, key=lambda timed: form(timed[0])):
            # FFmpeg has no stereo mix of nameless layouts such as "9 channels": the mean takes its place.
            mixed = count > 2 and not mean and not layout.endswith("channels")
            mixer = av.AudioResampler("flt", "stereo" if mixed else None)
            blocks = _run_blocks(run, path, mixer, count if mean else channels)
            if mean and count > 1:
                blocks = one_channel(blocks, frame_hz)
            if frame_hz != rate_hz:
                blocks = Sound(blocks, frame_hz, channels).at_rate(rate_hz).blocks
            yield from blocks


def one_channel(blocks: Iterable[np.ndarray], rate_hz: int) -> Iterator[np.ndarray]:
    """The mean of channels (n, c) as (n, 1), second by second; where they cancel each other, the loudest."""
    heard = 0
    for block in _seconds_of(blocks, rate_hz):
        mixed = block.mean(axis=1, keepdims=True)
        powers = np.square(block).mean(axis=0)
        if np.square(mixed).mean() < CANCELLED * powers.max():
            if powers.max() > MUCH_LOUDER * powers[heard]:
                heard = int(powers.argmax())
            mixed = block[:, heard : heard + 1]
        yield mixed


def _seconds_of(blocks: Iterable[np.ndarray], rate_hz: int) -> Iterator[np.ndarray]:
    """The same blocks, joined to such of a second or a little more, the last one to what is left."""
    joined: list[np.ndarray] = []
    for block in blocks:
        joined.append(block)
        if sum(map(len, joined)) >= rate_hz:
            yield np.concatenate(joined)
            joined = []
    if joined:
        yield np.concatenate(joined)


def _chosen(blocks: Iterator[np.ndarray], rate_hz: int, choice: SoundChoice) -> Iterator[np.ndarray]:
    """The blocks without what comes before and after the chosen part, to the sample."""
    start, place = round(choice.start_seconds * rate_hz), 0
    end = None if choice.duration_seconds is None else start + round(choice.duration_seconds * rate_hz)
    for block in blocks:
        part = block[max(start - place, 0) : None if end is None else max(end - place, 0)]
        place += len(block)
        if len(part):
            yield part
        if end is not None and place >= end:
            return


def _too_short(path: str | Path, seconds: float, choice: SoundChoice) -> str:
    if choice == SoundChoice(track=choice.track):
        return (
            f"{path} lasts {seconds:.3f} s, less than the {MIN_SECONDS} s that can be animated. "
            "Choose a longer recording."
        )
    return (
        f"From second {choice.start_seconds:g} of {path} on, {seconds:.3f} s are chosen, less than the "
        f"{MIN_SECONDS} s that can be animated. Choose an earlier start or a longer duration."
    )


def _warn_of_early_end(path: str | Path, seconds: float, stated: float | None) -> None:
    if stated is not None and seconds < stated - EARLY_END_SECONDS:
        _log.warning(
            "%s ends early: it states %.1f s of sound, but holds %.1f s. Only these are used.",
            path,
            stated,
            seconds,
        )


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
