"""Memory of a training step before there is a GPU: counted on fake tensors, which have shapes and no data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
import yaml
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.nn import functional
from torch.testing._internal.distributed.fake_pg import FakeStore

from sonimate.configs import SEAMLESS_DECODE
from sonimate.costs import FULL_COSTS
from sonimate.diffusion.denoiser import Batch, Denoiser, Draws
from sonimate.models import attention
from sonimate.models.audio_networks import AudioTokensConfig, AudioToTokens
from sonimate.models.unet import SpatioTemporalUNet, UNetConfig

WORD, HALF = 4, 2
"""Bytes of a float32 and of a bfloat16."""
BRANCHES = 3
"""Of guidance, all in one call: with sound and image, without sound, without both."""
AUTOENCODER = 97_742_847
"""Parameters of Stable Video Diffusion's."""


@dataclass(frozen=True)
class Counts:
    """Parameters of the networks: trained, frozen, and of the largest part that FSDP gathers at once."""

    trained: int
    frozen: int
    largest_part: int


@dataclass(frozen=True)
class ShardedStep:
    """What one process of `processes` holds after a step under FSDP, in numbers: parameters, gradients,
    the optimiser's states; and into how many parts the networks were divided."""

    processes: int
    parameters: int
    gradients: int
    optimiser_states: int
    parts: int


def meta_denoiser(unet: UNetConfig, tokens: AudioTokensConfig, *, checkpointing: bool) -> Denoiser:
    """The networks on the meta device: no memory at all."""
    with torch.device("meta"):
        networks = Denoiser(SpatioTemporalUNet(unet), AudioToTokens(tokens), nn.Identity())
    networks.unet.enable_gradient_checkpointing(checkpointing)
    return networks


def fake_batch(networks: Denoiser, *, frames: int, side: int, windows: int = 1) -> Batch:
    """A batch of the right shapes on the networks' device; `side` of the latents."""
    device = next(networks.parameters()).device
    unet, tokens = networks.unet.config, networks.audio_to_tokens.config

    def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.empty(windows, *shape, device=device, dtype=dtype)

    latent = (unet.out_channels, side, side)
    draws = Draws(empty(frames, *latent), empty(), empty(dtype=torch.bool), empty(dtype=torch.bool))
    return Batch(
        ("",) * windows,
        empty(frames, *latent),
        empty(*latent),
        empty(1, unet.cross_attention_dim),
        empty(frames, tokens.feature_dim),
        empty(2),
        empty(1, 8 * side, 8 * side),
        draws,
    )


def count(networks: nn.Module, parts: tuple[str, ...]) -> Counts:
    """parts: names of the classes that FSDP gathers one by one; the rest is gathered as one part too."""
    sizes = [_size(module) for module in networks.modules() if type(module).__name__ in parts]
    trained = sum(p.numel() for p in networks.parameters() if p.requires_grad)
    return Counts(trained, _size(networks) - trained, max(*sizes, _size(networks) - sum(sizes)))


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def state_bytes(counts: Counts, *, processes: int) -> dict[str, float]:
    """Bytes per GPU of everything but activations, by scheme, computing in bfloat16.

    data-parallel: float32 parameters, gradients, two moments of AdamW and the average, and autocast's copies
    in bfloat16. ZeRO-2: bfloat16 parameters and the average whole; bfloat16 gradients, float32 parameters and
    moments divided. FSDP: all divided; twice the largest part is gathered in bfloat16, for the next one is
    fetched while one computes.
    """
    trained, frozen = counts.trained, counts.frozen
    every = trained + frozen
    return {
        "data-parallel": WORD * (5 * trained + frozen) + HALF * every,
        "ZeRO-2": HALF * every + WORD * trained + (HALF + 3 * WORD) * trained / processes,
        "FSDP": WORD * (5 * trained + frozen) / processes + 2 * HALF * counts.largest_part,
    }


def validation_bytes(counts: Counts, *, processes: int, frames: int, side: int) -> dict[str, float]:
    """Bytes of the first GPU while it validates, by scheme: the state without gradients, a whole float32 copy
    of the average, the autoencoder, and the activations of sampling or of decoding, whichever are more."""
    everything = counts.trained + counts.frozen
    sampling = BRANCHES * frames * side**2 * FULL_COSTS.unet_numbers
    decoding = SEAMLESS_DECODE.chunk_frames * (8 * side) ** 2 * FULL_COSTS.decoder_numbers
    generating = WORD * (everything + AUTOENCODER + max(sampling, decoding))
    kept = {
        "data-parallel": WORD * (4 * counts.trained + counts.frozen),
        "ZeRO-2": HALF * everything + WORD * counts.trained + 3 * WORD * counts.trained / processes,
        "FSDP": WORD * (4 * counts.trained + counts.frozen) / processes,
    }
    return {scheme: state + generating for scheme, state in kept.items()}


def activation_bytes(networks: Denoiser, *, frames: int, side: int) -> int:
    """Most bytes that forward and backward of one window hold beside parameters and gradients, in bfloat16 as
    autocast computes on a GPU, with an attention that stores no scores.

    networks: on the meta device.
    """
    networks = networks.bfloat16()  # so that copies for autocast do not count as activations
    with FakeTensorMode(allow_non_fake_inputs=True), _as_on_a_gpu():
        networks = networks.to_empty(device="cpu").requires_grad_(True)  # the tracker expects all trained
        for parameter in networks.parameters():
            parameter.grad = torch.empty_like(parameter)
        batch = fake_batch(networks, frames=frames, side=side)
        tracker = MemTracker()
        tracker.track_external(networks)
        with tracker:
            with torch.autocast("cpu", torch.bfloat16):
                losses = networks(batch)
            losses.mean().backward()
        (snapshot,) = tracker.get_tracker_snapshot("peak").values()
    return sum(size for kind, size in snapshot.items() if str(kind).rpartition(".")[2] in ("ACT", "TEMP"))


@contextmanager
def _as_on_a_gpu() -> Iterator[None]:
    """Fake tensors of a GPU need its driver, so those of a CPU stand for them: with flash attention in
    bfloat16, and norms in float32, as autocast has them on a GPU."""

    def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
        q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2).bfloat16() for x in (query, key, value))
        flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        return flash(q, k, v)[0].transpose(1, 2).flatten(2)

    def in_float32(norm: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def computed(*arguments: Any, **options: Any) -> Tensor:
            tensors = [x.float() if isinstance(x, Tensor) else x for x in arguments]
            return norm(*tensors, **options)

        return computed

    with ExitStack() as patches:
        patches.enter_context(patch.object(attention, "attend", attend))
        for name in ("layer_norm", "group_norm"):
            patches.enter_context(patch.object(functional, name, in_float32(getattr(functional, name))))
        yield


def read_fsdp_settings(path: Path) -> FullyShardedDataParallelPlugin:
    """What `accelerate launch --config_file` makes of a configuration file."""
    settings = yaml.safe_load(path.read_text())["fsdp_config"]
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=settings["fsdp_version"],
        reshard_after_forward=settings["fsdp_reshard_after_forward"],
        auto_wrap_policy=settings["fsdp_auto_wrap_policy"].lower(),
        transformer_cls_names_to_wrap=settings["fsdp_transformer_layer_cls_to_wrap"].split(","),
        cpu_ram_efficient_loading=settings["fsdp_cpu_ram_efficient_loading"],
        state_dict_type=settings["fsdp_state_dict_type"],
    )
    plugin.set_mixed_precision("bf16")
    return plugin


def sharded_step(
    networks: Denoiser, plugin: FullyShardedDataParallelPlugin, *, processes: int, frames: int, side: int
) -> ShardedStep:
    """Divide the networks, which are on the meta device, as accelerate does, and take a step of the first of
    `processes` that do not exist: forward, backward, gradient clipping, AdamW."""
    dist.init_process_group("fake", rank=0, world_size=processes, store=FakeStore())
    try:
        mesh = init_device_mesh("cpu", (processes,), mesh_dim_names=("fsdp",))
        with FakeTensorMode(allow_non_fake_inputs=True):
            networks = networks.to_empty(device="cpu")
            accelerator = SimpleNamespace(
                state=SimpleNamespace(fsdp_plugin=plugin),
                mixed_precision="bf16",
                is_main_process=True,
                torch_device_mesh=mesh,
                parallelism_config=SimpleNamespace(fsdp_dim_names=mesh.mesh_dim_names),
            )
            sharded = fsdp2_prepare_model(accelerator, networks)
            optimiser = torch.optim.AdamW([p for p in sharded.parameters() if p.requires_grad])
            with torch.autocast("cpu", torch.bfloat16):
                losses = sharded(fake_batch(networks, frames=frames, side=side))
            losses.mean().backward()
            torch.nn.utils.clip_grad_norm_(sharded.parameters(), 1.0)
            optimiser.step()
            moments = [
                state[name] for state in optimiser.state.values() for name in ("exp_avg", "exp_avg_sq")
            ]
            return ShardedStep(
                processes,
                sum(_local(p) for p in sharded.parameters()),
                sum(_local(p.grad) for p in sharded.parameters() if p.grad is not None),
                sum(map(_local, moments)),
                sum(isinstance(m, FSDPModule) for m in sharded.modules()),
            )
    finally:
        dist.destroy_process_group()


def _local(tensor: Tensor) -> int:
    """Numbers that this process holds."""
    return tensor.to_local().numel() if isinstance(tensor, DTensor) else tensor.numel()
