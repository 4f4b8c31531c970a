"""Training of the compact model: motion of the face, learned from the samples of `sonimate features`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sonimate.checkpoints import registry, store
from sonimate.codecs.mesh.codec import MeshCodec
from sonimate.diffusion.denoiser import Batch, Denoiser
from sonimate.errors import FileMissing, OptionOutOfRange
from sonimate.face.regions import MOUTH_CORNER_LEFT, MOUTH_CORNER_RIGHT
from sonimate.features.audio_features import Reducer, load_reducers
from sonimate.features.motion_samples import MotionSample, load_samples
from sonimate.footage.mouth_reader import ENCODER
from sonimate.models.audio_networks import WindowNetwork
from sonimate.train.config import CompactConfig
from sonimate.train.draws import draw
from sonimate.train.motion_windows import WindowSampler
from sonimate.train.task import BUCKETS, BucketBatch, BucketTask, split_speakers
from sonimate.train.validation import animate_sample, component_gains, lip_gap_cm, lip_scores

GAIN_SAMPLES = 40
"""Clips and utterances from which the gains of components are measured."""
PARTS = {part.name: part for part in registry.COMPACT_COMPONENTS}


@dataclass(frozen=True)
class CompactData:
    """What `sonimate features` writes for the compact model. reducers: of token and of bucket features."""

    samples: list[MotionSample]
    codec: MeshCodec
    reducers: tuple[Reducer, Reducer]

    @classmethod
    def load(cls, folder: Path) -> CompactData:
        """Raises FileMissing."""
        samples = load_samples(folder / "samples")
        if not (samples and (folder / "codec").is_dir() and (folder / "reducers.npz").is_file()):
            raise FileMissing(
                f"{folder} holds no data of the compact model. Give a folder that `sonimate features` wrote."
            )
        return cls(samples, store.load_mesh_codec(folder / "codec"), load_reducers(folder / "reducers.npz"))

    @property
    def silence_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Token and bucket features (d,) of a zero hidden state, used beyond the ends of a sound."""
        tokens, buckets = (r(np.zeros_like(r.mean)).astype(np.float32) for r in self.reducers)
        return tokens, buckets


class CompactTask:
    """See Task. Samples of the speakers in `config.held_out` are used for validation only; without held-out
    speakers, validation uses the real samples that are trained on."""

    def __init__(self, config: CompactConfig, data: CompactData, init: Path | None = None):
        """init: a model folder to start from.

        Raises InvalidCheckpoint: the networks of `init` have other shapes than those of the recipe.
        OptionOutOfRange, TooFewClips: the settings need other samples, see WindowSampler and split_speakers.
        """
        self.config, self._data = config, data
        self._trained, self._held_out = split_speakers(data.samples, config.held_out)
        torch.manual_seed(config.seed)
        learned = 1.0 if init is None else store.load_network(init, registry.UNET).config.audio_guidance
        self.networks = _networks(config, audio_guidance=config.distil_guidance or learned)
        self.audio_to_bucket = _network(registry.AUDIO_TO_BUCKET, config.audio_bucket)
        if init is not None:
            parts = {**dict(self.networks.named_children()), BUCKETS: self.audio_to_bucket}
            for name, module in parts.items():
                weights = store.load_network(init, PARTS[name]).state_dict()
                store.load_strict(module, weights, f"{init / name}, of --init,")
        if config.distil_guidance:
            teacher = _networks(config, audio_guidance=learned)
            teacher.load_state_dict(self.networks.state_dict())
            self.networks = Student(self.networks, teacher, config.distil_guidance / learned)
        elif learned != 1:
            self.networks = Guided(self.networks, learned)
        _set_reducer(self.networks.audio_to_tokens, data.reducers[0], "audio_tokens")
        _set_reducer(self.audio_to_bucket, data.reducers[1], "audio_bucket")
        self.windows = WindowSampler(self._trained, data.codec, config, data.silence_rows)

    def batch(self, step: int, rows: range) -> Batch:
        w = self.windows.batch(step, rows)
        mask = self._data.codec.mask[None, None]
        draws = draw(self.config, step, rows, tuple(w.latents.shape[1:]))
        return Batch(w.names, w.latents, w.reference, w.reference, w.features, w.buckets, mask, draws)

    def validate(self, networks: Denoiser, step: int) -> dict[str, float]:
        """See lip_scores. On real samples, at their own speed and with their own sound."""
        samples = [sample for sample in self._held_out or self._data.samples if sample.is_footage]
        if not samples:
            return {}
        codec = self._data.codec
        return lip_scores(
            (lip_gap_cm(codec, generated), lip_gap_cm(codec, real))
            for generated, real in self._animated(networks, samples)
        )

    def save(self, networks: Denoiser, folder: Path) -> None:
        model = folder / "model"
        for name, module in networks.named_children():
            store.save_network(model, PARTS[name], module)
        store.save_network(model, PARTS[BUCKETS], self.audio_to_bucket)
        samples = [sample for sample in self._trained if sample.is_footage or sample.kind == "synthetic"]
        chosen = samples[:: max(len(samples) // GAIN_SAMPLES, 1)]
        codec = self._data.codec
        width = codec.basis[:, MOUTH_CORNER_LEFT, 0] - codec.basis[:, MOUTH_CORNER_RIGHT, 0]
        codec = codec.with_gains(component_gains(self._animated(networks, chosen), width))
        store.save_mesh_codec(codec, model / registry.MESH_CODEC.name)
        store.save_network(model, registry.AUDIO_ENCODER, store.load_audio_encoder(ENCODER).encoder)
        for part in (registry.VOICE_DETECTOR, registry.TONGUE_READER):
            store.save_network(model, part, store.load_network(registry.BUNDLED / "compact", part))
        store.write_index(model, registry.COMPACT_COMPONENTS)

    def _animated(
        self, networks: Denoiser, samples: list[MotionSample]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generated and real expressions of each sample, see animate_sample."""
        codec, row, options = self._data.codec, self._data.silence_rows[0], self.config.sampling_options
        return (animate_sample(networks, codec, sample, row, options) for sample in samples)

    def bucket_task(self, trained: Path) -> BucketTask:
        """The second stage. trained: the model folder whose image encoder it uses."""
        image_encoder = store.load_network(trained, registry.REFERENCE_ENCODER).eval()

        @torch.no_grad()
        def batch(step: int, rows: range) -> BucketBatch:
            windows = self.windows.batch(self.config.steps + step, rows)
            image = image_encoder(windows.reference)[:, 0]
            return BucketBatch(windows.names, windows.bucket_features, image, windows.buckets)

        return BucketTask(self.audio_to_bucket, batch, self.config.bucket_batch_size)


def _networks(config: CompactConfig, audio_guidance: float) -> Denoiser:
    unet = config.unet | {"without": config.without, "audio_guidance": audio_guidance}
    settings = (unet, config.audio_tokens, config.reference_encoder)
    parts = (registry.UNET, registry.AUDIO_TO_TOKENS, registry.REFERENCE_ENCODER)
    return Denoiser(*(_network(part, values) for part, values in zip(parts, settings, strict=True)))


def _network(part: registry.Component, settings: dict[str, Any]) -> Any:
    """A component's network with random weights. Raises OptionOutOfRange if settings do not fit it."""
    try:
        return part.network_class()(part.config_class()(**settings))
    except (TypeError, ValueError) as error:
        raise OptionOutOfRange(f"The recipe's settings of {part.name} are wrong: {error}.") from error


def _set_reducer(network: WindowNetwork, reducer: Reducer, name: str) -> None:
    if not network.reduced:
        return
    wanted, found = network.reducer_components.shape, reducer.components.shape
    if wanted != found:
        raise OptionOutOfRange(
            f"{name}: the recipe reduces {wanted[1]} features to {wanted[0]}, the data {found[1]} to "
            f"{found[0]}. Set channels and reduced_dim as in the recipe that the package holds."
        )
    network.reducer_mean.copy_(torch.from_numpy(reducer.mean))
    network.reducer_components.copy_(torch.from_numpy(reducer.components))


class Student(Denoiser):
    """Guidance distillation (Meng et al. 2023, stage one): one prediction learns the teacher's two, guided.

    Its target is the teacher's velocity under audio guidance. Where the sound is dropped, it is the teacher's
    unguided velocity, so that other guidance scales can still be mixed from the student's two predictions.
    """

    def __init__(self, own: Denoiser, teacher: Denoiser, guidance: float):
        """own: the networks to train; they start equal to the teacher's. guidance: to learn, relative to the
        one that the teacher predicts with."""
        super().__init__(own.unet, own.audio_to_tokens, own.image_encoder)
        self._guidance = guidance
        self._teacher = (teacher.eval().requires_grad_(False),)
        """In a tuple, because submodules would be trained, averaged and saved."""

    def forward(self, batch: Batch) -> Tensor:
        """The loss of each row (b,): mean squared difference of the velocity to the teacher's."""
        noisy = batch.noisy_latents
        error = self.velocity(batch, noisy).float() - self._target(batch, noisy)
        return error.square().flatten(1).mean(1)

    @torch.no_grad()
    def _target(self, batch: Batch, noisy: Tensor) -> Tensor:
        teacher = self._teacher[0].to(noisy.device)
        silent = replace(batch.draws, drop_audio=torch.ones_like(batch.draws.drop_audio))
        image = teacher.velocity(replace(batch, draws=silent), noisy).float()
        audio = teacher.velocity(batch, noisy).float()
        return image + self._guidance * (audio - image)


class Guided(Denoiser):
    """A student without its teacher, learning from data: such as a bundled model on the user's own footage.

    It predicts v_guided = v_image + guidance (v_audio - v_image), so the loss compares the v_audio that
    follows from its two predictions; v_image is learned from the rows whose sound is dropped, as always.
    """

    def __init__(self, own: Denoiser, guidance: float):
        super().__init__(own.unet, own.audio_to_tokens, own.image_encoder)
        self._guidance = guidance

    def velocity(self, batch: Batch, noisy: Tensor) -> Tensor:
        """The velocity without guidance (b, f, c, h, w)."""
        dropped = batch.draws.drop_audio
        guided = super().velocity(batch, noisy)
        with torch.no_grad():
            silent = replace(batch, draws=replace(batch.draws, drop_audio=torch.ones_like(dropped)))
            image = super().velocity(silent, noisy)
        audio = image + (guided - image) / self._guidance
        return torch.where(dropped[:, None, None, None, None], guided, audio)
