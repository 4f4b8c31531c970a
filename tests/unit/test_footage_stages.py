"""Stages of data preparation on samples whose faults are known: each rejects what only it can fault."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from av.error import InvalidDataError
from faces import canonical_landmarks, example, poses

from sonimate.clock import SAMPLES_PER_VIDEO_FRAME
from sonimate.errors import OutputNotWritable, UnreadableVideo, UnusableClip
from sonimate.face.mesh import landmark_box
from sonimate.face.pose import Pose, rotation_matrix
from sonimate.face.tracking import fill_gaps, stack_landmarks
from sonimate.footage import quality
from sonimate.footage.bucket_labels import label_buckets
from sonimate.footage.data_card import count_stages
from sonimate.footage.prepare_stages import STAGES
from sonimate.footage.probe import probe
from sonimate.footage.quality import gate_quality, head_angles
from sonimate.footage.sample import Sample, each, rounded
from sonimate.footage.shots import MAX_FRAMES, detect_shots, shot_bounds
from sonimate.footage.sources import ForwardReader
from sonimate.footage.square_crop import add_face_box, square_box
from sonimate.footage.sync import MAX_OFFSET_FRAMES, gate_sync, mouth_lag
from sonimate.footage.tracks import count_rivals, face_sharpness, split_tracks
from sonimate.footage.voice_activity import gate_speech, levels, pause_ratio
from sonimate.media.audio import Sound
from sonimate.media.video import VideoInfo
from sonimate.types import Face

FRAMES = 75
RATE_HZ = 16_000
MOVING = (14, 87, 317, 178, 402)
CLEAN = {
    "face_height_px": 180.0,
    "lost_share": 0.0,
    "median_presence": 1.0,
    "sharpness": 0.3,
    "rival_share": 0.0,
}


def noise_with(envelope: np.ndarray) -> np.ndarray:
    """Noise whose loudness follows an envelope (n,) at 25 values a second: float32 samples at 16 kHz."""
    loudness = np.interp(np.arange(len(envelope) * 640) / 640, np.arange(len(envelope)), envelope)
    return (0.2 * loudness * np.random.default_rng(0).normal(size=len(loudness))).astype(np.float32)


def syllables(frames: int = FRAMES, *, rate_hz: float = 4.0, seed: int = 3) -> np.ndarray:
    """Bursts of changing strength, each followed by a pause: (frames,) in [0, 1]."""
    knots = np.arange(0, frames + 6, 6)
    strength = np.interp(np.arange(frames), knots, np.random.default_rng(seed).random(len(knots)))
    return strength * np.clip(np.sin(2 * np.pi * rate_hz * np.arange(frames) / 25), 0, None)


def talking_landmarks(frames: int = FRAMES) -> np.ndarray:
    """A head that nods a little while its lower lip moves up and down."""
    wave = np.sin(np.arange(frames) / 12)[:, None]
    still = poses(1, np.random.default_rng(1), turn=0.05)
    sway = wave * np.array([[3.0, 2.0, 0]]) + [200, 200, 0]
    pose = Pose(np.repeat(still.scale, frames), np.repeat(still.rotation, frames, 0), sway * [1, -1, 1])
    lower = np.isin(np.arange(478), MOVING)[:, None] * np.array([0.0, -1.0, 0.0])
    return canonical_landmarks(pose, syllables(frames)[:, None, None] * lower).astype(np.float32)


@pytest.fixture
def talking(tmp_path: Path) -> Sample:
    """A tracked clip that every gate lets pass."""
    sample = Sample(
        name="a/clip.mp4", source=tmp_path / "clip.mp4", speaker="someone", folder=tmp_path, count=FRAMES
    )
    np.save(sample.path(".landmarks.npy"), talking_landmarks())
    noise_with(syllables()).tofile(sample.sound_file)
    return sample.with_facts("tracks", **CLEAN)


def only(samples: Iterator[Sample]) -> Sample:
    (sample,) = samples
    return sample


def judged(sample: Sample) -> Sample:
    """Through quality, speech and sync, where the mouth expected is the sound's loudness."""

    def loudness(samples: np.ndarray) -> np.ndarray:
        return np.abs(samples.reshape(-1, SAMPLES_PER_VIDEO_FRAME)).mean(1)

    return only(gate_sync(gate_speech(gate_quality(iter([sample]), min_face_px=96)), predict=loudness))


def tracked(sample: Sample, **facts: float) -> Sample:
    return sample.with_facts("tracks", **{**CLEAN, **facts})


def landmarks_as(sample: Sample, landmarks: np.ndarray) -> Sample:
    np.save(sample.path(".landmarks.npy"), landmarks)
    return sample


def sound_as(sample: Sample, samples: np.ndarray) -> Sample:
    samples.astype(np.float32).tofile(sample.sound_file)
    return sample


def turned(sample: Sample, vector: list[float]) -> Sample:
    landmarks = sample.landmarks()
    rotation = rotation_matrix(np.array([vector]))[0]
    centre = landmarks[:, :468].mean((0, 1))
    return landmarks_as(sample, (landmarks - centre) @ rotation.T + centre)


def mute_mouth(sample: Sample) -> Sample:
    landmarks = sample.landmarks()
    landmarks[:, MOVING] = landmarks[:, (13, 82, 312, 81, 311)]
    return landmarks_as(sample, landmarks)


FAULTS = {
    "too short": lambda s: landmarks_as(replace(s, count=40), s.landmarks()[:40]),
    "face lost": lambda s: tracked(s, lost_share=0.03),
    "face unclear": lambda s: tracked(s, median_presence=0.8),
    "face too small": lambda s: tracked(s, face_height_px=60.0),
    "blurred": lambda s: tracked(s, sharpness=0.05),
    "more than one person": lambda s: tracked(s, rival_share=0.5),
    "turned away": lambda s: turned(s, [0.0, 0.9, 0.0]),
    "tilted": lambda s: turned(s, [0.7, 0.0, 0.0]),
    "mouth does not move": mute_mouth,
    "silence": lambda s: sound_as(s, noise_with(syllables()) * 0.001),
    "music": lambda s: sound_as(s, noise_with(np.ones(FRAMES))),
    "sound does not move with the mouth": lambda s: sound_as(s, noise_with(syllables(rate_hz=2.7, seed=4))),
    "sound and mouth at different times": lambda s: sound_as(s, noise_with(np.roll(syllables(), 8))),
}


def test_a_talking_clip_passes_and_keeps_its_figures(talking):
    passed = judged(talking)
    assert passed.rejection is None
    assert passed.facts["sync"]["offset_frames"] == 0
    assert abs(passed.facts["quality"]["yaw_median_degrees"]) < 10
    assert passed.facts["speech"]["pause_ratio"] > 0.3


@pytest.mark.parametrize("reason", FAULTS)
def test_each_fault_is_told_by_name(talking, reason):
    rejection = judged(FAULTS[reason](talking)).rejection
    assert rejection is not None
    assert rejection.reason == reason
    assert rejection.detail


def test_rejected_samples_flow_on_untouched(talking):
    rejected = talking.rejected("tracks", "no face")
    assert judged(rejected) is rejected
    assert only(label_buckets(add_face_box(iter([rejected])))) is rejected


def test_an_error_in_one_file_rejects_it_and_stops_nothing(talking):
    def work(sample: Sample) -> Iterator[Sample]:
        if sample.start:
            raise UnreadableVideo(f"{sample.source} is torn")
        yield sample

    good, torn = each("probe", work, iter([talking, replace(talking, start=1)]))
    assert good.rejection is None
    assert torn.rejection is not None
    assert (torn.rejection.reason, torn.rejection.detail) == ("UnreadableVideo", "a/clip.mp4 is torn")


LIBRARY_ERRORS = {
    "av.error.InvalidDataError": InvalidDataError(1094995529, "Invalid data"),
    "OSError": OSError(5, "Input/output error"),
    "ValueError": ValueError("Conversion from format\n`x` is not supported"),
    "ZeroDivisionError": ZeroDivisionError("no frame rate"),
}


@pytest.mark.parametrize("name", LIBRARY_ERRORS)
@pytest.mark.parametrize("reader", ["shots", "sources"])
def test_a_file_in_which_a_library_fails_midway_is_rejected_by_the_exceptions_name(
    talking, monkeypatch, reader, name
):
    def torn(*_: object, **__: object) -> Iterator[np.ndarray]:
        yield from shots(3)
        raise LIBRARY_ERRORS[name]

    def read(sample: Sample) -> Iterator[Sample]:
        list(ForwardReader().read(sample.source, 0, FRAMES))
        yield sample

    monkeypatch.setattr(f"sonimate.footage.{reader}.read_frames", torn)
    samples = iter([talking])
    rejection = only(detect_shots(samples) if reader == "shots" else each("tracks", read, samples)).rejection
    assert rejection is not None
    assert rejection.reason == name
    assert "\n" not in rejection.detail


def test_sound_in_which_a_library_fails_midway_rejects_its_file(talking, monkeypatch):
    def blocks() -> Iterator[np.ndarray]:
        yield np.zeros((RATE_HZ, 1), np.float32)
        raise ValueError("channels changed")

    info = VideoInfo(320, 240, 25.0, 3.0, 0.0, True)
    monkeypatch.setattr("sonimate.footage.probe.read_video", lambda *_, **__: (info, iter(())))
    monkeypatch.setattr("sonimate.footage.probe.stream_sound", lambda *_, **__: Sound(blocks(), RATE_HZ, 1))
    rejection = only(probe(iter([talking]))).rejection
    assert rejection is not None
    assert rejection.reason == "ValueError"


def test_a_picture_that_opencv_cannot_take_rejects_its_file(talking):
    def work(sample: Sample) -> Iterator[Sample]:
        cv2.resize(np.empty((0, 0, 3), np.uint8), (4, 4))
        yield sample

    rejection = only(each("crop", work, iter([talking]))).rejection
    assert rejection is not None
    assert rejection.reason == "cv2.error"


@pytest.mark.parametrize("fault", [ValueError("of ours"), OSError(28, "No space left on device")])
def test_what_is_not_the_files_fault_stops_everything(talking, fault):
    def work(sample: Sample) -> Iterator[Sample]:
        raise fault
        yield sample

    with pytest.raises(type(fault), match=str(fault.args[-1])):
        list(each("crop", work, iter([talking])))


def test_a_full_disk_ends_the_run_and_rejects_no_sample(talking):
    def work(sample: Sample) -> Iterator[Sample]:
        raise OutputNotWritable("No space left on device")
        yield sample

    with pytest.raises(OutputNotWritable):
        list(each("crop", work, iter([talking])))


def test_the_documentation_lists_the_stages_in_their_order():
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    table = page.partition("| stage | does | rejects |\n")[2].partition("\n\n")[0]
    rows = [row.split("|")[1].strip() for row in table.splitlines()[1:]]
    assert rows == [stage.name for stage in STAGES]


def test_the_report_counts_every_stage_in_its_order(talking):
    records = [talking.rejected(stage.name, "bad").record() for stage in STAGES]
    counts = count_stages(records)
    assert [count.stage for count in counts] == [stage.name for stage in STAGES]
    assert [count.entered for count in counts] == list(range(len(STAGES), 0, -1))
    assert all(count.reasons == {"bad": 1} for count in counts)


def test_records_hold_no_paths_and_few_digits(talking):
    record = judged(talking).record()
    assert str(talking.folder) not in str(record)
    assert rounded({"a": [1 / 3, 2], "b": "c"}) == {"a": [0.3333, 2], "b": "c"}


def test_sound_ends_in_silence_where_the_file_has_none(talking):
    sound = replace(talking, start=70, count=10).sound()
    assert len(sound) == 10 * SAMPLES_PER_VIDEO_FRAME
    assert not sound[5 * SAMPLES_PER_VIDEO_FRAME :].any()
    np.testing.assert_array_equal(
        sound[: 5 * SAMPLES_PER_VIDEO_FRAME], talking.sound()[-5 * SAMPLES_PER_VIDEO_FRAME :]
    )


@pytest.mark.parametrize("late", range(-MAX_OFFSET_FRAMES - 2, MAX_OFFSET_FRAMES + 3))
def test_the_offset_is_how_late_the_mouth_is(late):
    curve = np.random.default_rng(0).normal(size=120)
    found = mouth_lag(np.roll(curve, late)[20:100], curve[20:100])
    assert found.frames == late
    assert found.r == pytest.approx(1)


def test_the_lag_depends_neither_on_level_nor_on_scale():
    one, other = np.random.default_rng(1).normal(size=(2, 80))
    found = mouth_lag(5 * one + 2, 0.1 * other - 4)
    assert found.r == pytest.approx(mouth_lag(one, other).r)
    assert mouth_lag(np.ones(80), other).r == 0


def test_speech_pauses_and_music_does_not():
    voice = pause_ratio(levels(noise_with(syllables(100))))
    tone = pause_ratio(levels(np.sin(np.arange(4 * RATE_HZ) / 5)))
    assert voice > 0.3
    assert tone == 0
    assert pause_ratio(levels(3 * noise_with(syllables(100)))) == pytest.approx(voice, abs=0.02)


def test_levels_are_root_mean_squares_of_20_ms():
    np.testing.assert_allclose(levels(np.repeat([0.5, -0.25], 320)), [0.5, 0.25], atol=1e-5)


def test_head_angles_are_those_the_head_was_turned_by():
    for axis, column in ((1, 0), (0, 1), (2, 2)):
        vectors = np.zeros((3, 3))
        vectors[:, axis] = [-0.5, 0.0, 0.7]
        expected = np.zeros((3, 3))
        expected[:, column] = [-0.5, 0.0, 0.7]
        np.testing.assert_allclose(head_angles(rotation_matrix(vectors)), expected, atol=1e-9)


def face_at(x: float, size: float = 1.0) -> Face:
    landmarks = talking_landmarks(1)[0] * size + [x, 0, 0]
    return Face(landmark_box(landmarks), landmarks.astype(np.float32), 1.0)


def test_a_track_ends_at_long_gaps_and_jumps():
    here, there = face_at(0), face_at(400)
    faces = [None, *[here] * 10, *[None] * 4, *[here] * 10, *[None] * 9, *[here] * 5, *[there] * 7, None]
    assert split_tracks(faces) == [(1, 25), (34, 39), (39, 46)]
    assert split_tracks([None] * 5) == []


def test_rivals_are_other_faces_large_enough_to_speak():
    face = face_at(0)
    assert count_rivals(face, [face, face_at(3)]) == 0
    assert count_rivals(face, [face, face_at(600), face_at(900)]) == 2
    assert count_rivals(face, [face_at(900, size=0.3)]) == 0


def test_sharpness_falls_with_blur_and_not_with_contrast():
    portrait = example("obama")
    sharp = face_sharpness(portrait.pixels, portrait.face)
    dim = face_sharpness((portrait.pixels // 2 + 40).astype(np.uint8), portrait.face)
    blurred = [
        face_sharpness(cv2.GaussianBlur(portrait.pixels, (0, 0), sigma), portrait.face) for sigma in (1, 2, 4)
    ]
    assert dim == pytest.approx(sharp, rel=0.1)
    assert all(before > after for before, after in pairwise([sharp, *blurred]))
    assert blurred[-1] < quality.MIN_SHARPNESS < sharp


def test_gaps_are_filled_along_a_line():
    moving = np.arange(10.0)[:, None, None] * np.ones((1, 478, 3))
    gappy = moving.copy()
    gappy[[0, 3, 4, 9]] = np.nan
    expected = moving.copy()
    expected[0], expected[9] = moving[1], moving[8]
    np.testing.assert_allclose(fill_gaps(gappy), expected)
    assert np.isnan(gappy[3]).all()
    assert fill_gaps(moving) is moving
    assert np.isnan(stack_landmarks([None, face_at(0)])[0]).all()


def shots(*lengths: int) -> Iterator[np.ndarray]:
    """Pictures of random texture that drift, another for each shot."""
    rng = np.random.default_rng(5)
    for length in lengths:
        texture = cv2.resize(rng.integers(0, 255, (12, 20, 3), np.uint8), (400, 240))
        yield from (np.ascontiguousarray(np.roll(texture, index, 1)[:, :320]) for index in range(length))


def test_shots_begin_at_cuts_and_nowhere_else():
    assert shot_bounds(shots(30, 12, 40)) == [0, 30, 42, 82]
    assert shot_bounds(shots(50)) == [0, 50]


def test_noise_in_the_dark_is_no_cut():
    """A nearly black picture whose noise turns from blue to red; as bright as day, that is a cut."""
    rng = np.random.default_rng(6)

    def frames(level: int) -> Iterator[np.ndarray]:
        for index in range(40):
            noise = rng.integers(0, 2, (120, 160, 3), np.uint8)
            noise[..., 2 if index < 20 else 0] += level
            yield noise

    assert shot_bounds(frames(6)) == [0, 40]
    assert shot_bounds(frames(200)) == [0, 20, 40]


def test_long_shots_are_cut_into_equal_parts(talking, monkeypatch):
    monkeypatch.setattr("sonimate.footage.shots.read_frames", lambda *_, **__: shots(2 * MAX_FRAMES + 2))
    parts = list(detect_shots(iter([talking])))
    assert [part.start for part in parts] == [0, 1000, 2001]
    assert sum(part.count for part in parts) == 2 * MAX_FRAMES + 2


def test_the_crop_is_square_and_inside():
    for face in ((100, 50, 200, 190), (0, 0, 90, 120), (250, 100, 320, 240)):
        x0, y0, x1, y1 = square_box(face, width=320, height=240)
        assert x1 - x0 == y1 - y0 > 0
        assert min(x0, y0) >= 0
        assert x1 <= 320
        assert y1 <= 240
    with pytest.raises(UnusableClip):
        square_box((0, 0, 0, 0), width=320, height=240)


def test_the_face_box_holds_the_face_in_every_frame(talking):
    boxed = only(add_face_box(iter([talking])))
    x0, y0, x1, y1 = boxed.facts["face_box"]["box"]
    points = talking.landmarks()[..., :2]
    np.testing.assert_allclose([x0, y0, x1, y1], [*points.min((0, 1)), *points.max((0, 1))])


def test_clips_that_move_too_much_are_dropped(talking):
    calm = only(label_buckets(iter([talking])))
    assert calm.rejection is None
    landmarks = talking.landmarks()
    landmarks[:, :, 0] += 400 * np.sin(np.arange(FRAMES) / 5)[:, None]
    wild = only(label_buckets(iter([landmarks_as(talking, landmarks)])))
    assert wild.rejection is not None
    assert wild.rejection.reason == "moves too much"
    assert wild.facts["buckets"]["head"] > 128 > calm.facts["buckets"]["head"] > 0
