"""What samples carry: motion buckets, reduced features, gestures; and samples on disk."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faces import canonical_landmarks, codec, poses

import sonimate
from sonimate.errors import OutdatedData
from sonimate.face.canonical import canonical_vertices
from sonimate.face.pose import Pose
from sonimate.face.regions import LOWER_VERMILION, UPPER_VERMILION
from sonimate.features.audio_features import Reducer, ReducerFit, load_reducers, save_reducers
from sonimate.features.face_gestures import LIP_RANGES_CM, FaceGestures, fit_gestures, measure_face
from sonimate.features.motion_samples import MotionSample, load_samples
from sonimate.footage.bucket_labels import EXPRESSION_UNIT, FACE_HEIGHT_CM, HEAD_UNIT, bucket_labels
from sonimate.footage.clip_id import ClipId
from sonimate.footage.sample import rounded

FRAMES = 100
TIME = np.arange(FRAMES) / 25


def head(amplitude_cm: float, scale_px: float = 10.0) -> Pose:
    """A head that sways sideways."""
    sway = scale_px * amplitude_cm * np.sin(2 * np.pi * TIME)[:, None] * np.array([1.0, 0, 0])
    return Pose(np.full(FRAMES, scale_px), np.eye(3)[None].repeat(FRAMES, 0), sway)


def face(amplitude: float) -> np.ndarray:
    """(n, 478, 3) cm: an expression that comes and goes."""
    return amplitude * np.sin(2 * np.pi * TIME)[:, None, None] * codec().basis[0]


def buckets(pose: Pose, expression: np.ndarray) -> np.ndarray:
    return bucket_labels(canonical_landmarks(pose, expression), expression)


def zoom(amplitude: float) -> Pose:
    """A head that comes nearer and goes, by a share of its size."""
    return replace(head(0.0), scale=10.0 * (1 + amplitude * np.sin(2 * np.pi * TIME)))


def nod(amplitude_cm: float) -> Pose:
    """A head that goes up and down."""
    swaying = head(amplitude_cm)
    return replace(swaying, translation=swaying.translation[:, [1, 0, 2]])


def test_a_still_face_has_no_motion():
    """Wherever it is, however it is turned, whatever it expresses: exactly 0, as labels are recorded."""
    assert buckets(head(0.0), face(0.0)).tolist() == [0, 0]
    still = poses(1, np.random.default_rng(3))
    pose = Pose(*(np.repeat(part, FRAMES, 0) for part in (still.scale, still.rotation, still.translation)))
    smiling = np.repeat(face(1.0)[5:6], FRAMES, 0)
    assert rounded(buckets(pose, smiling).tolist()) == [0, 0]


@pytest.mark.parametrize("move", [head, nod, lambda size: zoom(size / 10)], ids=["sideways", "up", "nearer"])
def test_doubling_a_movement_of_the_head_doubles_its_bucket_and_leaves_the_other(move):
    small, large = buckets(move(0.5), face(0.0)), buckets(move(1.0), face(0.0))
    assert large[0] == pytest.approx(2 * small[0], rel=1e-9)
    assert small[0] > 0
    assert small[1] == large[1] == 0


def test_doubling_an_expression_doubles_its_bucket():
    small, large = buckets(head(1.0), face(1.0)), buckets(head(1.0), face(2.0))
    assert large[1] == pytest.approx(2 * small[1], rel=1e-9)
    assert small[1] > 0


def test_the_size_of_the_box_counts_half_as_much_a_coordinate_as_its_place():
    """m_t as its formula has it, of a box that goes and grows at once."""
    both = replace(zoom(0.1), translation=head(1.0).translation)
    points = canonical_landmarks(both, face(0.0))
    box = np.stack([edge(points[..., axis], 1) for axis in (0, 1) for edge in (np.min, np.max)])
    left, right, top, bottom = box
    place = ((left + right) / 2).var() + ((top + bottom) / 2).var()
    size = ((right - left).var() + (bottom - top).var()) / 2
    height = np.median(np.linalg.norm(points[:, 10] - points[:, 152], axis=1))
    expected = np.sqrt(place + size) / height / HEAD_UNIT
    assert buckets(both, face(0.0))[0] == pytest.approx(expected)
    assert size > 0.1 * place


def test_head_and_expression_are_told_apart():
    swaying, talking = buckets(head(1.0), face(0.0)), buckets(head(0.0), face(2.0))
    assert swaying[1] == 0
    assert talking[0] < 0.2 * swaying[0]


def test_buckets_do_not_depend_on_resolution():
    small, large = (buckets(head(1.0, scale), face(1.0)) for scale in (4.0, 40.0))
    np.testing.assert_allclose(small, large)


def test_a_bucket_counts_standard_deviations_in_face_heights():
    height = np.linalg.norm(canonical_vertices()[10] - canonical_vertices()[152])
    assert height == pytest.approx(FACE_HEIGHT_CM, rel=0.02)
    assert buckets(head(1.0), face(0.0))[0] == pytest.approx(np.sqrt(0.5) / height / HEAD_UNIT)
    moved = np.sqrt((codec().basis[0] ** 2).sum(1).mean() / 2)
    assert buckets(head(0.0), face(1.0))[1] == pytest.approx(moved / FACE_HEIGHT_CM / EXPRESSION_UNIT)


@pytest.fixture
def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(12, 12)) * np.geomspace(3, 0.1, 12)
    return rng.normal(size=(500, 12)) @ mixing.T * np.geomspace(0.1, 10, 12) + np.arange(12)


def test_the_reducer_is_a_principal_component_analysis_of_standardised_features(rows):
    fit = ReducerFit(12)
    for part in np.array_split(rows, 7):
        fit.add(part.astype(np.float32))
    reducer = fit.fit(5)
    standardised = (rows - rows.mean(0)) / rows.std(0)
    u, s, _ = np.linalg.svd(standardised, full_matrices=False)
    expected = u[:, :5] * s[:5] / s[0] * np.sqrt(len(rows))
    found = reducer(rows)
    signs = np.sign((found * expected).sum(0))
    np.testing.assert_allclose(found * signs, expected, atol=2e-3)
    assert found[:, 0].std() == pytest.approx(1, abs=1e-3)


def test_reducers_survive_the_disk(tmp_path, rows):
    tokens, buckets_ = (
        Reducer(rows[i].astype(np.float32), rows[i : i + 3].astype(np.float32)) for i in (0, 5)
    )
    save_reducers(tmp_path / "reducers.npz", tokens, buckets_)
    again = load_reducers(tmp_path / "reducers.npz")
    for old, new in zip((tokens, buckets_), again, strict=True):
        np.testing.assert_array_equal(old.mean, new.mean)
        np.testing.assert_array_equal(old.components, new.components)


@pytest.fixture(scope="module")
def gestures() -> FaceGestures:
    """Fitted on three people whose faces move at random in all ways that the basis knows."""
    rng = np.random.default_rng(1)
    count = len(codec().basis)
    spread = 1.5 / np.arange(1, count + 1) ** 0.5
    people = [rng.normal(size=(400, count)) * spread + 0.3 * rng.normal(size=count) for _ in range(3)]
    return fit_gestures(codec(), [canonical_vertices() + codec().displacement(person) for person in people])


def act(
    gestures: FaceGestures, *, opened: float = 0.0, blink: float = 0.0, lid_gap: float = 0.8
) -> np.ndarray:
    """Measures (9,) in cm that a gesture changes."""
    mouth = np.zeros((1, 7))
    mouth[0, 0] = opened
    moved = gestures.expression(mouth, np.array([blink]), np.zeros(1), np.zeros((1, 2)), lid_gap)
    faces = canonical_vertices() + np.concatenate([np.zeros((1, 478, 3)), codec().displacement(moved)])
    rest, changed = measure_face(faces)
    return changed - rest


def test_activation_one_opens_the_mouth_by_its_range(gestures):
    assert act(gestures, opened=1.0)[0] == pytest.approx(LIP_RANGES_CM["gap"], rel=0.15)
    np.testing.assert_allclose(act(gestures, opened=0.5), act(gestures, opened=1.0) / 2, atol=1e-9)
    np.testing.assert_allclose(act(gestures), 0, atol=1e-12)


def test_a_blink_closes_the_lids_and_nothing_else(gestures):
    change = act(gestures, blink=1.0, lid_gap=0.8)
    assert change[5] == pytest.approx(-0.8, rel=0.15)
    assert np.abs(np.delete(change, 5)).max() < 0.1


def test_neutral_faces_have_closed_lips_and_open_eyes(gestures):
    assert gestures.neutrals.shape == (3, len(codec().basis))
    measured = measure_face(canonical_vertices() + codec().displacement(gestures.neutrals))
    np.testing.assert_allclose(measured[:, 0], 0, atol=0.05)
    assert measured[:, 5].min() > 0.7 * measure_face(canonical_vertices()[None])[0, 5]
    assert gestures.lid_gap.min() > 0


def test_pressing_thins_the_lips_and_tucking_takes_the_lower_one_up_and_in(gestures):
    pressed, tucked = codec().displacement(np.stack([gestures.press, gestures.tuck]))
    upper_lip, lower_lip = list(UPPER_VERMILION), list(LOWER_VERMILION)
    assert pressed[lower_lip, 1].mean() > pressed[upper_lip, 1].mean() + 0.05
    assert tucked[lower_lip, 1].mean() > 0.05
    assert tucked[lower_lip, 2].mean() < 0


def sample(clip_id: ClipId) -> MotionSample:
    rng = np.random.default_rng(2)
    pose = poses(30, rng)
    return MotionSample(
        clip_id,
        "someone",
        "real",
        rng.normal(size=(30, 32)),
        pose,
        token_rows=rng.normal(size=(60, 8)).astype(np.float16),
        bucket_rows=rng.normal(size=(60, 4)).astype(np.float16),
        buckets=np.array([12.0, 30.0]),
    )


def test_variances_are_cited_where_the_paper_defines_them():
    """Section 3.2 does; equations 3 and 4 are the embedding of the buckets and the rescaling by beta."""
    assert "section 3.2" in str(bucket_labels.__doc__)
    package = Path(sonimate.__file__).parent
    wrong = re.compile(r"eq(s?\.|uations?) ?\(?[34]", re.IGNORECASE)
    assert not [path.name for path in package.rglob("*.py") if wrong.search(path.read_text(encoding="utf-8"))]


def test_samples_survive_the_disk_in_the_order_of_clips_whatever_their_names(tmp_path):
    """Names that look alike, or like an unfinished file, are names as any other."""
    clips = [ClipId("a.partial.mp4"), ClipId("a/b.mp4"), ClipId("a/b.mp4", 9, 0.9, 1), ClipId("a_b.mp4")]
    for clip_id in reversed(clips):
        sample(clip_id).save(tmp_path)
    (tmp_path / ".torn.npz.77-0123.part").write_bytes(b"half a file")
    first, *_ = loaded = load_samples(tmp_path)
    assert [some.clip_id for some in loaded] == clips
    expected = sample(clips[0])
    for name in vars(expected).keys() - {"pose"}:
        np.testing.assert_array_equal(getattr(first, name), getattr(expected, name))
    for name, array in vars(expected.pose).items():
        np.testing.assert_array_equal(getattr(first.pose, name), array)
    assert isinstance(first.speaker, str)


def test_samples_of_an_earlier_version_are_refused(tmp_path):
    np.savez(tmp_path / "a.mp4#000000@1.0v0.npz", name="a.mp4#000000@1.0v0", speaker="a", source="real")
    with pytest.raises(OutdatedData, match="earlier version"):
        load_samples(tmp_path)
