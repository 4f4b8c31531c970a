"""Generation on held-out samples while training, measured in the motion itself: no pixels are needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sonimate.audio.windows import TOKEN_ROWS, TOKEN_ROWS_BEFORE
from sonimate.clock import LATENT_FPS, VIDEO_FRAMES_PER_LATENT
from sonimate.codecs.mesh.codec import MeshCodec
from sonimate.codecs.mesh.motion import Motion
from sonimate.configs import COMPACT, SamplingOptions
from sonimate.diffusion import sample_latents
from sonimate.diffusion.denoiser import Denoiser
from sonimate.diffusion.guidance import options_for_distilled
from sonimate.evaluate.curves import amplitude_ratio, correlation
from sonimate.face.canonical import canonical_vertices
from sonimate.features.motion_samples import MotionSample
from sonimate.train.motion_windows import windows_of
from sonimate.types import Conditions


@dataclass(frozen=True)
class Generated:
    """opening, truth: (n,) generated and true inner-lip gap in cm at 12.5 fps."""

    opening: np.ndarray
    truth: np.ndarray


@torch.no_grad()
def generate(
    networks: Denoiser,
    codec: MeshCodec,
    sample: MotionSample,
    outside: np.ndarray,
    options: SamplingOptions = COMPACT,
) -> Generated:
    """Animate a sample's first frame with its own sound."""
    networks.eval()
    frames = np.arange(0, len(sample.expression), VIDEO_FRAMES_PER_LATENT)
    features = windows_of(sample.token_rows, frames, TOKEN_ROWS, TOKEN_ROWS_BEFORE, outside)
    device = next(networks.parameters()).device
    reference = codec.to_latents(Motion(sample.expression[:1], np.zeros((1, 6)))).to(device)
    count = len(frames)
    tokens = networks.audio_to_tokens.project(torch.from_numpy(features).float().to(device))
    null = networks.audio_to_tokens.null_tokens().expand(count, -1, -1)
    image = networks.image_encoder(reference).expand(count, -1, -1)
    labels = torch.tensor(sample.buckets).float().to(device).expand(count, -1)
    conditions = Conditions(image, tokens, null, labels, reference[0], codec.mask.to(device), LATENT_FPS)
    generator = torch.Generator().manual_seed(options.fixed_seed)
    noise = torch.randn(count, *codec.latent_shape, generator=generator)
    options = options_for_distilled(options, networks.unet.config.audio_guidance)
    motion = codec.from_latents(sample_latents(networks.unet, conditions, noise.to(device), options))
    absolute = motion.expression + sample.expression[:1]
    return Generated(gap_cm(codec, absolute), gap_cm(codec, sample.expression[frames]))


def gap_cm(codec: MeshCodec, expression: np.ndarray) -> np.ndarray:
    """Inner-lip gap (n,) cm of absolute expression coefficients (n, k), not below zero."""
    lips = codec.basis[:, [13, 14], 1]
    rest = canonical_vertices()[[13, 14], 1]
    return np.maximum(expression @ (lips[:, 0] - lips[:, 1]) + rest[0] - rest[1], 0)


def lip_scores(results: list[Generated]) -> dict[str, float]:
    """Mean correlation of generated and true opening, and the mean ratio of their standard deviations."""
    r = [correlation(g.opening, g.truth) for g in results]
    ratio = [amplitude_ratio(g.opening, g.truth) for g in results]
    return {"lip_r": float(np.mean(r)), "lip_ratio": float(np.mean(ratio))}
