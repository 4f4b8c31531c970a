"""Memory of training is counted: dividing and checkpointing lower it, and plain cases are known."""

import pytest

from lib.training_memory import (
    Counts,
    activation_bytes,
    count,
    meta_denoiser,
    read_fsdp_settings,
    sharded_step,
    state_bytes,
    validation_bytes,
)
from sonimate.models.audio_networks import AudioTokensConfig
from sonimate.models.unet import UNetConfig
from sonimate.train.recipes import find_recipe

FSDP = find_recipe("fsdp")
UNET = UNetConfig(
    down_block_types=("CrossAttnDownBlockSpatioTemporal",),
    up_block_types=("CrossAttnUpBlockSpatioTemporal",),
    block_out_channels=(32,),
    num_attention_heads=(2,),
    layers_per_block=1,
    cross_attention_dim=16,
    addition_time_embed_dim=8,
    projection_class_embeddings_input_dim=24,
)
TOKENS = AudioTokensConfig(channels=4, intermediate_dim=16, output_dim=16, context_tokens=2)
PLAIN = Counts(trained=1_000_000, frozen=500, largest_part=1000)


def test_dividing_divides_all_but_what_is_gathered():
    one, eight = (state_bytes(PLAIN, processes=n)["FSDP"] for n in (1, 8))
    gathered = 2 * 2 * PLAIN.largest_part
    assert one == 4 * (5 * PLAIN.trained + PLAIN.frozen) + gathered
    assert eight - gathered == pytest.approx((one - gathered) / 8)
    assert (
        state_bytes(PLAIN, processes=8)["data-parallel"] == state_bytes(PLAIN, processes=1)["data-parallel"]
    )


def test_the_first_gpu_holds_a_whole_copy_to_validate():
    """However many share the rest; and what generates grows with the picture."""
    many = validation_bytes(PLAIN, processes=10**9, frames=25, side=8)["FSDP"]
    assert many > 4 * (PLAIN.trained + PLAIN.frozen)
    larger = validation_bytes(PLAIN, processes=10**9, frames=25, side=16)["FSDP"]
    assert larger > many
    fewer = validation_bytes(PLAIN, processes=2, frames=25, side=8)["FSDP"]
    assert fewer - many == pytest.approx(4 * (4 * PLAIN.trained + PLAIN.frozen) / 2, rel=1e-3)


@pytest.mark.slow
def test_checkpointing_holds_fewer_activations():
    held = [
        activation_bytes(meta_denoiser(UNET, TOKENS, checkpointing=on), frames=4, side=16)
        for on in (False, True)
    ]
    assert 0 < held[1] < 0.7 * held[0]


def test_two_processes_hold_half_each():
    plugin = read_fsdp_settings(FSDP)
    networks = meta_denoiser(UNET, TOKENS, checkpointing=True)
    counts = count(networks, tuple(plugin.transformer_cls_names_to_wrap or ()))
    step = sharded_step(networks, plugin, processes=2, frames=2, side=8)
    assert step.parameters == pytest.approx((counts.trained + counts.frozen) / 2, rel=0.02)
    assert step.optimiser_states == pytest.approx(counts.trained, rel=0.02)
    assert counts.largest_part < counts.trained
    assert step.parts > 2
