"""Properties of the UNet: what each input may and may not influence, cost of the context, training."""

import shutil
from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from sonimate.errors import InvalidCheckpoint
from sonimate.models.attention import Context, CrossAttention, GroupNorm, downsample_mask, token_grid
from sonimate.models.embeddings import MIN_ROWS, with_min_rows
from sonimate.models.unet import SpatioTemporalUNet, UNetConfig

COMPACT = UNetConfig(
    in_channels=6,
    out_channels=3,
    block_out_channels=(16, 32),
    down_block_types=("DownBlock", "CrossAttnDownBlock"),
    up_block_types=("CrossAttnUpBlock", "UpBlock"),
    num_attention_heads=(2, 4),
    layers_per_block=1,
    cross_attention_dim=12,
    addition_time_embed_dim=8,
    projection_class_embeddings_input_dim=24,
    norm_num_groups=4,
)
BATCH, FRAMES, TOKENS, SIDE = 2, 3, 5, 8


@pytest.fixture
def unet() -> SpatioTemporalUNet:
    torch.manual_seed(0)
    return SpatioTemporalUNet(COMPACT)


@pytest.fixture
def inputs() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return {
        "sample": torch.randn(BATCH, FRAMES, 6, SIDE, SIDE, generator=random),
        "timestep": torch.randn(BATCH, generator=random),
        "image_embeds": torch.randn(BATCH, FRAMES, 1, 12, generator=random),
        "audio_tokens": torch.randn(BATCH, FRAMES, TOKENS, 12, generator=random),
        "added_time_ids": torch.rand(BATCH, 3, generator=random) * 20,
        "mask": torch.rand(1, 1, SIDE, SIDE, generator=random),
    }


@torch.inference_mode()
def test_windows_of_a_batch_do_not_influence_each_other(unet, inputs):
    together = unet(**inputs)
    assert together.shape == (BATCH, FRAMES, 3, SIDE, SIDE)
    for row in range(BATCH):
        alone = unet(**{k: v if k == "mask" else v[row : row + 1] for k, v in inputs.items()})
        assert_close(alone, together[row : row + 1], atol=1e-5, rtol=0.0)


@torch.inference_mode()
def test_masks_may_differ_within_a_batch(unet, inputs):
    masks = torch.cat([inputs["mask"], torch.zeros_like(inputs["mask"])])
    together = unet(**inputs | {"mask": masks})
    for row in range(BATCH):
        single = unet(**inputs | {"mask": masks[row : row + 1]})
        assert_close(single[row], together[row], atol=1e-5, rtol=0.0)


@torch.inference_mode()
def test_audio_reaches_every_pixel_through_time_but_only_its_mean_without_mask(unet, inputs):
    """With an empty mask only temporal attention hears, and it hears the window's mean (eq. 2)."""
    silent = inputs | {"mask": torch.zeros(1, 1, SIDE, SIDE)}
    before = unet(**silent)
    shuffled = unet(**silent | {"audio_tokens": inputs["audio_tokens"].flip(1)})
    assert_close(shuffled, before, atol=1e-5, rtol=0.0)
    changed = unet(**silent | {"audio_tokens": inputs["audio_tokens"] + 1})
    assert ((changed - before).abs().amax(dim=(0, 1, 2)) > 1e-6).all()
    heard = unet(**inputs | {"audio_tokens": inputs["audio_tokens"].flip(1)})
    assert not torch.allclose(heard, unet(**inputs), atol=1e-4)


@torch.inference_mode()
def test_context_is_projected_per_window_and_per_frame_never_per_pixel(unet, inputs):
    rows: Counter[tuple[str, str]] = Counter()
    for name, module in unet.named_modules():
        if isinstance(module, CrossAttention):
            for projection, label in ((module.to_v, "image"), (module.processor.to_k_ip[0], "audio")):
                projection.register_forward_hook(
                    lambda _m, args, _out, key=(name, label): rows.update({key: args[0].shape[:-1].numel()})
                )
    unet(**inputs)
    found = {
        (("temporal" if "temporal" in name else "spatial"), label, n) for (name, label), n in rows.items()
    }
    assert found == {
        ("temporal", "image", max(BATCH, MIN_ROWS)),  # few rows are padded
        ("temporal", "audio", BATCH * TOKENS),
        ("spatial", "image", BATCH * max(FRAMES, MIN_ROWS)),
        ("spatial", "audio", BATCH * FRAMES * TOKENS),
    }


def gradients(unet: SpatioTemporalUNet, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    unet.zero_grad()
    unet(**inputs).square().mean().backward()
    return {name: p.grad.clone() for name, p in unet.named_parameters() if p.grad is not None}


def test_every_parameter_learns_except_the_keys_of_the_single_image_token(unet, inputs):
    learned = gradients(unet, inputs)
    idle = {name for name, p in unet.named_parameters() if name not in learned or not p.grad.any()}
    assert idle == {name for name in unet.state_dict() if name.endswith("attn2.to_k.weight")}


def test_gradient_checkpointing_changes_no_gradient(unet, inputs):
    stored = gradients(unet, inputs)
    unet.enable_gradient_checkpointing()
    recomputed = gradients(unet, inputs)
    assert_close(recomputed, stored, atol=1e-6, rtol=1e-4)


def test_gradient_checkpointing_runs_the_blocks_again(unet, inputs):
    runs = []
    unet.mid_block.attentions[0].register_forward_pre_hook(lambda *_: runs.append(1))
    unet.enable_gradient_checkpointing()
    gradients(unet, inputs)
    assert len(runs) == 2


def test_each_mask_grid_is_made_once(inputs):
    context = Context(inputs["image_embeds"], inputs["audio_tokens"], inputs["mask"])
    assert context.mask_for(16) is context.mask_for(16)


def test_bfloat16_autocast_stays_close(unet, inputs):
    exact = unet(**inputs)
    with torch.autocast("cpu", torch.bfloat16):
        rough = unet(**inputs)
    assert (rough - exact).abs().mean() < 0.03 * exact.abs().mean()


@torch.inference_mode()
@pytest.mark.parametrize(("dtype", "error"), [(torch.bfloat16, 0.03), (torch.float16, 0.004)], ids=str)
def test_half_precision_stays_close(unet, inputs, dtype, error):
    """An eighth of the mantissa, an eighth of the error; the mask and the scalars stay in float32."""
    exact = unet(**inputs)
    wide = {name: inputs[name] for name in ("timestep", "added_time_ids", "mask")}
    rough = unet.to(dtype)(**{name: tensor.to(dtype) for name, tensor in inputs.items()} | wide)
    assert rough.dtype == dtype
    assert (rough.float() - exact).abs().mean() < error * exact.abs().mean()


@pytest.mark.parametrize("shape", [(1, 4), (2, 1, 4), (MIN_ROWS, 4), (20, 4)], ids=str)
def test_few_rows_are_padded_for_a_layer_and_cut_again(shape):
    seen, x = [], torch.randn(shape)

    def double(rows):
        seen.append(rows.shape)
        return 2 * rows

    assert_close(with_min_rows(double, x), 2 * x)
    assert seen == [(max(shape[0], MIN_ROWS), *shape[1:])]


@torch.inference_mode()
def test_layers_in_pieces_are_the_whole(unet, inputs, monkeypatch):
    """At most two frames of 16 tokens of one window, or as many pixels as fill 2 x 3 frames of them."""
    whole = unet(**inputs)
    rows = {"transformer_blocks.0.ff": [], "temporal_transformer_blocks.0.ff": []}
    for name, seen in rows.items():
        layer = unet.mid_block.attentions[0].get_submodule(name)
        layer.register_forward_hook(lambda _m, args, _out, seen=seen: seen.append(args[0].shape))
    monkeypatch.setattr("sonimate.models.attention.PIECE_TOKENS", 32)
    assert_close(unet(**inputs), whole, atol=1e-5, rtol=0)
    assert rows == {
        "transformer_blocks.0.ff": [(2, 16, 32), (1, 16, 32)] * BATCH,
        "temporal_transformer_blocks.0.ff": [(BATCH, 5 * FRAMES, 32)] * 3 + [(BATCH, 1 * FRAMES, 32)],
    }


@torch.inference_mode()
@pytest.mark.parametrize(("side", "calls"), [(8, 1), (32, 6)])
def test_only_large_maps_are_normed_one_by_one(side, calls, monkeypatch):
    """Of small ones a call each would take longer than their arithmetic."""
    x, seen = torch.randn(6, 8, side, side), []
    whole = torch.nn.GroupNorm(4, 8)(x)
    norm = torch.nn.functional.group_norm
    monkeypatch.setattr(
        torch.nn.functional, "group_norm", lambda x, *args: (seen.append(len(x)), norm(x, *args))[1]
    )
    assert_close(GroupNorm(4, 8)(x), whole, atol=1e-5, rtol=0)
    assert len(seen) == calls


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # in what torch.compile itself imports
@torch.inference_mode()
def test_compiles_without_a_graph_break(unet, inputs):
    compiled = torch.compile(unet, dynamic=False, fullgraph=True)
    assert_close(compiled(**inputs), unet(**inputs), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("height", "width", "n_tokens", "grid"), [(896, 576, 8064, (112, 72)), (8, 8, 16, (4, 4))]
)
def test_token_grid(height, width, n_tokens, grid):
    assert token_grid(height, width, n_tokens) == grid


def test_mask_of_latent_size_is_not_resampled():
    mask = torch.rand(1, 1, 8, 12)
    assert_close(downsample_mask(mask, 96), mask.flatten(1))


def test_config_survives_saving():
    assert (
        UNetConfig.from_dict(COMPACT.to_dict() | {"_class_name": "SpatioTemporalUNet", "num_frames": 25})
        == COMPACT
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"num_attention_heads": (2,)}, "num_attention_heads"),
        ({"down_block_types": ("DownBlock", "AttnDownBlock")}, "'AttnDownBlock'"),
        ({"projection_class_embeddings_input_dim": 16}, "projection_class_embeddings_input_dim"),
    ],
)
def test_inconsistent_config_is_refused_by_name(change, named):
    with pytest.raises(InvalidCheckpoint, match=named):
        replace(COMPACT, **change)


def test_unknown_setting_is_refused():
    with pytest.raises(InvalidCheckpoint, match="flash"):
        UNetConfig.from_dict({"flash": 1})


def test_image_context_of_several_tokens_is_refused(unet, inputs):
    with pytest.raises(ValueError, match="image_embeds"):
        unet(**inputs | {"image_embeds": inputs["image_embeds"].repeat(1, 1, 2, 1)})
