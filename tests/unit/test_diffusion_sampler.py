"""Properties of plans, guidance and samplers, with networks whose correct result is known."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sonimate.configs import COMPACT, FULL, SamplingOptions
from sonimate.diffusion import sample_latents
from sonimate.diffusion.guidance import AUDIO, IMAGE, NULL, branch_weights, ramp_values
from sonimate.diffusion.plan import independent_windows, overlapping_windows, shifted_windows, step_plan
from sonimate.diffusion.precondition import denoised
from sonimate.diffusion.sampler import batches
from sonimate.diffusion.schedule import euler_step, karras_sigmas, sampling_sigmas
from sonimate.errors import OptionOutOfRange
from sonimate.models.unet import DeepFeatures
from sonimate.types import Conditions

FRAMES, CHANNELS, SIZE = 11, 3, 4
SMALL = replace(FULL, steps=6, window_frames=5, shift_offset=2, sigma_max=80.0)


def conditions(frames: int = FRAMES) -> Conditions:
    """Audio tokens that number the frames from 1; null tokens are 0."""
    tokens = torch.arange(1.0, frames + 1)[:, None, None].expand(-1, 2, 1)
    return Conditions(
        image_embeds=torch.ones(frames, 1, 1),
        audio_tokens=tokens,
        null_audio_tokens=torch.zeros_like(tokens),
        motion_buckets=torch.full((frames, 2), 16.0),
        reference_latents=torch.ones(CHANNELS, SIZE, SIZE),
        mask=torch.ones(SIZE, SIZE),
        fps=12.5,
    )


class IdealUNet:
    """Knows the clean latents: the frame's audio number, 100 more where the portrait is shown."""

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []
        self.images_shown: set[bool] = set()

    def __call__(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        image_embeds: Tensor,
        audio_tokens: Tensor,
        added_time_ids: Tensor,
        mask: Tensor | None = None,
        cache: DeepFeatures | None = None,
    ) -> Tensor:
        sigma = (4 * torch.as_tensor(timestep)).exp()
        self.batch_sizes.append(len(sample))
        shown = image_embeds[..., 0, 0]
        assert torch.equal(shown, sample[:, :, CHANNELS, 0, 0])
        self.images_shown.update(bool(value) for value in shown.flatten())
        clean = (audio_tokens[:, :, 0, 0] + 100 * shown)[..., None, None, None]
        noisy = sample[:, :, :CHANNELS] * (sigma**2 + 1).sqrt()
        return (noisy / (sigma**2 + 1) - clean) * (sigma**2 + 1).sqrt() / sigma


def noise(frames: int = FRAMES) -> torch.Tensor:
    return torch.randn(frames, CHANNELS, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("windows", "overlap"),
    [("shift", 0), ("shift", 3), ("overlap", 2), ("motion-frames", 2), ("independent", 0)],
)
@pytest.mark.parametrize("frames", [1, 4, 5, 6, 11])
def test_every_strategy_finds_the_clean_latents_of_an_ideal_network(windows, overlap, frames):
    options = replace(SMALL, image_guidance=1.0, audio_guidance=1.0, windows=windows, overlap=overlap)
    latents = sample_latents(IdealUNet(), conditions(frames), noise(frames), options)
    wanted = 100 + torch.arange(1.0, frames + 1)[:, None, None, None]
    torch.testing.assert_close(latents, wanted.expand_as(latents), atol=1e-3, rtol=0)


def test_guidance_extrapolates():
    """v is linear in the clean latents, so these are guided as the velocities are."""
    options = replace(SMALL, image_guidance=2.0, audio_guidance=3.0)
    latents = sample_latents(IdealUNet(), conditions(), noise(), options)
    wanted = 2.0 * 100 + 3.0 * torch.arange(1.0, FRAMES + 1)
    torch.testing.assert_close(latents[:, 0, 0, 0], wanted, atol=1e-2, rtol=0)


@pytest.mark.parametrize("batch_branches", [True, False])
def test_branches_of_no_weight_are_not_evaluated(batch_branches):
    unet = IdealUNet()
    options = replace(SMALL, image_guidance=1.0, audio_guidance=0.0, batch_branches=batch_branches)
    latents = sample_latents(unet, conditions(), noise(), options)
    torch.testing.assert_close(latents, torch.full_like(latents, 100.0), atol=1e-3, rtol=0)
    assert unet.images_shown == {True}
    assert sum(unet.batch_sizes) == options.steps * 3


def test_batches_fill_the_network():
    unet = IdealUNet()
    sample_latents(unet, conditions(), noise(), replace(SMALL, windows_per_batch=2))
    assert unet.batch_sizes == [2 * 3, 1 * 3] * SMALL.steps


def test_windows_of_different_length_never_share_a_batch():
    plan = [[0, 1], [2, 3], [4, 5, 6], [7, 8]]
    assert list(batches(plan, 4)) == [[[0, 1], [2, 3]], [[4, 5, 6]], [[7, 8]]]


def test_progress_once_a_step():
    seen = []
    sample_latents(IdealUNet(), conditions(), noise(), SMALL, progress=lambda *step: seen.append(step))
    assert seen == [(step, SMALL.steps) for step in range(1, SMALL.steps + 1)]


def test_sequential_progress_counts_all_windows():
    seen = []
    options = replace(SMALL, windows="motion-frames", overlap=2)
    sample_latents(IdealUNet(), conditions(), noise(), options, progress=lambda *step: seen.append(step))
    assert seen == [(step, 3 * SMALL.steps) for step in range(1, 3 * SMALL.steps + 1)]


def test_motion_frames_are_those_of_the_window_before():
    """The second window predicts -5 for all frames, but the first window's replace its first two."""

    def average(
        sample: Tensor,
        timestep: Tensor | float,
        image_embeds: Tensor,
        audio_tokens: Tensor,
        added_time_ids: Tensor,
        mask: Tensor | None = None,
        cache: DeepFeatures | None = None,
    ) -> Tensor:
        clean = torch.full_like(sample[:, :, :CHANNELS], 5.0)
        if audio_tokens.max() > 5:
            clean[:] = -5.0
        sigma = (4 * torch.as_tensor(timestep)).exp()
        noisy = sample[:, :, :CHANNELS] * (sigma**2 + 1).sqrt()
        return (noisy / (sigma**2 + 1) - clean) * (sigma**2 + 1).sqrt() / sigma

    options = replace(SMALL, windows="motion-frames", overlap=2, image_guidance=1.0, audio_guidance=1.0)
    latents = sample_latents(average, conditions(8), noise(8), options)[:, 0, 0, 0]
    torch.testing.assert_close(latents, torch.tensor([5.0] * 5 + [-5.0] * 3), atol=1e-3, rtol=0)


def test_frames_meet_across_window_borders():
    """Alg. 1's purpose: neighbours apart in one step share a window in another; not so without the shift."""
    options = replace(FULL, steps=8)
    together = set()
    for step in range(options.steps):
        for window in step_plan(options, 100, step):
            together.update(pairwise(window))
    assert {(frame, frame + 1) for frame in range(99)} <= together
    fixed = {pair for w in independent_windows(100, window_frames=25) for pair in pairwise(w)}
    assert (24, 25) not in fixed


@given(frames=st.integers(1, 200), step=st.integers(0, 50), overlap=st.integers(0, 24))
def test_plans_cover_every_frame(frames, step, overlap):
    everything = set(range(frames))
    shifted = shifted_windows(frames, step, window_frames=25, shift_offset=7, overlap=overlap)
    overlapping = overlapping_windows(frames, window_frames=25, overlap=overlap)
    independent = independent_windows(frames, window_frames=25)
    for plan in (shifted, overlapping, independent):
        assert {frame for window in plan for frame in window} == everything
        assert all(0 < len(window) <= 25 for window in plan)
    assert {len(window) for window in shifted} == {25}
    assert sum(map(len, independent)) == frames
    for before, after in pairwise(overlapping):
        assert len(set(before) & set(after)) >= overlap


def test_shift_costs_no_more_than_independent_windows():
    shifted = shifted_windows(100, 3, window_frames=25, shift_offset=7)
    overlapping = overlapping_windows(100, window_frames=25, overlap=8)
    assert len(shifted) == len(independent_windows(100, window_frames=25)) == 4
    assert len(overlapping) == 6


@given(image=st.floats(-10, 10), audio=st.floats(-10, 10))
def test_branch_weights_sum_to_one(image, audio):
    assert sum(branch_weights(image, audio).values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("image", "audio", "branches"),
    [
        (2.0, 7.5, {NULL: -1.0, IMAGE: -5.5, AUDIO: 7.5}),
        (1.0, 7.5, {IMAGE: -6.5, AUDIO: 7.5}),
        (1.0, 1.0, {AUDIO: 1.0}),
        (2.0, 0.0, {NULL: -1.0, IMAGE: 2.0}),
        (0.0, 0.0, {NULL: 1.0}),
        (3.0, 3.0, {NULL: -2.0, AUDIO: 3.0}),
    ],
)
def test_branch_weights(image, audio, branches):
    assert branch_weights(image, audio) == branches


def test_ramps():
    assert ramp_values((1.0, 3.0), 5) == [1.0, 1.5, 2.0, 2.5, 3.0]
    assert ramp_values(7.5, 2) == [7.5, 7.5]
    assert ramp_values((1.0, 3.0), 1) == [1.0]


def test_sigmas_fall_from_max_to_min_to_zero():
    sigmas = karras_sigmas(12, sigma_max=80, sigma_min=0.002, rho=7)
    assert sigmas[0] == pytest.approx(80)
    assert sigmas[-2:] == [pytest.approx(0.002), 0.0]
    assert sigmas == sorted(sigmas, reverse=True)


def test_euler_step_keeps_the_clean_latents_and_scales_the_noise():
    clean, draw = torch.randn(5), torch.randn(5)
    velocity = (draw - 3.0 * clean) / 10**0.5
    noisy = clean + 3.0 * draw
    torch.testing.assert_close(denoised(noisy, velocity, 3.0), clean)
    torch.testing.assert_close(euler_step(noisy, velocity, 3.0, 2.0), clean + 2.0 * draw)
    torch.testing.assert_close(euler_step(noisy, velocity, 3.0, 0.0), clean)


def test_strength_skips_the_noisiest_steps():
    whole = sampling_sigmas(SMALL)
    assert sampling_sigmas(replace(SMALL, strength=0.5)) == whole[3:]
    with pytest.raises(OptionOutOfRange, match=r"0\.167"):
        sampling_sigmas(replace(SMALL, strength=0.1))


def test_temperature_scales_the_start():
    seen = []

    def record(sample: Tensor, *_: Any, **_options: Any) -> Tensor:
        seen.append(sample[:, :, :CHANNELS])
        return torch.zeros_like(sample[:, :, :CHANNELS])

    for temperature in (1.0, 0.5):
        options = replace(SMALL, steps=1, initial_temperature=temperature)
        sample_latents(record, conditions(5), noise(5), options)
    torch.testing.assert_close(seen[1], seen[0] / 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"strength": 0.0},
        {"strength": 1.5},
        {"overlap": 25},
        {"windows": "sliding"},
        {"windows": "overlap"},
        {"sigma_max": 0.001},
        {"sigma_max": float("nan")},
        {"audio_guidance": float("inf")},
        {"image_guidance": (1.0, float("nan"))},
        {"dynamic_scale": -1.0},
        {"initial_temperature": float("inf")},
        {"windows_per_batch": 0},
    ],
    ids=str,
)
def test_options_out_of_range_are_named(wrong):
    with pytest.raises(OptionOutOfRange, match=next(iter(wrong))):
        SamplingOptions(**wrong)


def test_defaults_differ_only_where_the_models_do():
    assert FULL.window_frames == COMPACT.window_frames
    assert (COMPACT.steps, FULL.steps) == (8, 25)
