"""Reading: every frame at its own time, measured from the first sample of the sound."""

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_samples import EXAMPLES, encode_sound, encode_video, flat_frame, rotate_mp4, tone_with_onset

from sonimate.errors import FileMissing, UnreadableVideo
from sonimate.media.video import at_constant_rate, read_frames, read_video


def shown(path: Path, fps: float = 25.0) -> list[int]:
    """Indices of the source frames that `encode_video` made, tick by tick."""
    return [round((float(frame.mean()) - 20) / 10) for frame in read_frames(path, fps=fps)]


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("mpg", "mpeg1video")])
def test_a_25_fps_video_gives_each_frame_once(suffix: str, codec: str, tmp_path: Path) -> None:
    path = encode_video(tmp_path / f"a.{suffix}", range(0, 800, 40), codec=codec, sound_start_ms=0)
    assert shown(path) == list(range(20))


@pytest.mark.parametrize("offset_ms", [-13, -7, 7, 13, 20])
def test_a_small_offset_neither_repeats_nor_drops_frames(offset_ms: int, tmp_path: Path) -> None:
    path = encode_video(tmp_path / "a.mkv", range(100 + offset_ms, 900, 40), sound_start_ms=100)
    ticks = shown(path)
    assert ticks[1:19] == list(range(ticks[1], ticks[1] + 18))


def test_frames_before_the_sound_are_cut(tmp_path: Path) -> None:
    path = encode_video(tmp_path / "a.mkv", range(0, 800, 40), sound_start_ms=200)
    assert shown(path) == list(range(5, 20))
    assert read_video(path)[0].start_seconds == pytest.approx(-0.2, abs=0.002)


def test_a_picture_later_than_the_sound_is_held_until_its_time(tmp_path: Path) -> None:
    path = encode_video(tmp_path / "a.mkv", range(200, 1000, 40), sound_start_ms=0)
    assert shown(path) == [0] * 5 + list(range(20))
    assert read_video(path)[0].start_seconds == pytest.approx(0.2, abs=0.002)


def test_without_sound_time_starts_at_the_first_frame(tmp_path: Path) -> None:
    path = encode_video(tmp_path / "a.mkv", range(200, 1000, 40))
    assert shown(path) == list(range(20))
    info = read_video(path)[0]
    assert (info.start_seconds, info.has_sound) == (0.0, False)


def test_variable_frame_rate_follows_the_timestamps(tmp_path: Path) -> None:
    path = encode_video(tmp_path / "a.mkv", [0, 40, 80, 240, 280, 400], sound_start_ms=0)
    # Ticks fall at 0, 40, 80, 120 ...; halfway between 80 and 240 is 160, whose tick takes the later frame.
    assert shown(path)[:11] == [0, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5]


def test_thirty_frames_a_second_become_25_without_drift(tmp_path: Path) -> None:
    times_ms = [round(i * 1000 / 30) for i in range(20)]
    ticks = shown(encode_video(tmp_path / "a.mkv", times_ms, sound_start_ms=0))
    errors = [times_ms[frame] - 40 * tick for tick, frame in enumerate(ticks)]
    assert max(map(abs, errors[:-1])) <= 17
    assert len(ticks) == pytest.approx(20 / 30 * 25, abs=1)


@given(
    gaps=st.lists(st.floats(0.005, 0.3), min_size=1, max_size=30),
    start=st.floats(-0.5, 0.5),
    fps=st.sampled_from([12.5, 25.0, 30.0]),
)
def test_every_tick_gets_its_nearest_frame(gaps: list[float], start: float, fps: float) -> None:
    times = np.cumsum([start, *gaps])
    picked = list(at_constant_rate(zip(times, times, strict=True), fps=fps, origin=0.0, last_seconds=1 / fps))
    for tick, time in enumerate(picked):
        assert abs(time - tick / fps) <= np.abs(times - tick / fps).min() + 0.003
    assert len(picked) == pytest.approx(max(0.0, (times[-1] * fps) + 1), abs=1)


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_rotation_metadata_is_applied(clockwise: int, tmp_path: Path) -> None:
    frame = flat_frame(40)
    frame[:8, :8] = 220
    path = encode_video(tmp_path / "a.mp4", range(0, 200, 40), frames=[frame] * 5)
    rotate_mp4(path, clockwise=clockwise)
    info, frames = read_video(path)
    expected = np.rot90(frame, -clockwise // 90)
    pixels = next(frames)
    assert pixels.shape == expected.shape == (info.height, info.width, 3)
    np.testing.assert_allclose(pixels.astype(int), expected, atol=12)


def test_all_frames_as_stored(tmp_path: Path) -> None:
    path = encode_video(tmp_path / "a.mkv", [0, 40, 80, 240, 280, 400], sound_start_ms=160)
    assert len(list(read_frames(path, fps=None))) == 6


def test_frames_are_writable_rgb(tmp_path: Path) -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = 200
    frame = next(read_frames(encode_video(tmp_path / "a.mp4", [0, 40], frames=[red, red])))
    assert frame.dtype == np.uint8
    assert frame.flags.writeable
    np.testing.assert_allclose(frame.astype(int), red, atol=4)


def test_info_before_any_frame_is_decoded(tmp_path: Path) -> None:
    info, _ = read_video(encode_video(tmp_path / "a.mp4", range(0, 800, 40), sound_start_ms=0))
    assert (info.width, info.height, info.has_sound) == (64, 48, True)
    assert info.fps == pytest.approx(25)
    assert info.seconds == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("sound_start_ms", [None, 0, 200])
@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_a_live_recording_states_no_duration_and_is_measured(
    suffix: str, sound_start_ms: int | None, tmp_path: Path
) -> None:
    path = encode_video(tmp_path / "a.mkv", range(200, 3200, 40), sound_start_ms=sound_start_ms, live=True)
    path = path.rename(path.with_suffix(f".{suffix}"))
    with av.open(str(path)) as container:
        assert container.duration is None
    info, frames = read_video(path)
    assert info.seconds == pytest.approx(3.0, abs=0.05)
    assert len(list(frames)) == pytest.approx(75 + (5 if sound_start_ms == 0 else 0), abs=1)


def test_a_picture_that_changes_its_size_midway_keeps_the_first(tmp_path: Path) -> None:
    small = [flat_frame(40)] * 5
    large = [flat_frame(120, height=96, width=128)] * 5
    parts = [
        encode_video(tmp_path / f"{i}.mpg", range(0, 200, 40), frames=frames, codec="mpeg2video")
        for i, frames in enumerate((small, large))
    ]
    path = tmp_path / "a.mpg"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames = list(read_frames(path, fps=None))
    assert {frame.shape for frame in frames} == {(48, 64, 3)}
    assert frames[-1].mean() == pytest.approx(120, abs=8)


def missing(folder: Path) -> Path:
    return folder / "missing.mp4"


def text(folder: Path) -> Path:
    (folder / "notes.mp4").write_text("not a video\n" * 50)
    return folder / "notes.mp4"


def truncated(folder: Path) -> Path:
    path = encode_video(folder / "cut.mp4", range(0, 800, 40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def only_sound(folder: Path) -> Path:
    return encode_sound(folder / "sound.wav", tone_with_onset(), codec="pcm_s16le")


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (missing, FileMissing),
        (text, UnreadableVideo),
        (truncated, UnreadableVideo),
        (only_sound, UnreadableVideo),
        (lambda _: EXAMPLES, FileMissing),
    ],
)
def test_bad_input_is_refused_by_name(make, error, tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(error) as caught:
        read_video(path)
    assert str(path) in str(caught.value)
    with pytest.raises(error):
        next(read_frames(path))
