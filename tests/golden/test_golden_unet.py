"""The UNet and its parts against the official code's numbers (provenance and tolerances: README.md here)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from manifests import read_manifest
from recipe import recipe, recipe_weights
from safetensors.torch import load_file
from torch import Tensor
from torch.testing import assert_close

from sonimate.checkpoints.store import load_strict
from sonimate.checkpoints.stream import shapes_of
from sonimate.models.attention import Context, downsample_mask
from sonimate.models.embeddings import sinusoidal_embedding
from sonimate.models.unet import SpatioTemporalUNet, UNetConfig

HERE = Path(__file__).parent
TOLERANCE: dict[str, Any] = {"atol": 3e-5, "rtol": 0.0}
MASK_TOLERANCE: dict[str, Any] = {"atol": 1e-5, "rtol": 0.0}
CLIPS, FRAMES = 3, 5
MASKS = json.loads((HERE / "modules/mask_downsample_cases.json").read_text())


def build(name: str) -> SpatioTemporalUNet:
    unet = SpatioTemporalUNet(UNetConfig.from_dict(recipe(name)["config"])).eval()
    load_strict(unet, recipe_weights(name), name)
    return unet


@pytest.fixture(scope="module")
def unet_a() -> SpatioTemporalUNet:
    return build("unet_a")


@pytest.fixture(scope="module")
def parts() -> dict[str, Tensor]:
    return load_file(HERE / "modules/unet_a_submodules.safetensors")


@torch.inference_mode()
def run(unet: SpatioTemporalUNet, io: dict[str, Tensor], **changes: object) -> Tensor:
    inputs = {
        "timestep": io["timestep"],
        "image_embeds": io["image_embeds"].unflatten(0, (CLIPS, FRAMES)),
        "audio_tokens": io["audio_tokens"].unflatten(0, (CLIPS, FRAMES)),
        "added_time_ids": io["added_time_ids"],
        "mask": io["face_mask"],
    }
    return unet(io["sample"], **(inputs | changes))


def test_full_unet_has_exactly_the_released_tensors():
    with torch.device("meta"):
        unet = SpatioTemporalUNet(UNetConfig())
    expected = read_manifest(HERE / "manifests/unet.pth.json.gz")
    assert list(shapes_of(unet.state_dict()).items()) == list(expected.items())
    assert len(expected) == 1492
    assert sum(p.numel() for p in unet.parameters()) == 1_575_741_162


def test_recipe_gives_the_stored_weights(unet_a):
    stored = load_file(HERE / "modules/unet_a_weights.safetensors")
    assert_close(unet_a.state_dict(), {name: t.float() for name, t in stored.items()}, rtol=0.0, atol=0.0)


@pytest.mark.parametrize(
    ("output", "changes"),
    [
        ("out", {}),
        ("out_no_mask", {"mask": None}),
        ("out_mask_zeros", {"mask": torch.zeros(1, 1, 128, 128)}),
        ("out_timestep_low", {"timestep": -1.5536521}),
    ],
)
def test_unet_square(unet_a, output, changes):
    io = load_file(HERE / "modules/unet_a_16x16_io.safetensors")
    assert_close(run(unet_a, io, **changes), io[output], **TOLERANCE)


def test_unet_wide(unet_a):
    io = load_file(HERE / "modules/unet_a_16x24_io.safetensors")
    assert_close(run(unet_a, io), io["out"], **TOLERANCE)


def test_unet_with_two_layers_per_block():
    io = load_file(HERE / "modules/unet_b_16x16_io.safetensors")
    assert_close(run(build("unet_b"), io), io["out"], **TOLERANCE)


@torch.inference_mode()
def test_transformer(unet_a, parts):
    context = Context(
        parts["st_image_embeds"].unflatten(0, (2, FRAMES)),
        parts["st_audio"].unflatten(0, (2, FRAMES)),
        parts["st_mask"],
    )
    out = unet_a.down_blocks[0].attentions[0](parts["st_hidden"], context)
    assert_close(out, parts["st_out"], **TOLERANCE)


@torch.inference_mode()
@pytest.mark.parametrize("masked", [True, False])
def test_spatial_cross_attention(unet_a, parts, masked):
    attention = unet_a.down_blocks[0].attentions[0].transformer_blocks[0].attn2
    query = parts["attn_q"]
    mask = downsample_mask(parts["st_mask"], query.shape[1])[..., None] if masked else None
    out = attention(query, parts["st_image_embeds"], parts["st_audio"], mask)
    assert_close(out, parts["attn_out_masked" if masked else "attn_out_unmasked"], **TOLERANCE)


@torch.inference_mode()
def test_temporal_cross_attention(unet_a, parts):
    attention = unet_a.down_blocks[0].attentions[0].temporal_transformer_blocks[0].attn2
    out = attention(parts["tattn_q"], parts["tattn_image"], parts["tattn_audio"])
    assert_close(out, parts["tattn_out"], **TOLERANCE)


@torch.inference_mode()
def test_residual_block(unet_a, parts):
    time = torch.nn.functional.silu(parts["res_temb"])
    out = unet_a.down_blocks[0].resnets[0](parts["st_hidden"], time, FRAMES)
    assert_close(out, parts["res_out"], **TOLERANCE)


@pytest.mark.parametrize("dim", [8, 32])
def test_sinusoidal_embedding(parts, dim):
    assert_close(sinusoidal_embedding(parts["sincos_t"], dim), parts[f"sincos_dim{dim}"], **TOLERANCE)


@pytest.mark.parametrize("case", MASKS, ids=lambda case: case["key"])
def test_mask_downsampling(case):
    stored = load_file(HERE / "modules/mask_downsample.safetensors")
    height, width = case["mask_hw"]
    if case["key"].startswith("soft"):
        mask = stored["soft_mask_64x96"][None]
    else:
        mask = torch.zeros(1, 1, height, width)
        mask[..., height // 5 : height * 4 // 5, width // 4 + 1 : width * 3 // 4] = 1
    assert_close(downsample_mask(mask, case["num_queries"])[0], stored[case["key"]], **MASK_TOLERANCE)


@pytest.mark.parametrize("case", ["unet_a_16x16", "unet_a_16x24", "unet_b_16x16"])
def test_every_block_has_the_reference_activations(case):
    expected = json.loads((HERE / f"modules/{case}_activation_stats.json").read_text())
    unet = build(case[:6])
    seen: dict[str, Tensor] = {}

    def keep(name):
        def hook(module, inputs, output):
            seen[name] = (output if isinstance(output, Tensor) else output[0]).detach()

        return hook

    modules = dict(unet.named_modules())
    assert expected.keys() <= modules.keys()
    for name in expected:
        modules[name].register_forward_hook(keep(name))
    run(unet, load_file(HERE / f"modules/{case}_io.safetensors"))
    for name, stats in expected.items():
        values = seen[name].contiguous().flatten()
        found = {
            "mean": values.mean(),
            "std": values.std(correction=0),
            "min": values.min(),
            "max": values.max(),
        }
        assert values.numel() == stats["numel"], name
        for key, value in found.items():
            assert value.item() == pytest.approx(stats[key], abs=3e-5, rel=1e-5), (name, key)
        np.testing.assert_allclose(values[:8], stats["first8"], atol=3e-5, err_msg=name)
