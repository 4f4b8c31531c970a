"""Loss, windows and batches: the pieces of training agree with those of sampling."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from faces import codec, poses
from train_samples import CONFIG

from sonimate.audio.windows import TOKEN_ROWS, TOKEN_ROWS_BEFORE, token_windows
from sonimate.errors import OptionOutOfRange, TooFewClips
from sonimate.face.pose import relative_motion
from sonimate.features.audio_features import cut_windows
from sonimate.features.motion_samples import MotionSample
from sonimate.footage.clip_id import ClipId
from sonimate.train.draws import draw, sample_sigmas
from sonimate.train.motion_windows import HEAD_MIRROR, WindowSampler, mirror_matrix
from sonimate.train.task import split_speakers

TOKEN_DIM, BUCKET_DIM, FRAMES = 3, 2, 5


def test_noise_levels_are_log_normal():
    sigmas = sample_sigmas(20_000, mean=0.3, std=1.4, generator=torch.Generator().manual_seed(2)).log()
    assert sigmas.mean().item() == pytest.approx(0.3, abs=0.05)
    assert sigmas.std().item() == pytest.approx(1.4, rel=0.03)
    within = ((sigmas - 0.3).abs() < 1.4).float().mean().item()
    assert within == pytest.approx(0.683, abs=0.02)


@pytest.mark.parametrize("fps", [12.5, 25.0])
def test_windows_are_those_of_inference(fps):
    """Reducing rows and cutting them is the same as cutting hidden states and reducing them."""
    rng = np.random.default_rng(3)
    hidden = torch.from_numpy(rng.normal(size=(48, 2, 3)))
    projection = rng.normal(size=(6, 4))
    reduced = hidden.reshape(48, -1).numpy() @ projection + 1.0
    expected = token_windows(hidden, fps).reshape(-1, TOKEN_ROWS, 6).numpy() @ projection + 1.0
    frames = np.arange(len(expected)) * round(25 / fps)
    windows = cut_windows(reduced, frames, TOKEN_ROWS, TOKEN_ROWS_BEFORE, np.ones(4))
    np.testing.assert_allclose(windows, expected.reshape(len(frames), -1))


def test_rows_beyond_the_sound_are_the_outside_ones():
    rows = np.arange(20.0)[:, None]
    windows = cut_windows(rows, np.array([0, 4, 9]), TOKEN_ROWS, TOKEN_ROWS_BEFORE, np.array([-7.0]))
    np.testing.assert_array_equal(windows[0], [-7, -7, -7, -7, 0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(windows[1], np.arange(4, 14))
    np.testing.assert_array_equal(windows[2], [14, 15, 16, 17, 18, 19, -7, -7, -7, -7])


def sample(name: str, *, kind: str = "real", frames: int = 40, seed: int = 0) -> MotionSample:
    """Each row is its own time, so that a window shows where it was cut."""
    rng = np.random.default_rng(seed)
    pose = poses(frames, rng, turn=0.1)
    rows = np.arange(2.0 * frames)[:, None]
    return MotionSample(
        ClipId(name),
        name,
        kind,
        rng.normal(size=(frames, len(codec().basis))),
        pose,
        token_rows=rows.repeat(TOKEN_DIM, 1),
        bucket_rows=rows.repeat(BUCKET_DIM, 1),
        buckets=np.array([seed, 2.0 * seed]),
    )


def sampler(samples: list[MotionSample], *, seed: int = 0, real_share: float = 1.0) -> WindowSampler:
    config = replace(CONFIG, frames=FRAMES, real_share=real_share, reference_noise=0.0, seed=seed)
    return WindowSampler(samples, codec(), config, (np.zeros(TOKEN_DIM), np.zeros(BUCKET_DIM)))


def same(one: Any, other: Any) -> bool:
    """All tensors of two batches; latents of one face or of several may round otherwise."""
    pairs = zip(vars(one).values(), vars(other).values(), strict=True)
    return all(torch.allclose(a, b, atol=1e-6) for a, b in pairs if isinstance(a, torch.Tensor))


def test_a_batch_depends_on_seed_and_step_alone():
    samples = [sample("a", seed=1), sample("b", seed=2)]
    one, other = sampler(samples), sampler(samples)
    later = one.batch(7, range(4))
    one.batch(3, range(4))
    assert same(later, other.batch(7, range(4)))
    assert not same(later, other.batch(8, range(4)))
    assert not same(later, sampler(samples, seed=1).batch(7, range(4)))


def rows_of(batch: Any, rows: slice) -> Any:
    return replace(batch, **{name: value[rows] for name, value in vars(batch).items()})


def test_processes_share_the_batch_of_a_step():
    windows = sampler([sample("a", seed=1), sample("b", seed=2)])
    whole = windows.batch(5, range(6))
    chance = draw(CONFIG, 5, range(6), (2, 3))
    for rows in (range(3), range(3, 6), range(2, 3)):
        cut = slice(rows.start, rows.stop)
        assert same(windows.batch(5, rows), rows_of(whole, cut))
        assert windows.batch(5, rows).names == whole.names[cut]
        assert same(draw(CONFIG, 5, rows, (2, 3)), rows_of(chance, cut))
    assert len(set(chance.noise.flatten().tolist())) == 36


def test_conditions_are_dropped_as_often_as_configured():
    """5 % audio alone, 5 % image alone, 5 % both (paper)."""
    chance = draw(CONFIG, 0, range(4000), (1,))
    audio, image = chance.drop_audio, chance.drop_image
    for dropped in (audio & image, audio & ~image, ~audio & image):
        assert dropped.float().mean().item() == pytest.approx(0.05, abs=0.012)
    assert chance.noise.std().item() == pytest.approx(1, abs=0.05)


def test_a_batch_shows_what_a_sample_did_against_one_of_its_frames():
    """Up to a mirror, and a factor on the expression that its bucket shows."""
    taken = sample("a", seed=1)
    batch = sampler([taken]).batch(0, range(32))
    assert batch.latents.shape == (32, FRAMES, *codec().latent_shape)
    mirrored = 0
    for row in range(32):
        time = batch.features[row, 0, TOKEN_ROWS_BEFORE * TOKEN_DIM].item()
        frames = round(time / 2) + np.arange(2 * FRAMES)
        motion = codec().from_latents(batch.latents[row])
        motions = np.stack([relative_motion(taken.pose[frames], taken.pose[i : i + 1]) for i in range(40)])
        plain, flipped = (np.abs(motions * sign - motion.head).max((1, 2)).min() for sign in (1, HEAD_MIRROR))
        assert min(plain, flipped) < 1e-3
        mirrored += plain > flipped
        gain = batch.buckets[row, 1].item() / taken.buckets[1]
        moved = gain * np.diff(taken.expression[frames], axis=0)
        moved = moved @ mirror_matrix(codec()) if plain > flipped else moved
        np.testing.assert_allclose(np.diff(motion.expression, axis=0), moved, atol=0.15)
    assert 8 <= mirrored <= 24
    assert (batch.buckets[:, 0] == taken.buckets[0]).all()


def test_mirroring_twice_changes_nothing():
    np.testing.assert_array_equal(HEAD_MIRROR**2, 1)
    mirror = mirror_matrix(codec())
    rng = np.random.default_rng(4)
    expression = rng.normal(size=(50, len(mirror))) / np.arange(1, len(mirror) + 1)
    again = expression @ mirror @ mirror
    # The basis is that of real faces, which are not quite symmetric.
    assert ((again - expression) ** 2).sum() < 0.02 * (expression**2).sum()


def test_the_mirror_swaps_the_sides_of_the_face():
    mirror = mirror_matrix(codec())
    shape = codec().displacement(np.eye(len(mirror))[:4])
    mirrored = codec().displacement(mirror[:4])
    for right, left in ((33, 263), (61, 291), (105, 334), (468, 473)):
        np.testing.assert_allclose(mirrored[:, right], shape[:, left] * [-1, 1, 1], atol=0.02)


def test_real_and_synthetic_samples_come_in_their_shares():
    samples = [sample("a", seed=1), sample("b", kind="synthetic", seed=2)]
    batch = sampler(samples, real_share=0.25).batch(0, range(300))
    assert (batch.buckets[:, 0] == 1).float().mean().item() == pytest.approx(0.25, abs=0.08)


def test_a_kind_of_sample_with_a_share_must_exist():
    """A share is never filled up with samples of the other kind."""
    real, synthetic = sample("a", seed=1), sample("b", kind="synthetic", seed=2)
    assert (sampler([real, synthetic], real_share=0.0).batch(0, range(9)).buckets[:, 0] == 2).all()
    assert (sampler([real], real_share=1.0).batch(0, range(9)).buckets[:, 0] == 1).all()
    for share in (0.0, 0.25):
        with pytest.raises(OptionOutOfRange, match=f"= {share}, but the data has no synthetic sample"):
            sampler([real], real_share=share)
    for share in (0.25, 1.0):
        with pytest.raises(OptionOutOfRange, match=f"real_share = {share}, but no real sample"):
            sampler([synthetic], real_share=share)
    with pytest.raises(TooFewClips, match="None of the 1 samples to train on lasts 10 frames"):
        sampler([sample("tiny", frames=8)], real_share=1.0)


@pytest.mark.parametrize(
    ("held_out", "error", "message"),
    [
        (("ann", "eve"), OptionOutOfRange, "no speaker is named 'eve'; the data has ann, bob"),
        (("",), OptionOutOfRange, "no speaker is named ''"),
        (("bob", "ann"), TooFewClips, "all 2 speakers"),
    ],
)
def test_held_out_speakers_must_exist_and_not_be_all(held_out, error, message):
    samples = [sample("ann"), sample("bob")]
    assert split_speakers(samples, ()) == (samples, [])
    assert split_speakers(samples, ("bob",)) == (samples[:1], samples[1:])
    with pytest.raises(error, match=message):
        split_speakers(samples, held_out)


def test_long_samples_are_drawn_more_often_and_short_ones_never():
    samples = [
        sample("long", frames=69, seed=1),
        sample("short", frames=29, seed=2),
        sample("tiny", frames=8, seed=3),
    ]
    drawn = sampler(samples).batch(0, range(400)).buckets[:, 0]
    assert (drawn == 3).sum() == 0
    assert (drawn == 1).float().mean().item() == pytest.approx(61 / 82, abs=0.08)
