"""The networks of tests/golden, with their inputs and the reference implementation's outputs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lib.command import REPOSITORY
from sonimate.models.audio_networks import AudioTokensConfig, AudioToTokens
from sonimate.models.rife import IFNet, IFNetConfig
from sonimate.models.unet import SpatioTemporalUNet, UNetConfig

GOLDEN = REPOSITORY / "tests/golden"
MODULES = GOLDEN / "modules"
CLIPS, FRAMES = 3, 5
FLOAT32 = ("timestep", "added_time_ids")
"""Inputs that the UNet embeds in float32."""


@dataclass(frozen=True)
class GoldenCase:
    """network: float32, on the CPU. compute: its output for `inputs` of its own type and device. halves:
    whether it may compute in half precision; the full model's small networks never do (NOTES 1.7).
    """

    name: str
    network: nn.Module
    inputs: dict[str, Tensor]
    expected: Tensor
    compute: Callable[[Any, dict[str, Tensor]], Tensor]
    halves: bool = True

    @torch.inference_mode()
    def largest_difference(self, device: torch.device, dtype: torch.dtype) -> float:
        """The largest absolute difference from the reference's numbers, of any element."""
        network = deepcopy(self.network).to(device, dtype)
        found = self.compute(
            network,
            {
                name: x.to(device, torch.float32 if name in FLOAT32 else dtype)
                for name, x in self.inputs.items()
            },
        )
        return (found.float().cpu() - self.expected).abs().max().item()


def golden_cases() -> Iterator[GoldenCase]:
    """UNets of one and of two layers a block, audio tokens, RIFE and, if diffusers is installed, decoding."""
    sys.path.insert(0, str(GOLDEN))
    # tests/golden/recipe.py draws large weights from their names.
    from recipe import recipe, recipe_weights  # pyright: ignore[reportMissingImports]

    for network, size in (("unet_a", "16x16"), ("unet_a", "16x24"), ("unet_b", "16x16")):
        config = UNetConfig.from_dict(recipe(network)["config"])
        unet = _filled(SpatioTemporalUNet(config), recipe_weights(network))
        io = _stored(f"{network}_{size}_io")
        yield GoldenCase(f"{network} {size}", unet, io, io["out"], _predict)

    tokens = AudioToTokens(AudioTokensConfig(**_settings("audio2token")))
    io = _stored("audio2token_io")
    network = _filled(tokens, _stored("audio2token_weights"))
    yield GoldenCase(
        "audio tokens", network, {"x": io["x"]}, io["y"], lambda net, given: net(given["x"]), False
    )

    io = _stored("rife_io")
    pair = {"first": io["img0_64x64"], "second": io["img1_64x64"]}
    rife = _filled(IFNet(IFNetConfig()), recipe_weights("rife"))
    yield GoldenCase("RIFE", rife, pair, io["out_64x64"], _call, halves=False)

    try:
        from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
    except ImportError:
        return
    vae = _filled(AutoencoderKLTemporalDecoder(**_settings("vae")), _stored("vae_weights"))
    shared = load_file(GOLDEN / "pipeline/shared_inputs.safetensors")
    latents = {"z": shared["vae_decode_z"]}
    yield GoldenCase("decoding", vae, latents, shared["vae_decode_out5"], _decode)


def _predict(unet: SpatioTemporalUNet, io: dict[str, Tensor]) -> Tensor:
    return unet(
        io["sample"],
        io["timestep"],
        io["image_embeds"].unflatten(0, (CLIPS, FRAMES)),
        io["audio_tokens"].unflatten(0, (CLIPS, FRAMES)),
        io["added_time_ids"],
        io["face_mask"],
    )


def _call(network: Any, given: dict[str, Tensor]) -> Tensor:
    return network(**given)


def _decode(vae: Any, given: dict[str, Tensor]) -> Tensor:
    z = given["z"].flatten(0, 1) if given["z"].ndim == 5 else given["z"]
    return vae.decode(z, len(z), return_dict=False)[0]


def _filled(network: Any, weights: dict[str, Tensor]) -> Any:
    network.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return network.eval().requires_grad_(False)


def _stored(name: str) -> dict[str, Tensor]:
    return load_file(MODULES / f"{name}.safetensors")


def _settings(name: str) -> dict[str, Any]:
    return json.loads((MODULES / f"{name}_config.json").read_text())
