"""Head poses: fitting undoes placing, motion undoes itself, and the jaw has no say."""

import numpy as np
import pytest
from faces import NAMES, canonical_landmarks, codec, example, poses
from hypothesis import given
from hypothesis import strategies as st

from sonimate.face.canonical import canonical_face, canonical_vertices, mirror_partners
from sonimate.face.pose import (
    JAW_HEIGHT_CM,
    apply_motion,
    fit_pose,
    relative_motion,
    rigid_weights,
    rotation_matrix,
    rotation_vector,
    to_canonical,
    to_image,
)
from sonimate.face.regions import mouth_opening


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_known_poses_are_recovered(rng):
    known = poses(50, rng)
    found = fit_pose(canonical_landmarks(known))
    np.testing.assert_allclose(found.scale, known.scale, rtol=1e-9)
    np.testing.assert_allclose(found.rotation, known.rotation, atol=1e-9)
    np.testing.assert_allclose(found.translation, known.translation, atol=1e-6)


def test_noise_averages_out(rng):
    known = poses(50, rng, turn=0.2)
    noisy = canonical_landmarks(known) + rng.normal(size=(50, 478, 3)) * 0.1 * known.scale[:, None, None]
    found = fit_pose(noisy)
    between = rotation_vector(found.rotation @ np.swapaxes(known.rotation, 1, 2))
    # A millimetre of noise on a face of 15 cm.
    assert np.linalg.norm(between, axis=1).max() < np.radians(1.5)
    np.testing.assert_allclose(found.scale, known.scale, rtol=0.04)


def test_a_reflected_face_still_gets_a_rotation(rng):
    landmarks = canonical_landmarks(poses(5, rng)) * [-1, 1, 1]
    np.testing.assert_allclose(np.linalg.det(fit_pose(landmarks).rotation), 1, atol=1e-9)


def test_canonical_and_image_are_inverse(rng):
    pose = poses(10, rng)
    vertices = rng.normal(size=(10, 478, 3)) * 5
    np.testing.assert_allclose(to_canonical(to_image(vertices, pose), pose), vertices, atol=1e-9)


def test_axes_point_right_up_and_toward_the_viewer(rng):
    upright = fit_pose(example("vigee_lebrun").face.landmarks[None].astype(float))
    assert np.all(np.diag(upright.rotation[0]) > 0.8)
    moved = apply_motion(upright, np.array([[0, 0, 0, 1.0, 1.0, 0]]))
    shift = to_image(canonical_vertices()[None], moved)[0] - to_image(canonical_vertices()[None], upright)[0]
    np.testing.assert_allclose(shift, upright.scale[0] * np.broadcast_to([1, -1, 0], (478, 3)), atol=1e-9)


@pytest.mark.parametrize("turn", [1e-3, 0.3, 1.0])
def test_motion_is_undone_by_applying_it(rng, turn):
    reference, pose = poses(1, rng, turn=turn), poses(40, rng, turn=turn)
    motion = relative_motion(pose, reference)
    again = apply_motion(reference, motion)
    np.testing.assert_allclose(again.rotation, pose.rotation, atol=1e-7)
    np.testing.assert_allclose(again.scale, pose.scale, rtol=1e-12)
    np.testing.assert_allclose(again.translation[:, :2], pose.translation[:, :2], atol=1e-9)
    np.testing.assert_allclose(relative_motion(again, reference), motion, atol=1e-7)
    np.testing.assert_allclose(relative_motion(reference, reference), 0, atol=1e-7)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-8, 1e-4, 0.1, 1.5, 3.0])
def test_rotation_vectors_survive_the_matrix_also_near_zero(rng, angle):
    axes = rng.normal(size=(20, 3))
    vectors = angle * axes / np.linalg.norm(axes, axis=1, keepdims=True)
    matrices = rotation_matrix(vectors)
    np.testing.assert_allclose(
        matrices @ np.swapaxes(matrices, 1, 2), np.eye(3)[None].repeat(20, 0), atol=1e-9
    )
    np.testing.assert_allclose(rotation_vector(matrices), vectors, atol=1e-9, rtol=1e-6)


directions = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda axis: np.linalg.norm(axis) > 0.1)


@given(
    axis=directions | st.sampled_from([(1, 0, 0), (0, -1, 0), (0, 0, 1), (1, 1, 0), (-1, 0, 1)]),
    below_pi=st.sampled_from([0, 1e-15, 1e-9, 1e-6, 1e-3]) | st.floats(0, np.pi),
)
def test_rotations_up_to_half_a_turn_come_back(axis: tuple[float, ...], below_pi: float) -> None:
    unit = np.array([axis]) / np.linalg.norm(axis)
    vector = unit * (np.pi - below_pi)
    matrix = rotation_matrix(vector)
    back = rotation_vector(matrix)
    np.testing.assert_allclose(rotation_matrix(back), matrix, atol=1e-9)
    assert np.linalg.norm(back) == pytest.approx(np.pi - below_pi, abs=1e-8)
    if below_pi > 1e-9:
        np.testing.assert_allclose(back, vector, atol=1e-6)


def test_the_jaw_does_not_move_the_pose(rng):
    known = poses(8, rng)
    jaw = canonical_vertices()[:, 1:2] < JAW_HEIGHT_CM
    dropped = canonical_landmarks(known, jaw * np.array([0.0, -2.5, -1.0]))
    np.testing.assert_allclose(fit_pose(dropped).rotation, known.rotation, atol=1e-9)
    assert rigid_weights().sum() == pytest.approx(1)
    assert (rigid_weights() > 0).sum() >= 10


def test_mouth_opening_is_the_gap_over_the_face_in_any_pose(rng):
    face = canonical_vertices()
    lower = np.isin(np.arange(478), 14)[:, None] * np.array([0.0, -1.5, 0.0])
    height = np.linalg.norm(face[10] - face[152])
    gap = np.linalg.norm(face[13] - face[14] - lower[14])
    np.testing.assert_allclose(mouth_opening(canonical_landmarks(poses(9, rng), lower)), gap / height)


def test_real_mouth_opening_hardly_moves_the_pose(rng):
    """The way in which real faces opened their mouths: the codec's best fit to lips 2 cm apart."""
    lips = codec().basis[:, 13, 1] - codec().basis[:, 14, 1]
    opened = codec().displacement(2.0 * lips[None] / (lips @ lips))[0]
    assert opened[13, 1] - opened[14, 1] == pytest.approx(2.0)
    known = poses(8, rng, turn=0.2)
    found = fit_pose(canonical_landmarks(known, opened))
    between = rotation_vector(found.rotation @ np.swapaxes(known.rotation, 1, 2))
    assert np.linalg.norm(between, axis=1).max() < np.radians(2)
    np.testing.assert_allclose(found.scale, known.scale, rtol=0.02)


def test_mirror_partners_pair_up_and_share_a_height():
    partners = mirror_partners()
    np.testing.assert_array_equal(partners[partners], np.arange(478))
    face = canonical_face().vertices
    np.testing.assert_allclose(face[partners[:468]] * [-1, 1, 1], face, atol=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_partners_of_a_portrait_lie_at_one_height_of_the_head(name):
    landmarks = example(name).face.landmarks[None].astype(float)
    vertices = to_canonical(landmarks, fit_pose(landmarks))[0]
    across = vertices[mirror_partners()] * [-1, 1, 1] - vertices
    assert np.abs(across[:, 1]).mean() < 0.25  # cm
