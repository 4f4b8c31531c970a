"""A tiny training run learns, goes on after a kill as if nothing had happened, and says when it fails."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from faces import codec, poses

from sonimate.checkpoints.saved import NETWORKS, load_network
from sonimate.configs import COMPACT
from sonimate.data.features import Reducer
from sonimate.data.samples import Sample
from sonimate.errors import FileMissing, OptionOutOfRange
from sonimate.train.buckets import train_buckets
from sonimate.train.config import TrainConfig
from sonimate.train.loop import Trainer, TrainingDiverged
from sonimate.train.networks import Networks, outside_rows
from sonimate.train.validate import gap_cm, generate, lip_scores

CHANNELS, TOKEN_DIM, BUCKET_DIM = 4, 3, 2
CONFIG = TrainConfig(
    unet={
        "in_channels": 36,
        "out_channels": 18,
        "down_block_types": ["DownBlockSpatioTemporal", "CrossAttnDownBlockSpatioTemporal"],
        "up_block_types": ["CrossAttnUpBlockSpatioTemporal", "UpBlockSpatioTemporal"],
        "block_out_channels": [16, 16],
        "num_attention_heads": [2, 2],
        "layers_per_block": 1,
        "cross_attention_dim": 16,
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 24,
        "norm_num_groups": 4,
    },
    audio_tokens={
        "channels": CHANNELS,
        "intermediate_dim": 16,
        "output_dim": 16,
        "context_tokens": 2,
        "reduced_dim": TOKEN_DIM,
        "dropout": 0.1,
    },
    audio_bucket={
        "channels": CHANNELS,
        "intermediate_dim": 16,
        "clip_channels": 16,
        "reduced_dim": BUCKET_DIM,
    },
    reference_encoder={"latent_size": 1152, "hidden_dim": 16, "output_dim": 16},
    steps=9,
    batch_size=2,
    frames=4,
    warmup_steps=2,
    checkpoint_every=4,
    validate_every=100,
    learning_rate=3e-3,
)
REDUCERS = (
    Reducer(np.ones(5 * CHANNELS, np.float32), np.ones((TOKEN_DIM, 5 * CHANNELS), np.float32)),
    Reducer(np.zeros(CHANNELS, np.float32), np.ones((BUCKET_DIM, CHANNELS), np.float32)),
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def sample(name: str, seed: int) -> Sample:
    """A face that moves with its sound; the liveliness of its head shows in its bucket features."""
    rng = np.random.default_rng(seed)
    pose = poses(30, rng, turn=0.05)
    pose = replace(pose, scale=np.full(30, 10.0), translation=0.02 * pose.translation)
    voice = rng.normal(size=(60, TOKEN_DIM))
    expression = np.zeros((30, len(codec().basis)))
    expression[:, :3] = 2 * voice[::2]
    head = float(rng.uniform(0, 60))
    return Sample(
        name,
        name,
        "real",
        expression,
        pose.scale,
        pose.rotation,
        pose.translation,
        token_rows=voice,
        bucket_rows=np.full((60, BUCKET_DIM), head / 30 - 1),
        buckets=np.array([head, 30.0]),
    )


SAMPLES = [sample(name, seed) for seed, name in enumerate("abcdef")]


class Recorded(Trainer):
    """Keeps every step's loss, and dies before a chosen step."""

    def __init__(self, *arguments, dies_at: int | None = None, **options):
        super().__init__(*arguments, **options)
        self.losses: dict[int, float] = {}
        self.dies_at = dies_at

    def _train_step(self) -> float:
        if self.step == self.dies_at:
            raise KeyboardInterrupt
        self.losses[self.step] = super()._train_step()
        return self.losses[self.step]


def trainer(out: Path, config: TrainConfig = CONFIG, **options) -> Recorded:
    return Recorded(config, SAMPLES, codec(), REDUCERS, out, **options)


def test_the_loss_falls_on_one_batch(tmp_path):
    """At much noise the network must know the batch by heart."""
    learn = replace(CONFIG, steps=60, checkpoint_every=1000, sigma_mean=3.0, sigma_std=0.1, drop_both=0.0)
    run = trainer(tmp_path, replace(learn, drop_audio=0.0, drop_image=0.0, learning_rate=1e-2))
    batch = run.windows.batch(0)
    run.windows.batch = lambda step: batch
    run.run()
    losses = list(run.losses.values())
    assert np.mean(losses[-10:]) < 0.3 * np.mean(losses[:5])


def test_a_killed_run_goes_on_as_if_it_had_not_been(tmp_path):
    whole = trainer(tmp_path / "whole")
    expected = whole.run()
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "killed", dies_at=6).run()
    resumed = trainer(tmp_path / "killed")
    averaged = resumed.run()
    assert list(resumed.losses) == [4, 5, 6, 7, 8]
    for step, loss in resumed.losses.items():
        assert loss == pytest.approx(whole.losses[step], abs=1e-6)
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(averaged.state_dict()[name], tensor, atol=1e-6, rtol=1e-5)


def test_a_kill_between_checkpoints_falls_back_to_the_previous(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, dies_at=5).run()
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.previous")
    (tmp_path / "checkpoint.partial").mkdir()
    resumed = trainer(tmp_path)
    resumed.run()
    assert min(resumed.losses) == 4
    assert (tmp_path / "checkpoint" / "step.json").exists()
    assert not (tmp_path / "checkpoint.previous").exists()


def test_a_finished_run_trains_no_further(tmp_path):
    trainer(tmp_path).run()
    again = trainer(tmp_path)
    again.run()
    assert again.losses == {}


def test_held_out_speakers_are_never_drawn(tmp_path):
    run = trainer(tmp_path, replace(CONFIG, held_out=("a", "d"), batch_size=64))
    drawn = {head.item() for step in range(4) for head in run.windows.batch(step).buckets[:, 0]}
    assert drawn == {np.float32(s.buckets[0]) for s in SAMPLES if s.speaker not in ("a", "d")}


def test_divergence_stops_with_the_step_and_what_to_do(tmp_path):
    run = trainer(tmp_path)
    with torch.no_grad():
        next(run.networks.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingDiverged, match=r"nan at step 0; lower learning_rate"):
        run.run()


def test_the_average_lies_among_the_steps_and_buckets_wait_for_their_stage(tmp_path):
    run = trainer(tmp_path, replace(CONFIG, steps=3))
    steps: list[dict[str, torch.Tensor]] = []
    take_step = run._train_step

    def watched() -> float:
        loss = take_step()
        steps.append({name: p.detach().clone() for name, p in run.networks.named_parameters()})
        return loss

    run._train_step = watched
    for name, average in run.run().named_parameters():
        path = torch.stack([step[name] for step in steps])
        assert torch.all(path.amin(0) - 1e-6 <= average)
        assert torch.all(average <= path.amax(0) + 1e-6)
        if name.startswith("audio_to_bucket"):
            assert torch.equal(path[0], path[-1])


def test_validation_sees_the_averaged_networks_at_its_steps(tmp_path):
    seen = []

    def validate(networks: Networks, step: int) -> dict[str, float]:
        seen.append((step, networks.training))
        return {"score": 1.0}

    trainer(tmp_path, replace(CONFIG, steps=5, validate_every=2), validate=validate).run()
    assert seen == [(2, False), (4, False), (5, False)]


def test_the_second_stage_learns_motion_buckets(tmp_path):
    run = trainer(tmp_path)
    before = train_buckets(run.averaged, run.windows, replace(CONFIG, bucket_steps=3, batch_size=8))
    unet = {name: p.clone() for name, p in run.averaged.unet.state_dict().items()}
    after = train_buckets(run.averaged, run.windows, replace(CONFIG, bucket_steps=150, batch_size=8))
    assert after < 0.6 * before
    assert all(torch.equal(p, unet[name]) for name, p in run.averaged.unet.state_dict().items())


def test_saved_networks_load_as_components(tmp_path):
    networks = trainer(tmp_path / "run").averaged
    networks.save(tmp_path / "model")
    for name, (network, config) in NETWORKS.items():
        loaded = load_network(tmp_path / "model" / name, network, config)
        for key, tensor in getattr(networks, name).state_dict().items():
            torch.testing.assert_close(loaded.state_dict()[key], tensor, atol=1e-3, rtol=1e-3)


def test_samples_are_animated_and_judged(tmp_path):
    networks = trainer(tmp_path).averaged
    options = replace(COMPACT, steps=2, window_frames=5, shift_offset=2)
    made = generate(networks, codec(), SAMPLES[0], outside_rows(REDUCERS[0]), options)
    assert made.opening.shape == made.truth.shape == (15,)
    np.testing.assert_allclose(made.truth, gap_cm(codec(), SAMPLES[0].expression[::2]))
    perfect = replace(made, opening=made.truth)
    assert lip_scores([perfect]) == pytest.approx({"lip_r": 1.0, "lip_ratio": 1.0})


def test_rows_outside_the_sound_are_reduced_zeros():
    np.testing.assert_allclose(outside_rows(REDUCERS[0]), -5 * CHANNELS)


def test_recipes_are_read_and_wrong_keys_named(tmp_path):
    recipes = Path(__file__).parents[2] / "configs"
    config = TrainConfig.from_yaml(recipes / "compact.yaml", steps=7, held_out=("x",))
    assert (config.steps, config.held_out) == (7, ("x",))
    (tmp_path / "wrong.yaml").write_text((recipes / "compact.yaml").read_text() + "\nlearning_rat: 1\n")
    with pytest.raises(OptionOutOfRange, match="learning_rat"):
        TrainConfig.from_yaml(tmp_path / "wrong.yaml")
    with pytest.raises(FileMissing, match="absent"):
        TrainConfig.from_yaml(tmp_path / "absent.yaml")
