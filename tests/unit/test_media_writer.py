"""Writing: what goes in comes out, whole or not at all, and says that it is synthetic."""

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_samples import EXAMPLES, onset_seconds, seconds_of, tags_of, tone_with_onset
from processes import child_process, signal_handlers

from sonimate.errors import OutputNotWritable
from sonimate.media.audio import Sound, read_audio, stream_sound
from sonimate.media.image import read_image, write_png
from sonimate.media.video import read_frames, read_video
from sonimate.media.video_writer import VideoWriter
from sonimate.types import Waveform

SPEECH = EXAMPLES / "speech/librivox_ss_0890.wav"


def portrait(side: int = 128) -> np.ndarray:
    pixels = read_image(EXAMPLES / "portraits/astronaut_collins.jpg")
    return np.ascontiguousarray(pixels[100 : 100 + side, 100 : 100 + side])


def write_video(
    path: Path, frames: list[np.ndarray], sound: Waveform | Sound | None = None, **options: Any
) -> Path:
    height, width = frames[0].shape[:2]
    with VideoWriter(path, width=width, height=height, sound=sound, **options) as writer:
        for frame in frames:
            writer.write(frame)
    return path


@contextmanager
def disk_of(size_bytes: int) -> Iterator[None]:
    """No file may grow beyond this, which the system reports as it does a full disk: by a failing write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_file_is_what_players_expect(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [portrait()] * 40, stream_sound(SPEECH))
    with av.open(str(path)) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        codec = video.codec_context
        assert (codec.name, codec.pix_fmt, sound.codec_context.name) == ("h264", "yuv420p", "aac")
        assert video.average_rate == 25
        assert video.frames == 40
        assert (codec.colorspace, codec.color_range, codec.color_primaries, codec.color_trc) == (1, 1, 1, 1)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), (
        "players must be able to start before the whole file is there"
    )


@pytest.mark.parametrize("seconds", [0.2, 1.0, 1.234])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 37_800, 44_100])
def test_sound_and_picture_last_equally_long(seconds: float, rate_hz: int, tmp_path: Path) -> None:
    tone = Waveform(tone_with_onset(seconds=seconds, rate_hz=rate_hz), rate_hz)
    path = write_video(tmp_path / "a.mp4", [portrait(64)] * round(seconds * 25), tone)
    with av.open(str(path)) as container:
        assert seconds_of(container) == pytest.approx(seconds, abs=0.04)
        for stream in container.streams:
            assert stream.duration is not None
            assert stream.time_base is not None
            assert float(stream.duration * stream.time_base) == pytest.approx(seconds, abs=0.04)
            assert stream.start_time == 0


def test_sound_stays_at_its_time_and_quality(tmp_path: Path) -> None:
    tone = Waveform(tone_with_onset(), 44_100)
    path = write_video(tmp_path / "a.mp4", [portrait(64)] * 38, tone)
    sound = stream_sound(path)
    samples = np.concatenate(list(sound.blocks))[:, 0]
    assert sound.rate_hz == 44_100
    assert onset_seconds(samples, 44_100) == pytest.approx(0.5, abs=0.003)
    kept = samples[25_000:60_000]
    assert np.corrcoef(kept, tone.samples[25_000:60_000])[0, 1] > 0.999
    assert np.std(kept) == pytest.approx(np.std(tone.samples[25_000:60_000]), rel=0.02)


def test_stereo_stays_stereo(tmp_path: Path) -> None:
    left = tone_with_onset(rate_hz=48_000)
    stereo = np.stack([left, np.zeros_like(left)], axis=1)
    path = write_video(tmp_path / "a.mp4", [portrait(64)] * 38, Sound(iter([stereo]), 48_000, 2))
    sound = stream_sound(path)
    samples = np.concatenate(list(sound.blocks))
    assert (sound.channels, sound.rate_hz) == (2, 48_000)
    assert samples[:, 0].std() > 100 * samples[:, 1].std()


def test_frames_come_back_in_order_and_on_time(tmp_path: Path) -> None:
    levels = [20 + 5 * i for i in range(40)]
    frames = [np.full((48, 64, 3), level, np.uint8) for level in levels]
    path = write_video(tmp_path / "a.mp4", frames, read_audio(SPEECH))
    assert [round(float(frame.mean()) / 5) * 5 for frame in read_frames(path)] == levels
    assert read_video(path)[0].start_seconds == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    "colour",
    [
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
        (255, 255, 255),
        (0, 0, 0),
        (128, 128, 128),
        (226, 172, 140),
        (92, 51, 23),
    ],
)
def test_colours_survive(colour: tuple[int, int, int], tmp_path: Path) -> None:
    frame = np.full((48, 64, 3), colour, np.uint8)
    path = write_video(tmp_path / "a.mp4", [frame] * 3)
    for read in read_frames(path):
        np.testing.assert_allclose(read.astype(int), frame, atol=2)


def test_a_photograph_survives_without_a_tint(tmp_path: Path) -> None:
    frame = portrait(256)
    error = next(read_frames(write_video(tmp_path / "a.mp4", [frame] * 3))).astype(int) - frame
    assert np.abs(error.mean(axis=(0, 1))).max() < 0.5
    assert 10 * np.log10(255**2 / np.square(error).mean()) > 35


@pytest.mark.parametrize("fps", [12.5, 25.0, 29.97])
def test_other_frame_rates(fps: float, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [portrait(64)] * 20, fps=fps)
    info = read_video(path)[0]
    assert info.fps == pytest.approx(fps, rel=1e-4)
    assert info.seconds == pytest.approx(20 / fps, abs=0.002)


def test_the_container_says_that_it_is_synthetic(tmp_path: Path) -> None:
    tags = tags_of(write_video(tmp_path / "a.mp4", [portrait(64)] * 3))
    assert tags["synthetic_media"] == "true"
    assert "generated by sonimate" in tags["comment"]
    assert "Synthetic media" in tags["description"]
    assert tags["digital_source_type"].endswith("compositeWithTrainedAlgorithmicMedia")


def test_the_same_frames_give_the_same_file(tmp_path: Path) -> None:
    frames = [np.roll(portrait(192), shift, axis=1) for shift in range(10)]
    sound = read_audio(SPEECH)
    for index in range(12):
        write_video(tmp_path / f"{index}.mp4", frames, sound, same_bytes=True)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    read = list(read_frames(tmp_path / "0.mp4"))
    assert len(read) == 10
    assert np.abs(read[5].astype(int) - frames[5]).mean() < 4


def test_clips_of_real_footage_are_not_called_synthetic(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [portrait(64)] * 3, same_bytes=True)
    assert b"ynthetic" not in path.read_bytes()


def test_an_existing_video_is_replaced_only_on_success(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"the earlier video")
    with pytest.raises(ValueError, match="expected uint8"):
        write_video(path, [portrait(64), portrait(64), portrait(32)])
    assert path.read_bytes() == b"the earlier video"
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]
    write_video(path, [portrait(64)] * 3)
    assert len(list(read_frames(path))) == 3


def test_the_name_appears_only_when_the_video_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with VideoWriter(path, width=64, height=64) as writer:
        writer.write(portrait(64))
        assert not path.exists()
        assert all(file.name.startswith(".") for file in tmp_path.iterdir())
    assert path.exists()


def test_a_failing_sound_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield np.zeros((1000, 1), np.float32)
        raise ValueError("sound failed")

    with pytest.raises(ValueError, match="sound failed"):
        write_video(tmp_path / "a.mp4", [portrait(64)] * 9, Sound(broken(), 16_000, 1))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("handler_before", [signal.default_int_handler, signal.SIG_IGN])
def test_ctrl_c_leaves_nothing(handler_before: Any, tmp_path: Path) -> None:
    """Also where the tests themselves were started with Ctrl-C ignored, as scripts start background jobs."""
    program = """
import itertools, sys
import numpy as np
from sonimate.media.video_writer import VideoWriter
frame = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
with VideoWriter(sys.argv[1], width=64, height=64) as writer:
    for i in itertools.count():
        writer.write(frame)
        if i == 60:
            print("writing", flush=True)
"""
    command = (sys.executable, "-c", program, tmp_path / "a.mp4")
    with (
        signal_handlers({signal.SIGINT: handler_before}),
        child_process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        assert list(tmp_path.iterdir())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size_bytes", [0, 1_000, 60_000, 200_000])
def test_a_full_disk_is_reported_and_leaves_nothing(size_bytes: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (128, 128, 3), np.uint8) for _ in range(60)]
    with (
        disk_of(size_bytes),
        pytest.raises(OutputNotWritable, match=r"a\.mp4 cannot be written .* space left"),
    ):
        write_video(tmp_path / "a.mp4", frames, Waveform(tone_with_onset(), 44_100))
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_at_the_very_end(tmp_path: Path) -> None:
    frames = [portrait()] * 10
    size_bytes = write_video(tmp_path / "a.mp4", frames).stat().st_size
    (tmp_path / "a.mp4").unlink()
    with disk_of(size_bytes - 1), pytest.raises(OutputNotWritable):
        write_video(tmp_path / "a.mp4", frames)
    assert not list(tmp_path.iterdir())


def test_a_png_on_a_full_disk(tmp_path: Path) -> None:
    with disk_of(1000), pytest.raises(OutputNotWritable, match="cannot be written"):
        write_png(tmp_path / "a.png", portrait())
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputNotWritable, match=r"folder .*nowhere does not exist"):
        write_video(tmp_path / "nowhere" / "a.mp4", [portrait(64)])
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OutputNotWritable, match="is a folder"):
        write_video(tmp_path / "folder.mp4", [portrait(64)])
    with pytest.raises(OutputNotWritable, match=r"ends in \.mp4, \.mov"):
        write_video(tmp_path / "a.avi", [portrait(64)])
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(OutputNotWritable, match="not writable"):
        write_video(tmp_path / "a.mp4", [portrait(64)])


@pytest.mark.parametrize("name", ["with space.mp4", "50%d.mp4", "a:b.mp4", "Ünï.MP4"])
def test_any_file_name_works(name: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, [portrait(64)] * 3, Waveform(tone_with_onset(seconds=0.3), 44_100))
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert len(list(read_frames(path))) == 3
    assert read_audio(path).seconds == pytest.approx(0.3, abs=0.04)


def test_frames_of_another_shape_are_a_programming_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="even sides"):
        VideoWriter(tmp_path / "a.mp4", width=63, height=64)
    with (
        pytest.raises(ValueError, match="expected uint8"),
        VideoWriter(tmp_path / "a.mp4", width=64, height=64) as w,
    ):
        w.write(portrait(128))
