"""The compact codec: what goes into latents comes out again, on a grid where a map can part the lips."""

import numpy as np
import pytest
import torch
from faces import NAMES, canonical_landmarks, codec, encode, example, poses

from sonimate.checkpoints.store import load_mesh_codec, save_mesh_codec
from sonimate.codecs.mesh.codec import FARTHEST_CM
from sonimate.codecs.mesh.face_map import GRID, bilinear_matrix, layout_mask, vertices_to_grid
from sonimate.codecs.mesh.fitting import fit_codec
from sonimate.codecs.mesh.motion import Motion, smooth
from sonimate.configs import DecodeOptions
from sonimate.evaluate.face_curves import shape_curves
from sonimate.face.canonical import canonical_vertices
from sonimate.face.pose import relative_motion, to_image
from sonimate.face.regions import LEFT_BROW, LEFT_UPPER_LID, RIGHT_BROW, RIGHT_UPPER_LID

EXPRESSION_CHANNELS = 12


def spread(count: int) -> np.ndarray:
    """Standard deviations in cm of coefficients in real speech: 3 for the first, falling off as 1 / k."""
    return 3 / np.arange(1, count + 1) ** 0.8


@pytest.fixture
def motion() -> Motion:
    rng = np.random.default_rng(0)
    components = len(codec().basis)
    expression = rng.normal(size=(40, components)) * spread(components)
    return Motion(expression, rng.normal(size=(40, 6)) * codec().motion_std)


def by_frame(latents: torch.Tensor) -> torch.Tensor:
    """Latents (n, 36, 8, 8), of two frames each -> (2 n, 18, 8, 8)."""
    return latents.reshape(-1, 18, 8, 8)


def gap(coefficients: np.ndarray) -> np.ndarray:
    """Change (n,) in cm of the inner lips' distance."""
    moved = codec().displacement(coefficients)
    return moved[:, 13, 1] - moved[:, 14, 1]


def test_latents_hold_motion(motion):
    again = codec().from_latents(codec().to_latents(motion))
    np.testing.assert_allclose(again.head, motion.head, atol=1e-5)
    error = (again.expression - motion.expression).std(0) / motion.expression.std(0)
    assert error.max() < 0.02


def test_lip_motion_survives(motion):
    again = gap(codec().from_latents(codec().to_latents(motion)).expression)
    kept = again @ gap(motion.expression) / (gap(motion.expression) @ gap(motion.expression))
    assert 0.9 < kept < 1.1
    assert (again - gap(motion.expression)).std() < 0.1 * gap(motion.expression).std()


def test_a_mouth_at_rest_is_closed_while_lids_brows_and_head_move(motion):
    latents = codec().to_latents(motion)
    frames = round(25 / codec().latent_fps) * len(latents)
    moved = codec().from_latents(latents)
    still = codec().from_latents(codec().rest_mouth(latents, np.zeros(frames)))
    half = codec().from_latents(codec().rest_mouth(latents, np.full(frames, 0.5)))
    assert gap(still.expression).std() < 0.1 * gap(moved.expression).std()
    assert gap(half.expression).std() == pytest.approx(0.5 * gap(moved.expression).std(), rel=0.1)
    before, after = (codec().displacement(each.expression)[..., 1] for each in (moved, still))
    for vertex in (RIGHT_UPPER_LID, LEFT_UPPER_LID, RIGHT_BROW, LEFT_BROW):
        assert (after - before)[:, vertex].std() < 0.35 * before[:, vertex].std()
    np.testing.assert_allclose(still.head, moved.head - moved.head.mean(0), atol=1e-5)


@pytest.mark.parametrize("fps", [12.5, 25.0, 50.0])
def test_latents_carry_the_tongue_to_the_frames(fps):
    warp = codec().encode_reference(example("mona_lisa", 256)).context
    latents = torch.zeros(20, *codec().latent_shape)
    tongue = np.zeros((30, 2))
    tongue[10:16] = 1.0, 0.5
    moved = codec().motion(codec().with_tongue(latents, tongue), warp, DecodeOptions(fps=fps))
    assert codec().motion(latents, warp, DecodeOptions(fps=fps)).tongue is None
    assert moved.tongue is not None
    assert len(moved.tongue) == len(moved.head)
    shown = moved.tongue[round(12 * fps / 25)]
    np.testing.assert_allclose(shown, [1.0, 0.5], atol=0.03)
    assert np.abs(moved.tongue[round(25 * fps / 25) :]).max() < 0.03
    drawn = codec().resolve(moved[2:3], warp)
    np.testing.assert_array_equal(drawn.tongue, moved.tongue[2:3])


def test_noise_in_latents_is_not_amplified(motion):
    """The basis is read back by least squares, so noise of 0.1 in every cell averages out."""
    latents = codec().to_latents(motion)
    noise = 0.1 * torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
    by_frame(noise)[:, EXPRESSION_CHANNELS:] = 0
    change = codec().from_latents(latents + noise).expression - motion.expression
    assert gap(change).std() < 0.1 * gap(motion.expression).std()


def test_latents_are_linear(motion):
    one, other = (
        Motion(motion.expression[:20], motion.head[:20]),
        Motion(motion.expression[20:], motion.head[20:]),
    )
    mixed = Motion(2 * one.expression - 3 * other.expression, 2 * one.head - 3 * other.head)
    expected = 2 * codec().to_latents(one) - 3 * codec().to_latents(other)
    torch.testing.assert_close(codec().to_latents(mixed), expected, atol=1e-4, rtol=1e-4)


def test_head_planes_are_constant_and_scaled(motion):
    latents = codec().to_latents(motion)
    assert latents.shape == (20, *codec().latent_shape)
    planes = by_frame(latents)[:, EXPRESSION_CHANNELS:]
    assert torch.equal(planes, planes[..., :1, :1].expand_as(planes))
    np.testing.assert_allclose(planes[:, :, 0, 0], motion.head / codec().motion_std, rtol=1e-5)


def test_a_head_is_enlarged_about_its_mean_and_nothing_else_changes(motion):
    latents = codec().to_latents(motion)
    enlarged = codec().from_latents(codec().enlarge_head(latents, 84))
    np.testing.assert_allclose(enlarged.head.mean(0), motion.head.mean(0), atol=1e-5)
    np.testing.assert_allclose(enlarged.head.std(0), 2 * motion.head.std(0), rtol=1e-4)
    same = codec().from_latents(latents)
    np.testing.assert_allclose(enlarged.expression, same.expression)
    assert torch.equal(codec().enlarge_head(latents, 10), latents)


def test_encoding_is_free_of_pose_and_size():
    rng = np.random.default_rng(1)
    displacement = codec().displacement(
        rng.normal(size=(6, len(codec().basis))) * spread(len(codec().basis)) / 3
    )
    displacement -= displacement[:1]
    pose = poses(6, rng, turn=0.2)
    latents = encode(codec(), canonical_landmarks(pose, displacement), canonical_landmarks(pose[:1])[0])
    still = poses(1, rng, turn=0.2)
    unturned = encode(
        codec(),
        np.concatenate([canonical_landmarks(still, one) for one in displacement]),
        canonical_landmarks(still)[0],
    )
    expression, expected = (by_frame(x)[:, :EXPRESSION_CHANNELS] for x in (latents, unturned))
    torch.testing.assert_close(expression, expected, atol=1e-3, rtol=0)
    assert by_frame(unturned)[:, EXPRESSION_CHANNELS:].abs().max() < 0.5
    np.testing.assert_allclose(
        codec().from_latents(latents).head[:, 3:], relative_motion(pose, pose[:1])[:, 3:], atol=0.5
    )


def test_reference_latents_do_not_tell_how_far_a_mouth_is_open():
    pose = poses(1, np.random.default_rng(2))
    opened = codec().displacement(np.outer([0.0, 0.1], codec().open_mouth))
    rest, wider = (
        codec().reference_latents(to_image((canonical_vertices() + change)[None], pose)[0])
        for change in opened
    )
    torch.testing.assert_close(rest, wider, atol=2e-3, rtol=0)


def test_the_network_sees_no_face_stranger_than_those_of_its_training():
    """Twice as far from the canonical face as FARTHEST_CM, a face looks to the network like one at it."""
    pose = poses(1, np.random.default_rng(2))
    direction = np.eye(len(codec().basis))[3]
    far, near, beyond = (
        codec().reference_latents(
            to_image((canonical_vertices() + codec().displacement(norm * direction[None]))[:1], pose)[0]
        )
        for norm in (FARTHEST_CM - 1, 1.0, 2 * FARTHEST_CM)
    )
    norms = [
        np.linalg.norm(codec().from_latents(latents[None]).expression[0]) for latents in (near, far, beyond)
    ]
    assert norms[0] < norms[1] < norms[2] * 1.02
    assert norms[2] == pytest.approx(FARTHEST_CM, rel=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_a_portrait_is_shown_to_the_network_with_its_mouth_closed(name):
    encoded = codec().encode_reference(example(name))
    assert encoded.latents.shape == codec().latent_shape
    assert encoded.mask.shape == codec().latent_shape[1:]
    canonical_gap = canonical_vertices()[13, 1] - canonical_vertices()[14, 1]
    absolute = canonical_gap + gap(codec().from_latents(encoded.latents[None]).expression)[0]
    assert absolute == pytest.approx(0, abs=0.15)


def test_still_latents_close_a_smile_and_blink():
    smiling = codec().encode_reference(example("obama"))
    moved = codec().motion(torch.zeros(125, *codec().latent_shape), smiling.context, DecodeOptions())
    vertices = codec().resolve(moved, smiling.context).vertices
    assert np.abs(vertices[:, 13, 1] - vertices[:, 14, 1]).max() < 0.1
    lids = vertices[:, 159, 1] - vertices[:, 145, 1]
    shut = lids < 0.1 * lids.max()
    blinks = (np.diff(shut.astype(int)) == 1).sum()
    assert 2 <= blinks <= 10
    assert shut.mean() < 0.15
    np.testing.assert_array_equal(moved.head, 0)


def test_lips_lie_apart_on_the_grid():
    positions = codec().positions
    assert positions.min() >= 0
    assert positions.max() <= GRID - 1
    assert positions[14, 0] - positions[13, 0] >= 2.4
    for upper, lower in ((81, 178), (311, 402)):
        assert positions[lower, 0] - positions[upper, 0] >= 2


def test_a_field_is_sampled_bilinearly_and_fitted():
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[0:GRID, 0:GRID].astype(float)
    plane = 0.3 * rows - 0.2 * columns + 1
    positions = rng.uniform(0, GRID - 1, (300, 2))
    values = bilinear_matrix(positions) @ plane.ravel()
    np.testing.assert_allclose(values, 0.3 * positions[:, 0] - 0.2 * positions[:, 1] + 1)
    np.testing.assert_allclose(bilinear_matrix(positions).sum(1), 1)
    fitted = vertices_to_grid(positions) @ values
    assert (bilinear_matrix(positions) @ fitted - values).std() < 0.02 * values.std()
    assert layout_mask(positions[:1]).sum() == 4


def test_fast_motion_survives():
    """Each latent holds two frames: a mouth that opens and closes at 6 Hz is not smoothed."""
    opening = np.sin(2 * np.pi * 6 * np.arange(50) / 25)
    motion = Motion(np.outer(opening, codec().open_mouth), np.zeros((50, 6)))
    again = gap(codec().from_latents(codec().to_latents(motion)).expression)
    np.testing.assert_allclose(again, gap(motion.expression), atol=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_no_mouth_opens_wider_than_real_ones(name):
    """Small openings are drawn as asked for, and larger ones never change their order."""
    encoded = codec().encode_reference(example(name))
    asked = np.linspace(0, 6, 100)
    latents = codec().to_latents(Motion(np.outer(asked, codec().open_mouth), np.zeros((100, 6))))
    drawn = codec().resolve(codec().motion(latents, encoded.context, DecodeOptions()), encoded.context)
    shapes = shape_curves(drawn.landmarks)
    assert 15 < shapes.opening.max() < 22
    assert np.diff(shapes.opening[shapes.opening > 2]).min() > -0.05
    steps = np.diff(shapes.opening[(shapes.opening > 2) & (shapes.opening < 10)])
    assert steps.std() < 0.05 * steps.mean()


def test_gains_part_no_lips_in_a_pause(motion):
    """Gains move a face about its mean over the clip, which is not at rest; in a pause lips still meet."""
    spoken = motion.expression + 0.3 * spread(len(codec().basis))
    spoken[20:] = 0
    talking = codec().to_latents(Motion(spoken, np.zeros((40, 6))))
    silent = codec().to_latents(Motion(0 * spoken, np.zeros((40, 6))))
    encoded = codec().encode_reference(example("mona_lisa"))
    shut, shut_too = (
        gap(codec().motion(latents, encoded.context, DecodeOptions()).expression)[25:]  # filters end
        for latents in (talking, silent)
    )
    np.testing.assert_allclose(shut, shut_too, atol=0.01)


def test_half_the_frame_rate_shows_every_second_frame():
    encoded = codec().encode_reference(example("obama"))
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(25, *codec().latent_shape, generator=generator)
    whole, half = (
        codec().motion(latents, encoded.context, DecodeOptions(fps=fps)).expression for fps in (25, 12.5)
    )
    np.testing.assert_array_equal(half, whole[::2])


def test_components_share_the_variance_of_latents(motion):
    """The first component moves ten times as far as the tenth; its latents vary about three times as much."""
    far = Motion(np.eye(len(codec().basis)) * spread(len(codec().basis)), np.zeros((len(codec().basis), 6)))
    size = by_frame(codec().to_latents(far))[:, :EXPRESSION_CHANNELS].flatten(1).norm(dim=1)
    ratio = far.expression[0, 0] / far.expression[9, 9]
    assert 1 < size[0] / size[9] < 0.8 * ratio


def test_saving_keeps_the_codec(tmp_path, motion):
    save_mesh_codec(codec(), tmp_path)
    again = load_mesh_codec(tmp_path)
    assert torch.equal(again.to_latents(motion), codec().to_latents(motion))


def test_fitting_finds_the_expressions_that_clips_show():
    """Clips that move in five ways get a basis that holds those five, and latents of unit variance."""
    rng = np.random.default_rng(5)
    ways = codec().basis[:5]
    tracks = []
    for _ in range(3):
        moves = np.einsum("nk,kvc->nvc", rng.normal(size=(60, 5)) * spread(5), ways)
        tracks.append(canonical_landmarks(poses(60, rng, turn=0.1), moves))
    fitted = fit_codec(tracks, components=5)
    held = (ways.reshape(5, -1) @ fitted.basis.reshape(5, -1).T) ** 2
    assert held.sum(1).min() > 0.95
    latents = torch.cat([encode(fitted, track, track[30]) for track in tracks])
    rms = latents.unflatten(1, (-1, 1)).square().mean((0, 2, 3, 4)).sqrt()
    assert rms[EXPRESSION_CHANNELS:].median() == pytest.approx(1.4, abs=0.4)  # against a moving frame: sqrt 2
    assert 0.7 < rms[:EXPRESSION_CHANNELS].square().mean().sqrt() < 2.0


@pytest.mark.parametrize("fps", [24.0, 30.0, 50.0, 60.0])
def test_other_frame_rates_show_the_same_motion_without_cadence(fps):
    """Blinks and the head's path are those of 25 fps, and odd frames move as even ones."""
    encoded = codec().encode_reference(example("obama"))
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(100, *codec().latent_shape, generator=generator)
    # As smooth as speech: up to about 4 Hz.
    expression, head = (smooth(part, 1.5) for part in _parts(codec().from_latents(noise)))
    latents = codec().to_latents(Motion(expression, head))
    known, shown = (
        codec().motion(latents, encoded.context, DecodeOptions(seed=5, fps=rate)) for rate in (25.0, fps)
    )
    seconds = np.arange(len(shown.head)) / fps
    inside = seconds <= (len(known.head) - 1) / 25
    assert 0 <= len(shown.head) - 200 * fps / 25 <= 2
    head = np.interp(seconds[inside], np.arange(len(known.head)) / 25, known.head[:, 1])
    np.testing.assert_allclose(shown.head[inside, 1], head, atol=0.01 * np.ptp(head))
    assert known.eyes is not None
    assert shown.eyes is not None
    blinks = [np.flatnonzero(e.closure > 0.9) / rate for e, rate in ((known.eyes, 25.0), (shown.eyes, fps))]
    assert len(blinks[0])
    assert all(np.abs(blinks[0] - time).min() < 0.05 for time in blinks[1])
    assert all(np.abs(blinks[1] - time).min() < 0.05 for time in blinks[0])
    acceleration = np.linalg.norm(np.diff(shown.expression[inside], 2, axis=0), axis=1)
    assert 0.9 < acceleration[1::2].mean() / acceleration[::2].mean() < 1.1


def _parts(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    return motion.expression, motion.head
