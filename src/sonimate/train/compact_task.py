"""The compact model as a task: motion on the face, learned from `python -m sonimate.features`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sonimate.checkpoints.registry import AUDIO_ENCODER, COMPACT_COMPONENTS, MESH_CODEC, REFERENCE_ENCODER
from sonimate.checkpoints.store import (
    load_audio_encoder,
    load_mesh_codec,
    load_network,
    load_strict,
    save_mesh_codec,
    save_network,
    write_index,
)
from sonimate.codecs.mesh.codec import MeshCodec
from sonimate.diffusion.denoiser import Batch, Denoiser
from sonimate.diffusion.draws import draw
from sonimate.errors import FileMissing
from sonimate.features.motion_samples import MotionSample, load_samples
from sonimate.features.reducer import Reducer, load_reducers
from sonimate.footage.mouth_reader import ENCODER
from sonimate.models.audio_tokens import AudioTokensConfig, AudioToTokens, WindowNetwork
from sonimate.models.motion_bucket import AudioToBucket, AudioToBucketConfig
from sonimate.models.reference import ReferenceEncoder, ReferenceEncoderConfig
from sonimate.models.unet import SpatioTemporalUNet, UNetConfig
from sonimate.train.bucket_stage import BUCKETS, BucketBatch, BucketTask
from sonimate.train.config import CompactConfig
from sonimate.train.held_out import divide
from sonimate.train.motion_windows import WindowSampler
from sonimate.train.student import Student
from sonimate.train.validate import generate, lip_scores

PARTS = {part.name: part for part in COMPACT_COMPONENTS}


@dataclass(frozen=True)
class CompactData:
    """What `python -m sonimate.features` derived. reducers: of token and of bucket features."""

    samples: list[MotionSample]
    codec: MeshCodec
    reducers: tuple[Reducer, Reducer]

    @classmethod
    def load(cls, folder: Path) -> CompactData:
        """Raises FileMissing."""
        samples = load_samples(folder / "samples")
        if not (samples and (folder / "codec").is_dir() and (folder / "reducers.npz").is_file()):
            raise FileMissing(
                f"{folder} holds no data of the compact model. Give the folder that "
                "python -m sonimate.features has written."
            )
        return cls(
            samples,
            load_mesh_codec(folder / "codec"),
            load_reducers(folder / "reducers.npz"),
        )

    @property
    def outside(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows beyond a sound's ends, for tokens and for buckets."""
        tokens, buckets = map(outside_rows, self.reducers)
        return tokens, buckets


class CompactTask:
    """See sonimate.train.task. Samples of `config.held_out` speakers are not trained on, but judged by;
    without any, all real ones are."""

    def __init__(self, config: CompactConfig, data: CompactData, init: Path | None = None):
        """init: a model folder to start from. Raises InvalidCheckpoint: the recipe describes another network;
        OptionOutOfRange and TooFewClips: samples are not what the settings ask for."""
        self.config, self._data = config, data
        trained, self._held_out = divide(data.samples, config.held_out)
        torch.manual_seed(config.seed)
        self.networks = _networks(config, audio_guidance=config.distil_guidance or 1.0)
        self.audio_to_bucket = AudioToBucket(AudioToBucketConfig(**config.audio_bucket))
        if init is not None:
            parts = {**dict(self.networks.named_children()), BUCKETS: self.audio_to_bucket}
            for name, module in parts.items():
                there = load_network(init, PARTS[name]).state_dict()
                load_strict(module, there, f"{init / name}, of --init,")
        if config.distil_guidance:
            teacher = _networks(config, audio_guidance=1.0)
            teacher.load_state_dict(self.networks.state_dict())
            self.networks = Student(self.networks, teacher, config.distil_guidance)
        _set_reducer(self.networks.audio_to_tokens, data.reducers[0])
        _set_reducer(self.audio_to_bucket, data.reducers[1])
        self.windows = WindowSampler(
            trained,
            data.codec,
            frames=config.frames,
            real_share=config.real_share,
            reference_noise=config.reference_noise,
            seed=config.seed,
            silence_rows=data.outside,
        )

    def batch(self, step: int, rows: range) -> Batch:
        windows = self.windows.batch(step, rows)
        return Batch(
            windows.names,
            windows.latents,
            windows.reference,
            windows.reference,
            windows.features,
            windows.buckets,
            self._data.codec.mask[None, None],
            draw(self.config, step, rows, tuple(windows.latents.shape[1:])),
        )

    def validate(self, networks: Denoiser, step: int) -> dict[str, float]:
        """Correlation and amplitude of generated mouths, on real samples as they are."""
        judged = [s for s in self._held_out or self._data.samples if s.is_footage]
        if not judged:
            return {}
        options = self.config.sampling_options
        outside = self._data.outside[0]
        return lip_scores([generate(networks, self._data.codec, s, outside, options) for s in judged])

    def save(self, networks: Denoiser, folder: Path) -> None:
        model = folder / "model"
        for name, module in networks.named_children():
            save_network(model, PARTS[name], module)
        save_network(model, PARTS[BUCKETS], self.audio_to_bucket)
        save_mesh_codec(self._data.codec, model / MESH_CODEC.name)
        encoder = load_audio_encoder(ENCODER)
        save_network(model, AUDIO_ENCODER, encoder.encoder)
        write_index(model, COMPACT_COMPONENTS)

    def bucket_task(self, trained: Path) -> BucketTask:
        """The second stage, which sees portraits through the image encoder of the model in `trained`."""
        image_encoder = load_network(trained, REFERENCE_ENCODER).eval()

        @torch.no_grad()
        def batch(step: int, rows: range) -> BucketBatch:
            windows = self.windows.batch(self.config.steps + step, rows)
            image = image_encoder(windows.reference)[:, 0]
            return BucketBatch(windows.names, windows.bucket_features, image, windows.buckets)

        return BucketTask(self.audio_to_bucket, batch, self.config.bucket_batch_size)


def _networks(config: CompactConfig, audio_guidance: float) -> Denoiser:
    unet = config.unet | {"without": config.without, "audio_guidance": audio_guidance}
    return Denoiser(
        SpatioTemporalUNet(UNetConfig(**unet)),
        AudioToTokens(AudioTokensConfig(**config.audio_tokens)),
        ReferenceEncoder(ReferenceEncoderConfig(**config.reference_encoder)),
    )


def outside_rows(reducer: Reducer) -> np.ndarray:
    """What a zero hidden state reduces to: the features beyond a sound's ends."""
    return reducer(np.zeros_like(reducer.mean)).astype(np.float32)


def _set_reducer(network: WindowNetwork, reducer: Reducer) -> None:
    if network.reduced:
        network.reducer_mean.copy_(torch.from_numpy(reducer.mean))
        network.reducer_components.copy_(torch.from_numpy(reducer.components))
