"""Our UNet and diffusers' of the same size, and random inputs for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar
from unittest.mock import patch

import torch
from torch import Tensor, nn

from sonimate.clock import LATENT_FPS
from sonimate.models.unet import UNetConfig
from sonimate.types import Conditions

Network = TypeVar("Network", bound=nn.Module)
BRANCHES, TOKENS = 3, 32
"""Guidance branches in one call, and audio tokens a frame."""


def stock_unet(config: UNetConfig) -> nn.Module:
    """diffusers' UNet of the same size; its norms always have 32 groups, which need not divide `config`'s."""
    from diffusers.models.unets.unet_spatio_temporal_condition import UNetSpatioTemporalConditionModel

    group_norm = nn.GroupNorm

    def with_configured_groups(num_groups: int, num_channels: int, **options) -> nn.GroupNorm:
        return group_norm(config.norm_num_groups, num_channels, **options)

    with patch.object(nn, "GroupNorm", with_configured_groups):
        return UNetSpatioTemporalConditionModel(
            down_block_types=config.down_block_types,  # pyright: ignore[reportArgumentType]
            up_block_types=config.up_block_types,  # pyright: ignore[reportArgumentType]
            layers_per_block=config.layers_per_block,
            block_out_channels=config.block_out_channels,  # pyright: ignore[reportArgumentType]
            num_attention_heads=config.num_attention_heads,
            cross_attention_dim=config.cross_attention_dim,
        )


def random_inputs(config: UNetConfig, frames: int, side: int) -> dict[str, Tensor]:
    """Arguments of our UNet for one window in all guidance branches."""
    width = config.cross_attention_dim
    return {
        "sample": torch.randn(BRANCHES, frames, config.in_channels, side, side),
        "timestep": torch.tensor(0.3),
        "image_embeds": torch.randn(BRANCHES, 1, 1, width).expand(-1, frames, -1, -1),
        "audio_tokens": torch.randn(BRANCHES, frames, TOKENS, width),
        "added_time_ids": torch.rand(BRANCHES, 3) * 20,
        "mask": torch.rand(1, 1, side, side),
    }


def random_conditions(config: UNetConfig, frames: int, side: int) -> Conditions:
    """What the sampler makes such arguments from."""
    inputs = random_inputs(config, frames, side)
    return Conditions(
        image_embeds=inputs["image_embeds"][0],
        audio_tokens=inputs["audio_tokens"][0],
        null_audio_tokens=inputs["audio_tokens"][1],
        motion_buckets=torch.full((frames, 2), 16.0),
        reference_latents=torch.randn(config.in_channels - config.out_channels, side, side),
        mask=inputs["mask"][0, 0],
        fps=LATENT_FPS,
    )


def stock_inputs(inputs: dict[str, Tensor]) -> dict:
    """The same for diffusers' UNet, which has no audio inputs."""
    return {
        "sample": inputs["sample"],
        "timestep": inputs["timestep"],
        "encoder_hidden_states": inputs["image_embeds"][:, 0],
        "added_time_ids": inputs["added_time_ids"],
        "return_dict": False,
    }


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def filled(build: Callable[[], Network]) -> Network:
    """A network with random weights that keep the variance of its inputs. The libraries' own initialisation
    of large ones would take minutes."""
    random = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        network = build()
    network.to_empty(device="cpu").eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            bound = math.sqrt(3 / parameter[0].numel())
            parameter.uniform_(-bound, bound, generator=random)
        else:
            parameter.fill_(1.0 if name.endswith("weight") else 0.0)
    return network
