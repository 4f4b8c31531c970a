import wave
from collections.abc import Iterator
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soxr
from media_samples import EXAMPLES, encode_sound, encode_video, onset_seconds, tone_with_onset
from safetensors.numpy import load_file

from sonimate.errors import AudioTooShort, FileMissing, UnreadableAudio
from sonimate.media.audio import Sound, is_silent, read_audio, resample, stream_sound
from sonimate.media.video_writer import VideoWriter
from sonimate.types import Waveform

GOLDEN = load_file(Path(__file__).parents[1] / "golden/modules/audio_resample.safetensors")
GOLDEN_CASES = sorted(name.removeprefix("in_") for name in GOLDEN if name.startswith("in_"))


def write_wav(path: Path, samples: np.ndarray, rate_hz: int = 16_000) -> Path:
    """Write (n,) or (n, channels) samples without any conversion."""
    samples = samples[:, None] if samples.ndim == 1 else samples
    codec = {"int16": "pcm_s16le", "float32": "pcm_f32le", "uint8": "pcm_u8", "int32": "pcm_s32le"}
    formats = {"int16": "s16", "float32": "flt", "uint8": "u8", "int32": "s32"}
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[samples.shape[1]]
    with av.open(str(path), "w", format="wav") as container:
        stream: Any = container.add_stream(codec[samples.dtype.name], rate=rate_hz, layout=layout)
        packed = np.ascontiguousarray(samples.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(packed, format=formats[samples.dtype.name], layout=layout)
        frame.sample_rate, frame.pts = rate_hz, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_resampling_equals_the_golden_numbers(case: str, tmp_path: Path) -> None:
    rate_hz = int(case.split("_")[0])
    pcm, expected = GOLDEN[f"in_{case}"], GOLDEN[f"out_{case}"]
    mono = (pcm / np.float32(32768)).mean(axis=1)
    np.testing.assert_allclose(resample(mono, rate_hz, 16_000), expected, atol=1e-5)
    from_file = read_audio(write_wav(tmp_path / "a.wav", pcm, rate_hz))
    np.testing.assert_allclose(from_file.samples, expected, atol=1e-5)


def test_long_files_are_resampled_in_pieces_without_seams(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 44_100 * 5).astype(np.float32)
    waveform = read_audio(write_wav(tmp_path / "a.wav", noise, 44_100))
    np.testing.assert_allclose(waveform.samples, soxr.resample(noise, 44_100, 16_000, "HQ"), atol=1e-6)


def test_resampled_length_is_rounded_up_like_librosa() -> None:
    assert len(resample(np.zeros(1001, np.float32), 44_100, 16_000)) == 364


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("wav", "pcm_s16le"),
        ("mp3", "libmp3lame"),
        ("flac", "flac"),
        ("ogg", "libopus"),
        ("m4a", "aac"),
        ("mp4", "aac"),
    ],
)
def test_every_format_keeps_pitch_and_timing(suffix: str, codec: str, tmp_path: Path) -> None:
    rate_hz = 48_000 if codec == "libopus" else 44_100
    tone = tone_with_onset(rate_hz=rate_hz)
    waveform = read_audio(encode_sound(tmp_path / f"a.{suffix}", tone, codec=codec, rate_hz=rate_hz))
    assert waveform.rate_hz == 16_000
    assert waveform.samples.dtype == np.float32
    assert onset_seconds(waveform.samples, 16_000) == pytest.approx(0.5, abs=0.005)
    assert waveform.seconds == pytest.approx(1.5, abs=0.04)
    spectrum = np.abs(np.fft.rfft(waveform.samples[9_000:20_000]))
    assert np.argmax(spectrum) * 16_000 / 11_000 == pytest.approx(440, abs=2)


def test_a_video_gives_its_sound_track(tmp_path: Path) -> None:
    video = encode_video(tmp_path / "a.mkv", range(0, 400, 40), sound_start_ms=0)
    assert onset_seconds(read_audio(video).samples, 16_000) == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize(
    "pcm",
    [np.array([-1, 0.5], np.float32), np.array([-(2**31), 2**30], np.int32), np.array([0, 192], np.uint8)],
)
def test_integers_are_scaled_by_their_full_range(pcm: np.ndarray, tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.tile(pcm, 4000))
    np.testing.assert_array_equal(read_audio(path).samples[:2], [-1, 0.5])


def test_channels_are_averaged_for_the_model_and_kept_for_the_video(tmp_path: Path) -> None:
    stereo = np.tile(np.array([[0.5, -0.25]], np.float32), (8000, 1))
    path = write_wav(tmp_path / "a.wav", stereo)
    np.testing.assert_allclose(read_audio(path).samples, 0.125)
    sound = stream_sound(path)
    assert (sound.channels, sound.rate_hz) == (2, 16_000)
    np.testing.assert_array_equal(np.concatenate(list(sound.blocks)), stereo)


def test_surround_sound_is_mixed_to_stereo_for_the_video(tmp_path: Path) -> None:
    surround = np.zeros((8000, 6), np.float32)
    surround[:, 2] = 0.5  # the centre, where the voice is
    sound = stream_sound(write_wav(tmp_path / "a.wav", surround))
    mixed = np.concatenate(list(sound.blocks))
    assert sound.channels == 2
    assert mixed.shape == (8000, 2)
    assert mixed[4000, 0] == mixed[4000, 1] > 0.1


def test_sound_of_eight_channels_is_read(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="7.1")
        tone = tone_with_onset(seconds=1, onset_seconds=0, rate_hz=48_000)
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, 8)[None], format="flt", layout="7.1")
        frame.sample_rate = 48_000
        for planar in av.AudioResampler("fltp", "7.1", 48_000).resample(frame):
            container.mux(stream.encode(planar))
        container.mux(stream.encode(None))
    waveform = read_audio(tmp_path / "a.m4a")
    assert waveform.seconds == pytest.approx(1, abs=0.05)
    assert np.argmax(np.abs(np.fft.rfft(waveform.samples[2_000:10_000]))) * 2 == 440
    assert {block.shape[1] for block in stream_sound(tmp_path / "a.m4a").blocks} == {2}


@pytest.mark.parametrize("channels", [3, 9, 16])
def test_sound_of_channels_without_a_named_layout_is_read_and_mixed(tmp_path: Path, channels: int) -> None:
    tone = tone_with_onset(seconds=1, onset_seconds=0, rate_hz=16_000)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.repeat(np.round(tone * 32767).astype("<i2"), channels).tobytes())
    stereo = np.concatenate(list(stream_sound(tmp_path / "a.wav").blocks))
    assert stereo.shape == (16_000, 2)
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav").samples, tone, atol=1e-4)


def chained(path: Path, *parts: Path) -> Path:
    """Recordings one after the other in one file, as broadcasts and joined files have them."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


FORMS = {
    "aac": [(1, 44_100), (2, 22_050), (2, 48_000), (6, 48_000)],
    "ac3": [(1, 44_100), (2, 44_100), (1, 48_000), (6, 48_000)],
    "libmp3lame": [(1, 44_100), (2, 44_100), (2, 22_050), (1, 48_000)],
}
"""Channels and rates of recordings that are chained, by encoder."""

CHAINS = [(codec, *pair) for codec, forms in FORMS.items() for pair in permutations(forms, 2)]


@pytest.mark.parametrize(("codec", "first", "second"), CHAINS)
def test_sound_that_changes_its_form_midway_is_read_as_one(
    codec: str, first: tuple[int, int], second: tuple[int, int], tmp_path: Path
) -> None:
    suffix = {"libmp3lame": "mp3"}.get(codec, codec)
    parts = []
    for part, (channels, rate_hz) in enumerate((first, second)):
        tone = tone_with_onset(seconds=1, onset_seconds=0, rate_hz=rate_hz)
        path = tmp_path / f"{part}.{suffix}"
        parts.append(encode_sound(path, tone, codec=codec, rate_hz=rate_hz, channels=channels))
    path = chained(tmp_path / f"a.{suffix}", *parts)
    waveform = read_audio(path)
    assert waveform.seconds == pytest.approx(2, abs=0.15)
    halves = [waveform.samples[5_000:11_000], waveform.samples[21_000:27_000]]
    for half in halves:
        assert np.argmax(np.abs(np.fft.rfft(half))) * 16_000 / 6_000 == pytest.approx(440, abs=3)
        assert half.std() == pytest.approx(0.5 / np.sqrt(2), rel=0.2)  # the low-frequency channel drops it
    sound = stream_sound(path)
    blocks = list(sound.blocks)
    assert sound.channels in (1, 2)
    assert sound.rate_hz in (first[1], second[1])
    assert {block.shape[1] for block in blocks} == {sound.channels}
    assert sum(map(len, blocks)) / sound.rate_hz == pytest.approx(waveform.seconds, abs=0.01)
    with VideoWriter(tmp_path / "a.mp4", width=64, height=64, sound=stream_sound(path)) as writer:
        for _ in range(50):
            writer.write(np.zeros((64, 64, 3), np.uint8))
    assert read_audio(tmp_path / "a.mp4").seconds == pytest.approx(waveform.seconds, abs=0.05)


@pytest.mark.parametrize("rates_hz", [(16_000, 16_000), (16_000, 24_000)])
def test_a_gap_where_the_rate_changes_keeps_later_sound_at_its_time(
    rates_hz: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def frames(*_: object) -> Iterator[av.AudioFrame]:
        for start_seconds, rate_hz in zip((0, 1.5), rates_hz, strict=True):
            frame = av.AudioFrame.from_ndarray(
                np.full((1, rate_hz // 2), 9000, np.int16), format="s16", layout="mono"
            )
            frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
            frame.pts = round(start_seconds * rate_hz)
            yield frame

    monkeypatch.setattr("sonimate.media.audio.decoded", frames)
    samples = read_audio(EXAMPLES / "speech/librivox_ss_0890.wav").samples
    assert len(samples) == 32_000
    assert not samples[8_200:23_800].round(3).any()
    assert samples[100:7_800].round(1).all()
    assert samples[24_200:31_800].round(1).all()


def test_a_stretch_missing_from_the_file_becomes_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for start in (0, 24_000):
            frame = av.AudioFrame.from_ndarray(
                np.full((1, 8000), 9000, np.int16), format="s16", layout="mono"
            )
            frame.sample_rate, frame.pts = 16_000, start
            container.mux(stream.encode(frame))
    samples = read_audio(path).samples
    assert len(samples) == 32_000
    assert not samples[8000:24_000].any()
    assert samples[:8000].all()
    assert samples[24_000:].all()


def test_a_sound_at_another_rate_is_the_same_sound() -> None:
    tone = Waveform(tone_with_onset(rate_hz=37_800), 37_800)
    blocks = list(Sound.from_waveform(tone).at_rate(48_000).blocks)
    np.testing.assert_allclose(
        np.concatenate(blocks)[:, 0], resample(tone.samples, 37_800, 48_000), atol=1e-6
    )


def test_silence_differs_from_quiet_speech() -> None:
    speech = read_audio(EXAMPLES / "speech/librivox_ss_0890.wav")
    assert not is_silent(speech)
    assert not is_silent(Waveform(speech.samples * 0.02, 16_000))
    assert is_silent(Waveform(speech.samples * 1e-4, 16_000))
    assert is_silent(Waveform(np.zeros(16_001, np.float32), 16_000))


def test_one_short_word_in_a_long_pause_is_not_silence() -> None:
    samples = np.zeros(16_000 * 60, np.float32)
    samples[16_000:17_600] = 0.1
    assert not is_silent(Waveform(samples, 16_000))


def nan_wav(folder: Path) -> Path:
    samples = np.zeros(8000, np.float32)
    samples[4000] = np.nan
    return write_wav(folder / "nan.wav", samples)


def infinite_wav(folder: Path) -> Path:
    return write_wav(folder / "inf.wav", np.full(8000, np.inf, np.float32))


def no_samples(folder: Path) -> Path:
    path = write_wav(folder / "empty.wav", np.zeros(8000, np.int16))
    header = path.read_bytes().split(b"data")[0]
    path.write_bytes(header + b"data" + bytes(4))
    return path


def too_short(folder: Path) -> Path:
    return write_wav(folder / "short.wav", np.zeros(800, np.int16))


def missing(folder: Path) -> Path:
    return folder / "missing.wav"


def a_folder(folder: Path) -> Path:
    (folder / "folder.wav").mkdir()
    return folder / "folder.wav"


def text(folder: Path) -> Path:
    (folder / "notes.wav").write_text("this is not a recording\n" * 50)
    return folder / "notes.wav"


def random_bytes(folder: Path) -> Path:
    (folder / "noise.mp3").write_bytes(np.random.default_rng(0).bytes(20_000))
    return folder / "noise.mp3"


def zero_bytes(folder: Path) -> Path:
    (folder / "zero.wav").touch()
    return folder / "zero.wav"


def picture(folder: Path) -> Path:
    return EXAMPLES / "portraits/astronaut_collins.jpg"


def mute_video(folder: Path) -> Path:
    return encode_video(folder / "mute.mp4", range(0, 400, 40))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (missing, FileMissing),
        (a_folder, FileMissing),
        (text, UnreadableAudio),
        (random_bytes, UnreadableAudio),
        (zero_bytes, UnreadableAudio),
        (picture, UnreadableAudio),
        (mute_video, UnreadableAudio),
        (no_samples, UnreadableAudio),
        (nan_wav, UnreadableAudio),
        (infinite_wav, UnreadableAudio),
        (too_short, AudioTooShort),
    ],
    ids=lambda value: value.__name__,
)
def test_bad_input_is_refused_by_name(make, error, tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(error) as caught:
        read_audio(path)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 2


def test_the_shortest_allowed_recording_is_read(tmp_path: Path) -> None:
    assert read_audio(write_wav(tmp_path / "a.wav", np.zeros(3200, np.int16))).seconds == 0.2
