"""Training of the compact model: its samples, its validation, the model it saves; and recipes."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from faces import codec
from train_samples import BUCKET_DIM, CHANNELS, CONFIG, DATA, SAMPLES, TOKEN_DIM

from sonimate.checkpoints.registry import BUNDLED, COMPACT_COMPONENTS, TONGUE_READER, UNET, VOICE_DETECTOR
from sonimate.checkpoints.store import load_mesh_codec, load_network
from sonimate.configs import COMPACT
from sonimate.errors import FileMissing, InvalidRecipe, OptionOutOfRange
from sonimate.footage.clip_id import ClipId
from sonimate.models.unet import FIXED_BUCKET
from sonimate.train.compact_task import CompactTask
from sonimate.train.config import RANGES, CompactConfig, FullConfig, read_changes, read_recipe
from sonimate.train.recipes import find_recipe
from sonimate.train.validation import animate_sample, component_gains, lip_gap_cm, lip_scores


def test_held_out_speakers_are_never_drawn():
    task = CompactTask(replace(CONFIG, held_out=("a", "d")), DATA)
    drawn = {name for step in range(4) for name in task.batch(step, range(64)).names}
    assert {ClipId.parse(name).source for name in drawn} == set("bcef")


def test_saved_networks_load_as_components_and_as_a_start(tmp_path):
    task = CompactTask(CONFIG, DATA)
    task.save(task.networks, tmp_path)
    again = CompactTask(replace(CONFIG, seed=5), DATA, tmp_path / "model")
    saved = {**dict(task.networks.named_children()), "audio_to_bucket": task.audio_to_bucket}
    started = {**dict(again.networks.named_children()), "audio_to_bucket": again.audio_to_bucket}
    trained = [part for part in COMPACT_COMPONENTS if part.name in saved]
    assert len(trained) == 4
    for part in trained:
        loaded = load_network(tmp_path / "model", part)
        for key, tensor in saved[part.name].state_dict().items():
            torch.testing.assert_close(loaded.state_dict()[key], tensor, atol=1e-3, rtol=1e-3)
            assert torch.equal(loaded.state_dict()[key], started[part.name].state_dict()[key])
    for part in (VOICE_DETECTOR, TONGUE_READER):
        copied, bundled = (load_network(model, part) for model in (tmp_path / "model", BUNDLED / "compact"))
        assert torch.equal(copied.reduce.weight, bundled.reduce.weight)


@pytest.mark.parametrize("switch", ["temporal_audio", "motion_controller"])
def test_a_part_that_is_left_out_has_no_effect_and_is_recorded(switch, tmp_path):
    """Table 3 of the paper: without temporal audio attention, without motion controller."""
    task = CompactTask(replace(CONFIG, **{switch: False}), DATA)
    task.save(task.networks, tmp_path)
    unet = load_network(tmp_path / "model", UNET)
    assert unet.config.without == (switch,)
    full = CompactTask(CONFIG, DATA).networks.unet
    full.load_state_dict(unet.state_dict())
    batch = task.batch(0, range(2))
    other_sound, other_buckets = batch.features.roll(1, 1), batch.buckets + 20
    frames = batch.latents.shape[1]
    tokens = task.networks.audio_to_tokens.eval().project
    image = torch.randn(2, 1, 1, 16, generator=torch.Generator().manual_seed(0)).expand(-1, frames, -1, -1)
    sample = torch.cat([batch.latents, batch.reference[:, None].expand(-1, frames, -1, -1, -1)], dim=2)

    @torch.no_grad()
    def velocity(network, features, buckets, mask):
        ids = torch.cat([torch.full((2, 1), 12.5), buckets], dim=1)
        return network.eval()(sample, torch.zeros(2), image, tokens(features), ids, mask)

    nowhere = torch.zeros_like(batch.mask)  # only temporal attention uses the sound
    if switch == "temporal_audio":
        changes = [(batch.features, batch.buckets, nowhere), (2 * other_sound, batch.buckets, nowhere)]
    else:
        fixed = torch.full_like(batch.buckets, FIXED_BUCKET)
        changes = [(batch.features, fixed, batch.mask), (batch.features, other_buckets, batch.mask)]
        torch.testing.assert_close(velocity(full, *changes[0]), velocity(unet, *changes[1]))
    assert torch.equal(velocity(unet, *changes[0]), velocity(unet, *changes[1]))
    assert not torch.allclose(velocity(full, *changes[0]), velocity(full, *changes[1]), atol=1e-4)


@pytest.mark.parametrize("switch", ["temporal_audio", "motion_controller"])
def test_every_trained_parameter_has_a_gradient(switch):
    """Otherwise data-parallel training would wait for the gradient for ever."""
    for config in (CONFIG, replace(CONFIG, **{switch: False})):
        networks = CompactTask(config, DATA).networks
        networks(CompactTask(config, DATA).batch(0, range(2))).sum().backward()
        idle = [name for name, p in networks.named_parameters() if p.requires_grad and p.grad is None]
        assert idle == []


def test_samples_are_animated_and_measured():
    networks = CompactTask(CONFIG, DATA).networks
    options = replace(COMPACT, steps=2, window_frames=5, shift_offset=2)
    generated, real = animate_sample(networks, codec(), SAMPLES[0], DATA.silence_rows[0], options)
    assert generated.shape == real.shape == SAMPLES[0].expression.shape
    gap = lip_gap_cm(codec(), real)
    assert lip_scores([(gap, gap)]) == pytest.approx({"lip_r": 1.0, "lip_ratio": 1.0})


def test_gains_give_components_their_spread_back_within_limits():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(2, 50, 4)) + 3
    generated = [clip * [0.8, 1.25, 0.1, 10.0] for clip in real]
    gains = component_gains(zip(generated, real, strict=True), width=np.array([0.1, -1.0, 0.1, 0.1]))
    np.testing.assert_allclose(gains, [1.25, 0.8 * 1.5, 2.0, 0.5])


def test_a_saved_model_has_gains(tmp_path):
    task = CompactTask(replace(CONFIG, sampling={"steps": 1}), DATA)
    task.save(task.networks, tmp_path)
    gains = load_mesh_codec(tmp_path / "model" / "codec").gains
    assert gains.shape == (len(codec().basis),)
    assert gains.std() > 0


def test_rows_outside_the_sound_are_reduced_zeros():
    tokens, buckets = DATA.silence_rows
    np.testing.assert_allclose(tokens, np.full(TOKEN_DIM, -5.0 * CHANNELS))
    np.testing.assert_allclose(buckets, np.zeros(BUCKET_DIM))


def test_recipes_are_read_and_changed():
    config = read_recipe("compact", steps=7, held_out=["x"], learning_rate="3e-4")
    assert isinstance(config, CompactConfig)
    assert (config.steps, config.held_out, config.learning_rate) == (7, ("x",), 3e-4)
    assert isinstance(read_recipe("full"), FullConfig)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("learning_rat: 1", "learning_rat"),
        ("learning_rate: fast", "learning_rate = 'fast'; give a number"),
        ("temporal_audio: 0", "temporal_audio = 0; give a value of type bool"),
        ("steps: -1", "steps = -1"),
        ("sampling: {step: 3}", "sampling: step"),
        ("model: huge", "model = 'huge'; choose one of compact, full"),
        ("sampling: {steps: 0}", "sampling = {'steps': 0}: Out of range among steps = 0"),
        ("sampling: {steps: many}", "sampling = {'steps': 'many'}"),
        ("sampling: 3", "sampling = 3; give a value of type dict"),
        ("checkpoint_every: 0", "checkpoint_every = 0; give a number from 1 to 10000000"),
        ("validate_every: 0", "validate_every = 0; give a number from 1"),
        ("learning_rate: .nan", "learning_rate = nan; give a finite number"),
        ("mixed_precision: bf8", "mixed_precision = 'bf8'; choose one of no, bf16, fp16"),
        ("real_share: 2", "real_share = 2.0; give a number from 0 to 1"),
        ("learning_rate: 1e9", "learning_rate = 1000000000.0; give a number from 0 to 1"),
        ("batch_size: 100000", "batch_size = 100000; give a number from 1 to 65536"),
        ("adam_beta2: 1", "adam_beta2 = 1.0; give a number from 0 to 0.999999"),
        ("sigma_mean: -11", "sigma_mean = -11.0; give a number from -10 to 10"),
    ],
)
def test_wrong_recipes_are_refused_naming_the_key(line, message, tmp_path):
    recipe = tmp_path / "wrong.yaml"
    lines = find_recipe("compact").read_text().splitlines()
    key = line.partition(":")[0] + ":"
    recipe.write_text("\n".join([*(text for text in lines if not text.startswith(key)), line]))
    with pytest.raises(OptionOutOfRange, match=message):
        read_recipe(recipe)
    with pytest.raises(FileMissing, match="absent"):
        read_recipe(tmp_path / "absent.yaml")


@pytest.mark.parametrize("size", [CompactConfig, FullConfig])
def test_every_number_of_a_recipe_has_a_range(size):
    numbers = {spec.name for spec in fields(size) if spec.type in ("int", "float")}
    assert numbers <= set(RANGES)


def test_settings_of_the_command_line_are_converted():
    """YAML reads no as false, and a single name must not become a list of letters."""
    changes = read_changes(["mixed_precision=no", "held_out=id01", "sampling={audio_guidance: [1, 5]}"])
    config = read_recipe("compact", **changes)
    assert (config.mixed_precision, config.held_out) == ("no", ("id01",))
    assert config.sampling_options == replace(COMPACT, audio_guidance=(1, 5))
    names = [read_recipe("full", **read_changes([f"held_out={x}"])).held_out for x in ("", "[1, b]")]
    assert names == [(), ("1", "b")]
    for setting, message in (("sampling={a", "is not YAML"), ("steps", "is not KEY=VALUE")):
        with pytest.raises(OptionOutOfRange, match=message):
            read_changes([setting])


@pytest.mark.parametrize(
    "content",
    [
        b"model: compact\n\xff\xfe\x00",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\xff\xfeA",
        b"a: b: c",
    ],
)
def test_a_recipe_that_is_no_yaml_is_refused(content, tmp_path):
    (tmp_path / "recipe.yaml").write_bytes(content)
    with pytest.raises(InvalidRecipe, match=r"recipe\.yaml is no YAML"):
        read_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unet": CONFIG.unet | {"depth": 3}}, "settings of unet are wrong: .*depth"),
        ({"audio_bucket": {"channels": "many"}}, "settings of audio_to_bucket are wrong"),
        (
            {"audio_tokens": CONFIG.audio_tokens | {"reduced_dim": 7}},
            "audio_tokens: the recipe reduces 20 features to 7, the data 20 to 3",
        ),
    ],
)
def test_settings_of_networks_that_do_not_fit_are_named(changes, message):
    with pytest.raises(OptionOutOfRange, match=message):
        CompactTask(replace(CONFIG, **changes), DATA)
