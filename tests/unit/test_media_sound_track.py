"""Channels that cancel each other, several tracks, every rate, sounds that end early, and parts of sounds."""

import logging
import math
import re
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from media_samples import encode_sound, tone_with_onset
from test_media_audio import write_wav

from sonimate.errors import AudioTooShort, OptionOutOfRange
from sonimate.media.audio import SoundChoice, one_channel, read_audio, sound_seconds, stream_sound
from sonimate.media.video_writer import VideoWriter

TONE = tone_with_onset(seconds=3, onset_seconds=0, rate_hz=16_000)
NOISE = 0.002 * np.random.default_rng(0).standard_normal(len(TONE)).astype(np.float32)


def loudness(samples: np.ndarray) -> float:
    """RMS."""
    return float(np.sqrt(np.square(samples, dtype=np.float64).mean()))


@pytest.mark.parametrize("scale", [-1.0, -0.95, -1.05])
@pytest.mark.parametrize("louder_first", [True, False])
def test_channels_that_cancel_each_other_give_way_to_the_louder_one(
    scale: float, louder_first: bool, tmp_path: Path
) -> None:
    channels = (TONE, scale * TONE + NOISE)[:: 1 if louder_first else -1]
    samples = read_audio(write_wav(tmp_path / "a.wav", np.stack(channels, 1).astype(np.float32))).samples
    assert loudness(samples) == pytest.approx(loudness(TONE), rel=0.06)
    heard = np.abs(samples @ TONE) / (np.linalg.norm(samples) * np.linalg.norm(TONE))
    assert heard > 0.99, "one channel all along, without changes of sign"


def test_only_the_seconds_that_cancel_are_changed(tmp_path: Path) -> None:
    """A jingle in phase before a voice out of phase; and one channel alone keeps its mean, 6 dB less."""
    blocks = [np.stack([TONE, right], 1)[:16_000] for right in (TONE, -TONE, 0 * TONE)]
    heard = np.concatenate(list(one_channel(blocks, 16_000)))[:, 0]
    first = TONE[:16_000]
    np.testing.assert_allclose(heard, np.concatenate([first, first, first / 2]), atol=1e-6)


@pytest.mark.parametrize("channels", [6, 8])
def test_a_voice_out_of_phase_in_two_of_many_channels_is_heard(channels: int) -> None:
    block = np.stack([0 * TONE] * (channels - 2) + [TONE, -TONE], 1)
    (heard,) = one_channel([block], 16_000)
    np.testing.assert_array_equal(heard[:, 0], TONE)


@pytest.mark.parametrize("rate_hz", [4000, 5512, 6000, 7350, 8000, 11_025, 37_800, 96_000, 176_400, 192_000])
def test_every_rate_from_4_to_192_khz_is_read_and_written(rate_hz: int, tmp_path: Path) -> None:
    tone = tone_with_onset(seconds=0.6, onset_seconds=0, rate_hz=rate_hz)
    path = write_wav(tmp_path / "a.wav", np.round(tone * 32767).astype(np.int16), rate_hz)
    assert read_audio(path).seconds == pytest.approx(0.6, abs=1e-3)
    with VideoWriter(tmp_path / "a.mp4", width=64, height=64, sound=stream_sound(path)) as writer:
        for _ in range(15):
            writer.write(np.zeros((64, 64, 3), np.uint8))
    heard = read_audio(tmp_path / "a.mp4").samples[2_000:7_000]
    assert np.argmax(np.abs(np.fft.rfft(heard))) * 16_000 / 5_000 == pytest.approx(440, abs=4)


def with_tracks(path: Path, default: int | None = None) -> Path:
    """A silent, a quiet and a loud track, in German, French and none; default: marked, counted from 1."""
    with av.open(str(path), "w") as container:
        streams: list[Any] = []
        for number, language in enumerate(("ger", "fre", "und"), 1):
            stream: Any = container.add_stream("aac", rate=16_000, layout="mono")
            stream.metadata["language"] = language
            stream.disposition = Disposition.default if number == default else 0
            streams.append(stream)
        for stream, gain in zip(streams, (0.0, 0.2, 1.0), strict=True):
            frame = av.AudioFrame.from_ndarray(gain * TONE[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16_000, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def test_of_several_tracks_the_default_one_is_taken_or_the_chosen_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = with_tracks(tmp_path / "a.mkv", default=2)
    with caplog.at_level(logging.INFO, "sonimate"):
        assert loudness(read_audio(path).samples) == pytest.approx(0.2 * loudness(TONE), rel=0.1)
    (said,) = caplog.messages
    assert "tracks 1 (ger), 2 (fre), 3" in said
    assert "track 2, marked as default, is taken" in said
    caplog.clear()
    for number, gain in ((1, 0.0), (2, 0.2), (3, 1.0)):
        choice = SoundChoice(track=number)
        assert loudness(read_audio(path, choice=choice).samples) == pytest.approx(
            gain * loudness(TONE), rel=0.1
        )
        written = np.concatenate(list(stream_sound(path, choice=choice).blocks))
        assert loudness(written) == pytest.approx(gain * loudness(TONE), rel=0.1)
    assert not caplog.messages
    for number in (0, 4):
        with pytest.raises(OptionOutOfRange, match="from 1 to 3"):
            read_audio(path, choice=SoundChoice(track=number))


ENCODED = [
    ("wav", "pcm_s16le"),
    ("wav", "pcm_s24le"),
    ("aiff", "pcm_s16be"),
    ("au", "pcm_s16be"),
    ("flac", "flac"),
    ("mp3", "libmp3lame"),
    ("mkv", "aac"),
    ("webm", "libopus"),
    ("flv", "aac"),
    ("ogg", "libopus"),
    ("aac", "aac"),
    ("m4a", "aac"),
    ("ac3", "ac3"),
    ("avi", "libmp3lame"),
]
SILENT_ABOUT_THEIR_LENGTH = ("ogg", "aac", "ac3", "avi", "m4a")


@pytest.mark.parametrize(
    ("suffix", "codec", "rate_hz"),
    [(*form, 44_100 if form[0] in ("flv", "avi") else 48_000) for form in ENCODED]
    + [("mkv", "aac", 8_000), ("flv", "aac", 11_025), ("mp3", "libmp3lame", 16_000)],
)
def test_a_sound_that_ends_early_is_used_as_far_as_it_goes_and_a_whole_one_is_not_suspected(
    suffix: str, codec: str, rate_hz: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tone = tone_with_onset(seconds=4, onset_seconds=0, rate_hz=rate_hz)
    path = encode_sound(tmp_path / f"a.{suffix}", tone, codec=codec, rate_hz=rate_hz)
    assert read_audio(path).seconds == pytest.approx(4, abs=0.05 + 2048 / rate_hz)
    assert not caplog.messages
    if suffix in SILENT_ABOUT_THEIR_LENGTH:
        return
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2 + 1])
    seconds = read_audio(path).seconds
    assert 1 < seconds < 3.2
    pattern = f"ends early: it states (3.[7-9]|4.0) s of sound, but holds {seconds:.1f} s"
    assert any(re.search(pattern, message) for message in caplog.messages)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0])
def test_a_wav_written_into_a_pipe_states_no_length(
    size: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_wav(tmp_path / "a.wav", np.round(TONE * 32767).astype(np.int16))
    data = bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    data[4:8] = data[place : place + 4] = size.to_bytes(4, "little")
    path.write_bytes(data)
    assert read_audio(path).seconds == pytest.approx(3)
    assert not caplog.messages


@pytest.mark.parametrize(("suffix", "codec"), [("wav", "pcm_s16le"), ("mp3", "libmp3lame"), ("flac", "flac")])
@pytest.mark.parametrize(("start", "duration"), [(0.5, 1.25), (0.0, 0.4), (2.1, None), (2.5, 9.0)])
def test_a_part_of_a_sound_is_cut_to_the_sample(
    suffix: str, codec: str, start: float, duration: float | None, tmp_path: Path
) -> None:
    rate_hz = 44_100
    tone = np.linspace(-0.9, 0.9, 3 * rate_hz, dtype=np.float32) + 0.01
    path = encode_sound(tmp_path / f"a.{suffix}", tone, codec=codec, rate_hz=rate_hz)
    whole = np.concatenate(list(stream_sound(path).blocks))
    choice = SoundChoice(start_seconds=start, duration_seconds=duration)
    first = round(start * rate_hz)
    expected = whole[first:] if duration is None else whole[first : first + round(duration * rate_hz)]
    np.testing.assert_array_equal(np.concatenate(list(stream_sound(path, choice=choice).blocks)), expected)
    heard = read_audio(path, choice=choice)
    assert len(heard.samples) == math.ceil(len(expected) * 16_000 / rate_hz)
    assert sound_seconds(path, choice) == pytest.approx(heard.seconds, abs=0.1)


def test_a_part_beyond_the_end_is_refused(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", TONE)
    with pytest.raises(AudioTooShort, match=r"From second 2.9 of .*a\.wav on, 0\.100 s are chosen"):
        read_audio(path, choice=SoundChoice(start_seconds=2.9))
    with pytest.raises(AudioTooShort, match=r"0\.100 s are chosen"):
        read_audio(path, choice=SoundChoice(duration_seconds=0.1))
    with pytest.raises(AudioTooShort, match="From second 9 "):
        read_audio(path, choice=SoundChoice(start_seconds=9))


@pytest.mark.parametrize(("suffix", "codec"), ENCODED)
def test_the_length_is_known_without_decoding(suffix: str, codec: str, tmp_path: Path) -> None:
    tone = tone_with_onset(seconds=4, onset_seconds=0, rate_hz=48_000 if suffix != "flv" else 44_100)
    rate_hz = len(tone) // 4
    path = encode_sound(tmp_path / f"a.{suffix}", tone, codec=codec, rate_hz=rate_hz)
    assert sound_seconds(path) == pytest.approx(read_audio(path).seconds, abs=0.1)
