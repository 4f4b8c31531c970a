"""Validation of the full model: clips' first frames animated by their own sound, filmed and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from sonimate.audio.windows import token_windows
from sonimate.clock import LATENT_FPS, VIDEO_FRAMES_PER_LATENT
from sonimate.codecs.svd.autoencoder import SVDCodec
from sonimate.configs import SamplingOptions
from sonimate.diffusion import sample_latents
from sonimate.diffusion.denoiser import Denoiser
from sonimate.evaluate.curves import correlation
from sonimate.face.mesh import FaceMesh
from sonimate.face.regions import mouth_opening
from sonimate.features.latents import LatentClip
from sonimate.media.mp4 import VideoWriter
from sonimate.types import Conditions, Waveform

TRACKING_PX = 256
"""Smaller frames are enlarged to this before a face is looked for: what the landmark network sees."""


def film_clips(
    networks: Denoiser, codec: SVDCodec, clips: Sequence[LatentClip], options: SamplingOptions, folder: Path
) -> dict[str, float]:
    """Write `folder`/KEY.mp4 of every clip; returns lip_r, the mean correlation of generated and real mouth
    opening (0 for a clip without visible movement), and faces, the share of frames that show a face."""
    folder.mkdir(parents=True, exist_ok=True)
    decoding = replace(codec.decoding, fps=codec.latent_fps)
    scaling = float(codec.vae.config["scaling_factor"])
    mesh = FaceMesh(num_threads=1)
    scores, seen = [], []
    for clip in clips:
        latents = generate_latents(networks, clip, options, scaling).cpu()
        frames = list(codec.decode(latents, decoding=decoding))
        sound = Waveform(clip.shard.sound(), 16_000)
        height, width = frames[0].shape[:2]
        path = folder / f"{clip.clip_id.key}.mp4"
        with VideoWriter(path, width=width, height=height, fps=LATENT_FPS, sound=sound) as writer:
            for frame in frames:
                writer.write(frame)
        opening, visible = track_opening(frames, mesh)
        truth = mouth_opening(clip.shard.landmarks().astype(np.float64))[::VIDEO_FRAMES_PER_LATENT]
        scores.append(correlation(opening, truth[: len(visible)][visible]))
        seen.append(visible.mean())
    return {"lip_r": float(np.mean(scores)), "faces": float(np.mean(seen))}


@torch.no_grad()
def generate_latents(
    networks: Denoiser, clip: LatentClip, options: SamplingOptions, scaling: float
) -> Tensor:
    """Latents (n, 4, h, w) of a clip's first frame moved by the clip's sound and labels. scaling: of latents
    over the autoencoder's own."""
    device = next(networks.parameters()).device
    hidden = torch.from_numpy(np.array(clip.hidden)).float()
    tokens = networks.audio_to_tokens(token_windows(hidden, LATENT_FPS)[: len(clip.latents)].to(device))
    count = len(tokens)
    first = torch.from_numpy(np.array(clip.latents[0])).float().to(device)
    image = torch.from_numpy(np.array(clip.image[0])).float().to(device)
    conditions = Conditions(
        image.expand(count, 1, -1),
        tokens,
        networks.audio_to_tokens.null_tokens().expand_as(tokens),
        torch.from_numpy(clip.buckets).to(device).expand(count, -1),
        first / scaling,
        clip.mask().to(device),
        LATENT_FPS,
    )
    noise = torch.randn(count, *first.shape, generator=torch.Generator().manual_seed(options.fixed_seed))
    return sample_latents(networks.unet, conditions, noise.to(device), options, initial_mean=first)


def track_opening(frames: Sequence[np.ndarray], mesh: FaceMesh) -> tuple[np.ndarray, np.ndarray]:
    """Mouth opening (m,) in face heights where a face is seen, and in which frames that is, (n,) bool."""
    scale = max(TRACKING_PX / min(frames[0].shape[:2]), 1.0)
    shown = (cv2.resize(f, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) for f in frames)
    faces = list(mesh.track(shown))
    visible = np.array([face is not None for face in faces])
    found = [face.landmarks for face in faces if face is not None]
    opening = mouth_opening(np.stack(found).astype(np.float64)) if found else np.empty(0)
    return opening, visible
