"""Stages of data preparation on samples whose faults are known: each rejects the fault that it looks for."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from av.error import InvalidDataError
from talking_clips import FRAMES, MOVING, noise_with, syllables, talking_landmarks

from sonimate.clock import SAMPLE_RATE_HZ, SAMPLES_PER_VIDEO_FRAME
from sonimate.errors import OutputNotWritable, UnreadableVideo
from sonimate.face.pose import rotation_matrix
from sonimate.footage.bucket_labels import label_buckets
from sonimate.footage.prepare_report import count_stages
from sonimate.footage.prepare_stages import STAGES
from sonimate.footage.probe import probe
from sonimate.footage.quality import gate_quality
from sonimate.footage.sample import Sample, rounded, run_stage
from sonimate.footage.shots import MAX_FRAMES, detect_shots
from sonimate.footage.sources import ForwardReader
from sonimate.footage.square_crop import add_face_box
from sonimate.footage.sync import measure_sync
from sonimate.footage.voice_activity import gate_speech
from sonimate.media.audio import Sound
from sonimate.media.video import VideoInfo

HALF_FRAME_MS = 20
"""The mean level of a frame's sound is that of the frame's middle; the picture is that of its beginning."""
CLEAN = {
    "face_height_px": 180.0,
    "lost_share": 0.0,
    "median_presence": 1.0,
    "sharpness": 0.3,
    "rival_share": 0.0,
}


@pytest.fixture
def talking(tmp_path: Path) -> Sample:
    """A tracked clip that every stage accepts."""
    sample = Sample(
        name="a/clip.mp4", source=tmp_path / "clip.mp4", speaker="someone", folder=tmp_path, count=FRAMES
    )
    np.save(sample.path(".landmarks.npy"), talking_landmarks())
    noise_with(syllables()).tofile(sample.sound_file)
    return sample.with_facts("tracks", **CLEAN)


def only(samples: Iterable[Sample]) -> Sample:
    (sample,) = samples
    return sample


def judged(sample: Sample) -> Sample:
    """Through quality, speech and sync, where the predicted opening is the loudness."""

    def loudness(samples: np.ndarray) -> np.ndarray:
        return np.abs(samples.reshape(-1, SAMPLES_PER_VIDEO_FRAME)).mean(1)

    stages = {
        "quality": partial(gate_quality, min_face_px=96),
        "speech": gate_speech,
        "sync": partial(measure_sync, predict=loudness),
    }
    samples: Iterable[Sample] = [sample]
    for name, stage in stages.items():
        samples = run_stage(name, stage, samples)
    return only(samples)


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
}


def test_a_talking_clip_passes_and_keeps_its_figures(talking):
    passed = judged(talking)
    assert passed.rejection is None
    assert passed.facts["sync"]["lag_ms"] == pytest.approx(HALF_FRAME_MS, abs=2)
    assert abs(passed.facts["quality"]["yaw_median_degrees"]) < 10
    assert passed.facts["speech"]["pause_ratio"] > 0.3


def test_a_shifted_sound_passes_with_its_lag(talking):
    passed = judged(sound_as(talking, noise_with(np.roll(syllables(), 8))))
    assert passed.rejection is None
    assert passed.facts["sync"]["lag_ms"] == pytest.approx(HALF_FRAME_MS - 320, abs=5)


@pytest.mark.parametrize("reason", FAULTS)
def test_each_fault_is_rejected_with_its_reason(talking, reason):
    rejection = judged(FAULTS[reason](talking)).rejection
    assert rejection is not None
    assert rejection.reason == reason
    assert rejection.detail


def test_rejected_samples_are_passed_on_unchanged(talking):
    rejected = talking.rejected("tracks", "no face")
    assert judged(rejected) is rejected
    assert only(run_stage("face_box", add_face_box, [rejected])) is rejected


def test_an_error_in_one_file_rejects_it_and_stops_nothing(talking):
    def work(sample: Sample) -> Iterator[Sample]:
        if sample.start:
            raise UnreadableVideo(f"{sample.source} is torn")
        yield sample

    good, torn = run_stage("probe", work, [talking, replace(talking, start=1)])
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
    stage = detect_shots if reader == "shots" else read
    rejection = only(run_stage("shots", stage, [talking])).rejection
    assert rejection is not None
    assert rejection.reason == name
    assert "\n" not in rejection.detail


def test_sound_in_which_a_library_fails_midway_rejects_its_file(talking, monkeypatch):
    def blocks() -> Iterator[np.ndarray]:
        yield np.zeros((SAMPLE_RATE_HZ, 1), np.float32)
        raise ValueError("channels changed")

    info = VideoInfo(320, 240, 25.0, 3.0, 0.0, True)
    monkeypatch.setattr("sonimate.footage.probe.read_video", lambda *_, **__: (info, iter(())))
    sound = Sound(blocks(), SAMPLE_RATE_HZ, 1)
    monkeypatch.setattr("sonimate.footage.probe.stream_sound", lambda *_, **__: sound)
    rejection = only(run_stage("probe", probe, [talking])).rejection
    assert rejection is not None
    assert rejection.reason == "ValueError"


def test_a_picture_that_opencv_cannot_take_rejects_its_file(talking):
    def work(sample: Sample) -> Iterator[Sample]:
        cv2.resize(np.empty((0, 0, 3), np.uint8), (4, 4))
        yield sample

    rejection = only(run_stage("crop", work, [talking])).rejection
    assert rejection is not None
    assert rejection.reason == "cv2.error"


@pytest.mark.parametrize("fault", [ValueError("a defect"), OSError(28, "No space left on device")])
def test_defects_and_full_disks_end_the_run(talking, fault):
    def work(sample: Sample) -> Iterator[Sample]:
        raise fault
        yield sample

    with pytest.raises(type(fault), match=str(fault.args[-1])):
        list(run_stage("crop", work, [talking]))


def test_a_full_disk_ends_the_run_and_rejects_no_sample(talking):
    def work(sample: Sample) -> Iterator[Sample]:
        raise OutputNotWritable("No space left on device")
        yield sample

    with pytest.raises(OutputNotWritable):
        list(run_stage("crop", work, [talking]))


def test_the_documentation_lists_the_stages_in_their_order():
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    table = page.partition("| stage | does | rejects |\n")[2].partition("\n\n")[0]
    rows = [row.split("|")[1].strip() for row in table.splitlines()[1:]]
    assert rows == list(STAGES)


def test_the_report_counts_every_stage_in_its_order(talking):
    records = [talking.rejected(stage, "bad").record() for stage in STAGES]
    counts = count_stages(records)
    assert [count.stage for count in counts] == list(STAGES)
    assert [count.entered for count in counts] == list(range(len(STAGES), 0, -1))
    assert all(count.reasons == {"bad": 1} for count in counts)


def test_records_hold_no_paths_and_few_digits(talking):
    record = judged(talking).record()
    assert str(talking.folder) not in str(record)
    assert rounded({"a": [1 / 3, 2], "b": "c"}) == {"a": [0.3333, 2], "b": "c"}


def test_sound_ends_in_silence_where_the_file_has_none(talking):
    around = replace(talking, start=2, count=10).sound(margin_frames=4)
    assert not around[: 2 * SAMPLES_PER_VIDEO_FRAME].any()
    np.testing.assert_array_equal(
        around[2 * SAMPLES_PER_VIDEO_FRAME :], talking.sound()[: 16 * SAMPLES_PER_VIDEO_FRAME]
    )
    sound = replace(talking, start=70, count=10).sound()
    assert len(sound) == 10 * SAMPLES_PER_VIDEO_FRAME
    assert not sound[5 * SAMPLES_PER_VIDEO_FRAME :].any()
    np.testing.assert_array_equal(
        sound[: 5 * SAMPLES_PER_VIDEO_FRAME], talking.sound()[-5 * SAMPLES_PER_VIDEO_FRAME :]
    )


def shots(*lengths: int) -> Iterator[np.ndarray]:
    """Pictures of random texture that drift, another for each shot."""
    rng = np.random.default_rng(5)
    for length in lengths:
        texture = cv2.resize(rng.integers(0, 255, (12, 20, 3), np.uint8), (400, 240))
        yield from (np.ascontiguousarray(np.roll(texture, index, 1)[:, :320]) for index in range(length))


def test_long_shots_are_cut_into_equal_parts(talking, monkeypatch):
    monkeypatch.setattr("sonimate.footage.shots.read_frames", lambda *_, **__: shots(2 * MAX_FRAMES + 2))
    parts = list(detect_shots(talking))
    assert [part.start for part in parts] == [0, 1000, 2001]
    assert sum(part.count for part in parts) == 2 * MAX_FRAMES + 2


def test_the_face_box_holds_the_face_in_every_frame(talking):
    boxed = only(add_face_box(talking))
    x0, y0, x1, y1 = boxed.facts["face_box"]["box"]
    points = talking.landmarks()[..., :2]
    np.testing.assert_allclose([x0, y0, x1, y1], [*points.min((0, 1)), *points.max((0, 1))])


def test_clips_that_move_too_much_are_dropped(talking):
    calm = only(label_buckets(talking))
    assert calm.rejection is None
    landmarks = talking.landmarks()
    landmarks[:, :, 0] += 400 * np.sin(np.arange(FRAMES) / 5)[:, None]
    wild = only(label_buckets(landmarks_as(talking, landmarks)))
    assert wild.rejection is not None
    assert wild.rejection.reason == "moves too much"
    assert wild.facts["buckets"]["head"] > 128 > calm.facts["buckets"]["head"] > 0
