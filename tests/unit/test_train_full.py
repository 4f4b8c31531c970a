"""The full model as a task, in miniature: windows of latents, features that agree with inference, and a model
that learns to let a pattern follow the sound."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from latent_data import DIM, SIDE, pattern, write_latent_data

from sonimate.audio.windows import bucket_windows, token_windows
from sonimate.checkpoints.registry import AUDIO_TO_BUCKET, AUDIO_TO_TOKENS, UNET, VAE
from sonimate.checkpoints.store import load_network, save_network, write_index
from sonimate.configs import FULL
from sonimate.errors import FileMissing, InvalidCheckpoint, OptionOutOfRange, TooFewClips
from sonimate.evaluate.curves import correlation
from sonimate.features.latents import RECORD, read_latents
from sonimate.models.audio_networks import (
    AudioToBucket,
    AudioToBucketConfig,
    AudioTokensConfig,
    AudioToTokens,
)
from sonimate.models.unet import SpatioTemporalUNet, UNetConfig
from sonimate.train.config import FullConfig
from sonimate.train.full_task import FullTask, generate_clip
from sonimate.train.loop import Trainer
from sonimate.train.run_folder import RunFolder

SCALING = 0.5
WIDTH = 8
CONFIG = FullConfig(
    steps=5,
    batch_size=2,
    frames=6,
    warmup_steps=5,
    weight_decay=0.0,
    bucket_batch_size=4,
    checkpoint_every=1000,
    validate_every=10_000,
    validation_clips=0,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parts of a model that training reads."""
    folder = tmp_path_factory.mktemp("start")
    unet = UNetConfig(
        down_block_types=("CrossAttnDownBlock", "DownBlock"),
        up_block_types=("UpBlock", "CrossAttnUpBlock"),
        block_out_channels=(16, 16),
        num_attention_heads=(2, 2),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=24,
        norm_num_groups=4,
    )
    tokens = AudioTokensConfig(channels=DIM, intermediate_dim=32, output_dim=WIDTH, context_tokens=2)
    buckets = AudioToBucketConfig(channels=DIM, intermediate_dim=16, clip_channels=WIDTH)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_network(folder, UNET, SpatioTemporalUNet(unet), torch.float32)
        save_network(folder, AUDIO_TO_TOKENS, AudioToTokens(tokens), torch.float32)
        save_network(folder, AUDIO_TO_BUCKET, AudioToBucket(buckets), torch.float32)
    (folder / "vae").mkdir()
    (folder / "vae" / "config.json").write_text(json.dumps({"scaling_factor": SCALING}))
    (folder / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"weights")
    write_index(folder, (UNET, AUDIO_TO_TOKENS, AUDIO_TO_BUCKET, VAE))
    return folder


def task(start: Path, folder: Path, **changes) -> FullTask:
    clips = write_latent_data(folder / "data", width=WIDTH)
    return FullTask(replace(CONFIG, **changes), clips, start, folder / "validation")


def test_a_batch_holds_windows_of_clips_and_of_their_sound(start, tmp_path):
    drawn = task(start, tmp_path)
    clips = {str(clip.clip_id): clip for clip in write_latent_data(tmp_path / "again", width=WIDTH)}
    batch = drawn.batch(3, range(8))
    buckets = drawn.bucket_task(tmp_path).batch(3 - CONFIG.steps, range(8))
    starts = set()
    for row, name in enumerate(batch.names):
        clip = clips[name]
        latents = torch.from_numpy(np.array(clip.latents)).float()
        places = [at for at in range(9) if torch.equal(latents[at : at + 6], batch.latents[row])]
        (at,) = places
        starts.add(at)
        stills = [frame for frame in range(14) if torch.equal(latents[frame] / SCALING, batch.reference[row])]
        (still,) = stills
        assert torch.equal(batch.image[row, 0], torch.from_numpy(np.array(clip.image[still])).float())
        hidden = torch.from_numpy(np.array(clip.hidden)).float()
        heard = token_windows(hidden, 12.5)[at : at + 6].flatten(1)
        assert torch.equal(batch.features[row], heard)
        assert torch.equal(buckets.features[row], bucket_windows(hidden, 12.5)[at : at + 6].flatten(1))
        assert batch.buckets[row].tolist() == clip.buckets.tolist()
    assert len(starts) > 2
    assert batch.mask.shape == (8, 1, 8 * SIDE, 8 * SIDE)
    part = drawn.batch(3, range(5, 7))
    assert part.names == batch.names[5:7]
    assert torch.equal(part.latents, batch.latents[5:7])
    assert torch.equal(part.draws.noise, batch.draws.noise[5:7])


def test_held_out_speakers_are_never_drawn_and_too_short_clips_refused(start, tmp_path):
    held = task(start, tmp_path, held_out=("s0",))
    assert {name for step in range(5) for name in held.batch(step, range(4)).names} == {"clip1.mp4#0@1.0v0"}
    held = task(start, tmp_path, held_out=("s1",), validation_clips=4)
    assert [clip.speaker for clip in held._validation_clips] == ["s1"]
    with pytest.raises(OptionOutOfRange, match="no speaker is named 's2'; the data has s0, s1"):
        task(start, tmp_path, held_out=("s2",))
    with pytest.raises(TooFewClips, match="all 2 speakers"):
        task(start, tmp_path, held_out=("s0", "s1"))
    with pytest.raises(TooFewClips, match="None of the 2 clips to train on lasts 15 frames"):
        task(start, tmp_path, frames=15)


def test_features_of_other_frozen_networks_are_refused(start, tmp_path):
    write_latent_data(tmp_path, model=start)
    assert len(read_latents(tmp_path, start)) == 2
    about = json.loads((tmp_path / RECORD).read_text())
    (tmp_path / RECORD).write_text(json.dumps(about | {"frozen": "other"}))
    with pytest.raises(InvalidCheckpoint, match="computed by other networks"):
        read_latents(tmp_path, start)
    with pytest.raises(FileMissing, match="Run `sonimate features`"):
        read_latents(tmp_path / "absent", start)


def test_checkpointed_gradients_are_the_same(start, tmp_path):
    def gradients(checkpointing: bool) -> list[torch.Tensor]:
        some = task(start, tmp_path, gradient_checkpointing=checkpointing)
        some.networks(some.batch(0, range(2))).sum().backward()
        return [p.grad for p in some.networks.parameters() if p.requires_grad and p.grad is not None]

    plain, recomputed = gradients(False), gradients(True)
    assert len(plain) > 100
    for one, other in zip(plain, recomputed, strict=True):
        torch.testing.assert_close(one, other)


def test_the_saved_model_is_complete_and_records_the_parts_left_out(start, tmp_path):
    trained = task(start, tmp_path, temporal_audio=False, motion_controller=False)
    listed = {path.name for path in start.iterdir()}
    (start / "notes").mkdir()
    trained.save(trained.networks, tmp_path)
    (start / "notes").rmdir()
    assert {path.name for path in (tmp_path / "model").iterdir()} == listed
    unet = load_network(tmp_path / "model", UNET)
    assert unet.config.without == ("temporal_audio", "motion_controller")


def test_a_pattern_learns_to_follow_the_sound(start, tmp_path):
    """The small version of benchmarks/overfit.py, without pixels: the loss falls, and latents generated from
    a clip's first frame and its sound open and close as the clip's own do."""
    learn = task(
        start,
        tmp_path,
        steps=120,
        learning_rate=1e-2,
        ema_decay=0.95,
        sigma_mean=1.0,
        sigma_std=1.0,
        drop_image=0.0,
        drop_both=0.0,
    )
    run = Trainer(learn, learn.config, tmp_path / "run")
    run.run()
    losses = list(RunFolder(tmp_path / "run").losses().values())
    assert np.mean(losses[-40:]) < 0.5 * np.mean(losses[:5])
    options = replace(FULL, steps=4, window_frames=6, image_guidance=1.0, audio_guidance=1.0, shift_offset=2)
    for clip in write_latent_data(tmp_path / "again", width=WIDTH):
        made = generate_clip(run.averaged(), clip, options, SCALING).numpy()
        truth = np.asarray(clip.latents, np.float64)
        shown, meant = ((x * pattern()).mean((1, 2, 3)) for x in (made, truth))
        assert correlation(shown, meant) > 0.8
