"""A compact model so tiny that it trains in a second, and faces that move with their sound."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import yaml
from faces import codec, poses

from sonimate.checkpoints.store import save_mesh_codec
from sonimate.features.audio_features import Reducer, save_reducers
from sonimate.features.motion_samples import MotionSample
from sonimate.footage.clip_id import ClipId
from sonimate.train.compact_task import CompactData
from sonimate.train.config import CompactConfig

CHANNELS, TOKEN_DIM, BUCKET_DIM = 4, 3, 2
CONFIG = CompactConfig(
    unet={
        "in_channels": 72,
        "out_channels": 36,
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
    reference_encoder={"latent_size": 2304, "hidden_dim": 16, "output_dim": 16},
    steps=9,
    batch_size=2,
    frames=4,
    warmup_steps=2,
    checkpoint_every=4,
    validate_every=100,
    learning_rate=3e-3,
    real_share=1.0,
)
REDUCERS = (
    Reducer(np.ones(5 * CHANNELS, np.float32), np.ones((TOKEN_DIM, 5 * CHANNELS), np.float32)),
    Reducer(np.zeros(CHANNELS, np.float32), np.ones((BUCKET_DIM, CHANNELS), np.float32)),
)


def sample(name: str, seed: int) -> MotionSample:
    """A face that moves with its sound; its bucket features are a function of its head bucket."""
    rng = np.random.default_rng(seed)
    pose = poses(30, rng, turn=0.05)
    pose = replace(pose, scale=np.full(30, 10.0), translation=0.02 * pose.translation)
    voice = rng.normal(size=(60, TOKEN_DIM))
    expression = np.zeros((30, len(codec().basis)))
    expression[:, :3] = 2 * voice[::2]
    head = float(rng.uniform(0, 60))
    return MotionSample(
        ClipId(name),
        name,
        "real",
        expression,
        pose,
        token_rows=voice,
        bucket_rows=np.full((60, BUCKET_DIM), head / 30 - 1),
        buckets=np.array([head, 30.0]),
    )


def write_data(folder: Path) -> Path:
    """`DATA` as `sonimate features` would write it."""
    (folder / "samples").mkdir(parents=True)
    for some in DATA.samples:
        some.save(folder / "samples")
    save_mesh_codec(DATA.codec, folder / "codec")
    save_reducers(folder / "reducers.npz", *DATA.reducers)
    return folder


def write_recipe(path: Path, config: CompactConfig) -> Path:
    """A configuration as a recipe."""
    path.write_text(
        yaml.safe_dump({"model": "compact"} | asdict(config) | {"held_out": list(config.held_out)})
    )
    return path


SAMPLES = [sample(name, seed) for seed, name in enumerate("abcdef")]
DATA = CompactData(SAMPLES, codec(), REDUCERS)
