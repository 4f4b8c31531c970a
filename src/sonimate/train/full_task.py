"""Training of the full model: SVD latents of whole frames, which `sonimate features --model` computes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sonimate.audio.windows import BUCKET_ROWS, BUCKET_ROWS_BEFORE, TOKEN_ROWS, TOKEN_ROWS_BEFORE
from sonimate.checkpoints.registry import (
    AUDIO_TO_BUCKET,
    AUDIO_TO_TOKENS,
    INDEX,
    UNET,
    VAE,
    read_config,
    read_index,
)
from sonimate.checkpoints.store import load_network, load_svd_codec, save_network
from sonimate.configs import SamplingOptions
from sonimate.diffusion.denoiser import Batch, Denoiser
from sonimate.errors import TooFewClips
from sonimate.features.latents import LatentClip
from sonimate.models.unet import UNetConfig
from sonimate.train.config import FullConfig
from sonimate.train.draws import draw
from sonimate.train.task import BucketBatch, BucketTask, split_speakers, window_chances
from sonimate.train.validation import generate_latents, lip_scores, measure_frames

Drawn = tuple[LatentClip, int, int]
"""A clip, the first frame of the window, and the frame that is the reference."""


class FullTask:
    """See Task. Clips of the speakers in `config.held_out` are used for validation only; without held-out
    speakers, validation uses the first clips that are trained on."""

    def __init__(self, config: FullConfig, clips: list[LatentClip], init: Path, videos: Path):
        """init: folder of the full model to start from, whose frozen networks made `clips`.
        videos: folder for the videos of validation.

        Raises OptionOutOfRange: a speaker to hold out is unknown. TooFewClips: no clip is as long as a
        window.
        """
        self.config, self._init, self._videos = config, init, videos
        trained, held_out = split_speakers(clips, config.held_out)
        without: dict[str, Any] = {"without": config.without}
        unet = load_network(init, UNET, configure=lambda **values: UNetConfig(**values | without))
        unet.enable_gradient_checkpointing(config.gradient_checkpointing)
        self.networks = Denoiser(unet, load_network(init, AUDIO_TO_TOKENS), nn.Identity())
        self.audio_to_bucket = load_network(init, AUDIO_TO_BUCKET)
        self._scaling = float(read_config(init / VAE.name)["scaling_factor"])
        self._clips = [clip for clip in trained if len(clip.latents) >= config.frames]
        if not self._clips:
            raise TooFewClips(
                f"None of the {len(trained)} clips to train on lasts {config.frames} frames at 12.5 fps. "
                "Prepare longer footage, lower `frames`, or hold out fewer speakers."
            )
        self._validation_clips = (held_out or self._clips)[: config.validation_clips]
        self._chances = window_chances((len(clip.latents) for clip in self._clips), config.frames)

    def batch(self, step: int, rows: range) -> Batch:
        drawn, w = self._draw(step, rows, TOKEN_ROWS, TOKEN_ROWS_BEFORE, slice(None))
        latents = np.stack([clip.latents[at : at + self.config.frames] for clip, at, _ in drawn])
        latents = torch.from_numpy(latents).float()
        still = torch.from_numpy(np.stack([clip.latents[frame] for clip, _, frame in drawn])).float()
        still = still / self._scaling  # the reference is not scaled (NOTES 4.1)
        mask = torch.stack([clip.mask() for clip, _, _ in drawn])[:, None]
        draws = draw(self.config, step, rows, tuple(latents.shape[1:]))
        return Batch(w.names, latents, still, w.image[:, None], w.features, w.buckets, mask, draws)

    def validate(self, networks: Denoiser, step: int) -> dict[str, float]:
        """See lip_scores, and `faces`, the share of generated frames that show a face. Writes the videos."""
        if not self._validation_clips:
            return {}
        codec = load_svd_codec(self._init, torch.float32)
        for network in codec.networks:
            network.to(next(networks.parameters()).device)
        folder = self._videos / f"step-{step:06d}"
        folder.mkdir(parents=True, exist_ok=True)
        decoding = replace(codec.decoding, fps=codec.latent_fps)
        curves, faces = [], []
        for clip in self._validation_clips:
            latents = generate_clip(networks, clip, self.config.sampling_options, self._scaling)
            frames = list(codec.decode(latents.cpu(), decoding=decoding))
            path = folder / f"{clip.clip_id.key}.mp4"
            opening, share = measure_frames(frames, clip.shard.landmarks(), clip.shard.sound(), path)
            curves.append(opening)
            faces.append(share)
        return lip_scores(curves) | {"faces": float(np.mean(faces))}

    def save(self, networks: Denoiser, folder: Path) -> None:
        """Write the trained networks, and copies of the others."""
        model = folder / "model"
        save_network(model, UNET, networks.unet)
        save_network(model, AUDIO_TO_TOKENS, networks.audio_to_tokens, torch.float32)
        for part in read_index(self._init):
            if part not in (UNET, AUDIO_TO_TOKENS):
                shutil.copytree(self._init / part.name, model / part.name, dirs_exist_ok=True)
        shutil.copy(self._init / INDEX, model / INDEX)

    def bucket_task(self, trained: Path) -> BucketTask:
        """The second stage; it does not depend on the first one's results."""

        def batch(step: int, rows: range) -> BucketBatch:
            last_layer = slice(-1, None)
            step += self.config.steps
            return self._draw(step, rows, BUCKET_ROWS, BUCKET_ROWS_BEFORE, last_layer)[1]

        return BucketTask(self.audio_to_bucket, batch, self.config.bucket_batch_size)

    def _draw(
        self, step: int, rows: range, count: int, before: int, layers: slice
    ) -> tuple[list[Drawn], BucketBatch]:
        """Windows of clips, and all that the second stage needs of them. A clip's chance is proportional to
        the number of windows in it; any of its frames may be the reference. count, before, layers: which
        hidden states are features of a frame, see LatentClip.windows."""
        drawn: list[Drawn] = []
        for row in rows:
            rng = np.random.default_rng([self.config.seed, step, row])
            clip = self._clips[rng.choice(len(self._clips), p=self._chances)]
            start = int(rng.integers(len(clip.latents) - self.config.frames + 1))
            drawn.append((clip, start, int(rng.integers(len(clip.latents)))))
        frames = np.arange(self.config.frames)
        windows = [clip.windows(start + frames, count, before, layers) for clip, start, _ in drawn]
        return drawn, BucketBatch(
            tuple(str(clip.clip_id) for clip, _, _ in drawn),
            torch.from_numpy(np.stack(windows)).float(),
            torch.from_numpy(np.stack([clip.image[frame] for clip, _, frame in drawn])).float(),
            torch.from_numpy(np.stack([clip.buckets for clip, _, _ in drawn])),
        )


def generate_clip(networks: Denoiser, clip: LatentClip, options: SamplingOptions, scaling: float) -> Tensor:
    """Latents (n, 4, h, w) of a clip's first frame animated by the clip's sound and motion buckets. scaling:
    the autoencoder's factor on latents."""
    first = torch.from_numpy(np.array(clip.latents[0])).float()
    return generate_latents(
        networks,
        features=clip.windows(np.arange(len(clip.latents)), TOKEN_ROWS, TOKEN_ROWS_BEFORE),
        buckets=clip.buckets,
        image=torch.from_numpy(np.array(clip.image[:1])).float(),
        reference=first / scaling,
        mask=clip.mask(),
        options=options,
        initial_mean=first.to(next(networks.parameters()).device),
    )
