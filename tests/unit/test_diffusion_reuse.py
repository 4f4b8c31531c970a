"""Options that trade memory or exactness for speed: sequential guidance, a guidance interval, reused deep
features, torch.compile."""

import math
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any, ClassVar
from weakref import WeakSet

import pytest
import torch
from torch.testing import assert_close

from lib.memory import peak_activation_bytes
from sonimate.configs import FULL, SamplingOptions
from sonimate.devices import compile_network, wrap_compile_errors
from sonimate.diffusion import sample_latents
from sonimate.diffusion.guidance import AUDIO, branch_weights, denoising_steps, guided_velocity
from sonimate.diffusion.plan import step_plan
from sonimate.diffusion.schedule import euler_step, sampling_sigmas
from sonimate.errors import CompilationFailed, OptionOutOfRange
from sonimate.models.unet import DeepFeatures, SpatioTemporalUNet, UNetConfig
from sonimate.types import Conditions

FRAMES, CHANNELS, SIZE, WIDTH = 11, 3, 8, 12
SMALL = replace(FULL, steps=6, window_frames=5, shift_offset=2, sigma_max=80.0)
NETWORK = UNetConfig(
    in_channels=2 * CHANNELS,
    out_channels=CHANNELS,
    block_out_channels=(8, 16, 16),
    down_block_types=("DownBlock", "CrossAttnDownBlock", "CrossAttnDownBlock"),
    up_block_types=("CrossAttnUpBlock", "CrossAttnUpBlock", "UpBlock"),
    num_attention_heads=(2, 2, 2),
    layers_per_block=1,
    cross_attention_dim=WIDTH,
    addition_time_embed_dim=8,
    projection_class_embeddings_input_dim=24,
    norm_num_groups=4,
)
STRATEGIES = [("shift", 0), ("shift", 2), ("overlap", 2), ("motion-frames", 2), ("independent", 0)]


UP_BLOCKS = ["up_blocks.0", "up_blocks.1", "up_blocks.2"]


@pytest.fixture
def unet() -> SpatioTemporalUNet:
    torch.manual_seed(0)
    return SpatioTemporalUNet(NETWORK).eval()


def conditions(frames: int = FRAMES, size: int = SIZE) -> Conditions:
    random = torch.Generator().manual_seed(1)
    return Conditions(
        image_embeds=torch.randn(1, 1, WIDTH, generator=random).expand(frames, -1, -1),
        audio_tokens=torch.randn(frames, 4, WIDTH, generator=random),
        null_audio_tokens=torch.zeros(frames, 4, WIDTH),
        motion_buckets=torch.full((frames, 2), 16.0),
        reference_latents=torch.randn(CHANNELS, size, size, generator=random),
        mask=torch.ones(size, size),
        fps=12.5,
    )


def noise(frames: int = FRAMES, size: int = SIZE) -> torch.Tensor:
    return torch.randn(frames, CHANNELS, size, size, generator=torch.Generator().manual_seed(0))


def unet_inputs() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return {
        "sample": torch.randn(2, 5, 2 * CHANNELS, SIZE, SIZE, generator=random),
        "timestep": torch.tensor(0.3),
        "image_embeds": torch.randn(2, 5, 1, WIDTH, generator=random),
        "audio_tokens": torch.randn(2, 5, 4, WIDTH, generator=random),
        "added_time_ids": 20 * torch.rand(2, 3, generator=random),
    }


class Features:
    """Cached by a Recorder; counts how many exist."""

    alive: ClassVar[WeakSet] = WeakSet()

    def __init__(self, number: int) -> None:
        self.number = number
        self.alive.add(self)


class Recorder:
    """Predicts -x and records its calls: noise level, rows, number of the cache, caches that exist."""

    def __init__(self) -> None:
        self.sigmas: list[float] = []
        self.rows: list[int] = []
        self.caches: list[int | None] = []
        self.alive: list[int] = []

    def __call__(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor | float,
        image_embeds: torch.Tensor,
        audio_tokens: torch.Tensor,
        added_time_ids: torch.Tensor,
        mask: torch.Tensor | None = None,
        cache: Any = None,
    ) -> torch.Tensor:
        self.sigmas.append(math.exp(4 * timestep))
        self.rows.append(len(sample))
        if cache is not None and cache.features is None:
            cache.features = Features(number=len(set(self.caches)))
        self.caches.append(cache.features.number if cache else None)
        self.alive.append(len(Features.alive))
        return -sample[:, :, :CHANNELS]


def run(unet, options: SamplingOptions, frames: int = FRAMES) -> torch.Tensor:
    return sample_latents(unet, conditions(frames), noise(frames), options)


@torch.no_grad()
def test_deep_features_of_the_same_input_are_exact_and_skip_all_inner_levels(unet):
    ran = []
    for name in ("down_blocks.0", "down_blocks.1", "down_blocks.2", "mid_block", *UP_BLOCKS):
        unet.get_submodule(name).register_forward_hook(lambda *_, name=name: ran.append(name))
    inputs, cache = unet_inputs(), DeepFeatures()
    exact = unet(**inputs)
    ran.clear()
    assert_close(unet(**inputs, cache=cache), exact, atol=0, rtol=0)
    assert ran == ["down_blocks.0", "down_blocks.1", "down_blocks.2", "mid_block", *UP_BLOCKS]
    ran.clear()
    assert_close(unet(**inputs, cache=cache), exact, atol=0, rtol=0)
    assert ran == ["down_blocks.0", UP_BLOCKS[-1]]


@torch.no_grad()
def test_with_deep_features_of_another_input_both_inputs_change_the_prediction(unet):
    inputs, cache = unet_inputs(), DeepFeatures()
    before = unet(**inputs, cache=cache)
    moved = inputs | {"sample": inputs["sample"] + 1}
    reused, exact = unet(**moved, cache=cache), unet(**moved)
    assert (reused - exact).abs().max() > 1e-3
    assert (reused - before).abs().max() > 1e-3


@pytest.mark.parametrize(("windows", "overlap"), STRATEGIES)
def test_a_cache_is_used_for_one_batch_of_windows_in_one_block_of_steps(windows, overlap):
    """It is freed before the next is filled, so memory does not grow with the length of the video."""
    unet = Recorder()
    run(unet, replace(SMALL, windows=windows, overlap=overlap, reuse=4))
    uses = [
        [unet.sigmas[i] for i in group]
        for _, group in groupby(range(len(unet.caches)), unet.caches.__getitem__)
    ]
    sigmas = sampling_sigmas(SMALL)[:-1]
    assert len(uses) == len(set(unet.caches)) > 2
    assert all(used == pytest.approx(sigmas[:4]) or used == pytest.approx(sigmas[4:]) for used in uses)
    assert set(unet.alive) == {1}


def test_branches_in_calls_of_their_own_have_a_cache_each():
    unet = Recorder()
    run(unet, replace(SMALL, reuse=2, batch_branches=False), frames=5)
    assert unet.caches == [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7, 8, 6, 7, 8]


def test_without_reuse_networks_need_no_cache():
    unet = Recorder()
    run(unet, SMALL)
    assert set(unet.caches) == {None}


@pytest.mark.parametrize(("windows", "overlap"), [("independent", 0), ("motion-frames", 2)])
def test_without_moving_windows_a_network_that_ignores_the_cache_gives_the_same(windows, overlap):
    options = replace(SMALL, windows=windows, overlap=overlap)
    assert_close(run(Recorder(), replace(options, reuse=4)), run(Recorder(), options), atol=1e-4, rtol=0)


def test_windows_move_from_block_to_block_and_places_are_averaged():
    """Against the plain loop: each window steps alone, then frames are averaged over their places."""
    options = replace(SMALL, reuse=2, overlap=1, image_guidance=1.0, audio_guidance=1.0)

    def frame_dependent(sample, *_):
        return -sample[:, :, :CHANNELS] * torch.linspace(0.5, 1.0, 5)[:, None, None, None]

    def ignoring_cache(*inputs, cache):
        return frame_dependent(*inputs)

    sigmas = sampling_sigmas(options)
    latents = sigmas[0] * noise()
    for block in range(3):
        total, places = torch.zeros_like(latents), torch.zeros(FRAMES, 1, 1, 1)
        for window in step_plan(options, FRAMES, block):
            noisy = latents[window]
            for sigma, next_sigma in pairwise(sigmas[2 * block : 2 * block + 3]):
                velocity = frame_dependent(noisy[None] / math.sqrt(sigma**2 + 1))[0]
                noisy = euler_step(noisy, velocity, sigma, next_sigma)
            for place, frame in enumerate(window):
                total[frame] += noisy[place]
                places[frame] += 1
        latents = total / places
    assert_close(run(ignoring_cache, options), latents, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("change", [{"batch_branches": False}, {"windows_per_batch": 2}], ids=str)
def test_batching_does_not_matter_with_reuse(unet, change):
    options = replace(SMALL, reuse=3)
    assert_close(run(unet, replace(options, **change)), run(unet, options), atol=1e-3, rtol=1e-3)


def test_branches_may_come_and_go_within_a_block(unet):
    options = replace(SMALL, reuse=6, image_guidance=(1.0, 2.0), audio_guidance=(1.0, 3.0))
    assert run(unet, options, frames=5).isfinite().all()


@pytest.mark.parametrize(("reuse", "compilations"), [(1, 1), (3, 2)])
def test_a_compiled_network_is_compiled_once_for_all_steps(unet, reuse, compilations):
    """With reuse twice: with an empty cache and with a filled one."""
    compiled = []

    def backend(graph, _):
        compiled.append(graph)
        return graph.forward

    torch.compiler.reset()
    options = replace(SMALL, reuse=reuse)
    expected = run(unet, options, frames=10)
    unet.compile(dynamic=False, backend=backend)
    assert_close(run(unet, options, frames=10), expected, atol=1e-3, rtol=1e-3)
    assert len(compiled) == compilations


class Exponential(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.exp() + 1


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_missing_compiler_raises_compilation_failed(tmp_path, monkeypatch):
    from torch._inductor import config

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch.compiler.reset()
    network = Exponential()
    compile_network(network)
    failure = pytest.raises(CompilationFailed, match=r"InvalidCxxCompiler.*leave out --compile")
    with config.patch({"cpp.cxx": (None, "/nonexistent")}), failure, wrap_compile_errors():
        network(torch.ones(2, 3))
    with pytest.raises(RuntimeError, match="a defect"), wrap_compile_errors():
        raise RuntimeError("a defect")


def test_progress_counts_the_steps_of_a_block_at_once():
    seen = []
    options = replace(SMALL, reuse=4)
    sample_latents(Recorder(), conditions(), noise(), options, progress=lambda *step: seen.append(step))
    assert seen == [(4, 6), (6, 6)]


def test_only_noise_levels_of_the_interval_are_guided():
    unet, sigmas = Recorder(), sampling_sigmas(SMALL)[:-1]
    options = replace(SMALL, guidance_interval=(sigmas[3], sigmas[1]))
    run(unet, options, frames=5)
    assert unet.rows == [1, 3, 3, 3, 1, 1]
    weights = [step.weights for step in denoising_steps(options, sampling_sigmas(options))]
    assert weights == [{AUDIO: 1.0}] + [branch_weights(2.0, 7.5)] * 3 + [{AUDIO: 1.0}] * 2


@pytest.mark.parametrize(
    ("interval", "same_as"),
    [((0.0, math.inf), {}), ((0.0, 1e-9), {"image_guidance": 1.0, "audio_guidance": 1.0})],
    ids=["everywhere", "nowhere"],
)
def test_interval_of_all_or_no_levels(unet, interval, same_as):
    found = run(unet, replace(SMALL, guidance_interval=interval), frames=5)
    assert_close(found, run(unet, replace(SMALL, **same_as), frames=5), atol=0, rtol=0)


def test_guidance_branch_by_branch_needs_a_third_of_the_memory(unet):
    """At most 45 % of the activations of batched branches, and the same prediction."""
    latents, weights = 10 * noise(5, 32), branch_weights(2.0, 7.5)
    predictions = []

    def predict(batch_branches: bool) -> None:
        options = replace(SMALL, batch_branches=batch_branches)
        index = torch.arange(5)[None]
        predictions.append(
            guided_velocity(unet, latents[index], conditions(5, 32), index, 10.0, weights, options)
        )

    with torch.no_grad():
        batched, sequential = (peak_activation_bytes(lambda on=on: predict(on)) for on in (True, False))
    assert sequential <= 0.45 * batched
    assert_close(*predictions, atol=1e-5, rtol=0)


def test_peak_of_activations_counts_what_exists_at_one_time():
    def compute():
        kept = torch.zeros(1000)
        torch.zeros(3000)
        return kept + torch.zeros(1000)

    assert peak_activation_bytes(compute) == 4 * 4000


@pytest.mark.parametrize(
    "wrong",
    [{"reuse": 0}, {"guidance_interval": (3.0, 1.0)}, {"guidance_interval": (-1.0, 2.0)}],
    ids=str,
)
def test_options_out_of_range_are_named(wrong):
    with pytest.raises(OptionOutOfRange, match=next(iter(wrong))):
        SamplingOptions(**wrong)
