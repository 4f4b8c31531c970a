"""Validation while training: clips' first frames animated by the clips' own sound, and how well the generated
mouths follow the real ones. The compact model is measured in its motion, the full model in its pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from sonimate.audio.windows import TOKEN_ROWS, TOKEN_ROWS_BEFORE
from sonimate.clock import LATENT_FPS, SAMPLE_RATE_HZ, VIDEO_FRAMES_PER_LATENT
from sonimate.codecs.mesh.codec import MeshCodec
from sonimate.configs import SamplingOptions
from sonimate.diffusion import sample_latents
from sonimate.diffusion.denoiser import Denoiser
from sonimate.evaluate.curves import amplitude_ratio, correlation
from sonimate.face.canonical import canonical_vertices
from sonimate.face.mesh import FaceMesh
from sonimate.face.regions import LOWER_LIP_INNER, UPPER_LIP_INNER, mouth_opening
from sonimate.features.audio_features import cut_windows
from sonimate.features.motion_samples import MotionSample
from sonimate.media.video_writer import VideoWriter
from sonimate.types import Conditions, Waveform

TRACKING_PX = 256
"""Smaller frames are enlarged to this before a face is looked for: the input size of the landmark network."""

GAINS = (0.5, 2.0)
"""Range of `component_gains`: what the network hardly moves is mostly noise, and stays small."""
WIDER, WIDTH_SHARE = 1.5, 0.35
"""Talkers of GRID read commands: their mouths change in width less than those of people in conversation
(docs/decisions/0028)."""

MouthCurves = tuple[np.ndarray, np.ndarray]
"""Openings of a generated mouth and of the real one, (n,) each, in the same unit, at the same rate."""


def lip_scores(clips: Iterable[MouthCurves]) -> dict[str, float]:
    """lip_r, the mean correlation of generated and real openings, and lip_ratio, the mean ratio of their
    standard deviations. A clip whose real mouth does not move counts as 0 in both."""
    r, ratios = [], []
    for generated, real in clips:
        moves = len(real) > 1 and np.ptp(real) > 0
        r.append(correlation(generated, real))
        ratios.append(amplitude_ratio(generated, real) if moves else 0.0)
    return {"lip_r": float(np.mean(r)), "lip_ratio": float(np.mean(ratios))}


@torch.no_grad()
def generate_latents(
    networks: Denoiser,
    *,
    features: np.ndarray,
    buckets: np.ndarray,
    image: Tensor,
    reference: Tensor,
    mask: Tensor,
    options: SamplingOptions,
    initial_mean: Tensor | float = 0.0,
) -> Tensor:
    """Latents (n, c, h, w) of a portrait moved by windows of audio features (n, d), on the networks' device.

    buckets: (2,). image: (1, c) image embedding. reference: (c, h, w). mask: (H, W).
    """
    networks.eval()
    device = next(networks.parameters()).device
    count = len(features)
    tokens = networks.audio_to_tokens.project(torch.from_numpy(features).float().to(device))
    null = networks.audio_to_tokens.null_tokens().expand_as(tokens)
    labels = torch.from_numpy(buckets).float().to(device).expand(count, -1)
    image, reference, mask = image.to(device), reference.to(device), mask.to(device)
    conditions = Conditions(
        image.expand(count, *image.shape[-2:]), tokens, null, labels, reference, mask, LATENT_FPS
    )
    generator = torch.Generator().manual_seed(options.fixed_seed)
    noise = torch.randn(count, *reference.shape, generator=generator).to(device)
    return sample_latents(
        networks.unet,
        conditions,
        noise,
        options,
        initial_mean=initial_mean,
        built_in_guidance=networks.unet.config.audio_guidance,
    )


@torch.no_grad()
def animate_sample(
    networks: Denoiser,
    codec: MeshCodec,
    sample: MotionSample,
    silence_row: np.ndarray,
    options: SamplingOptions,
) -> tuple[np.ndarray, np.ndarray]:
    """A sample's first frame animated by its own sound: the generated expressions and the real ones, (n, k)
    coefficients at 25 fps, cm.

    silence_row: see cut_windows.
    """
    networks.eval()
    frames = np.arange(0, len(sample.expression), VIDEO_FRAMES_PER_LATENT)
    device = next(networks.parameters()).device
    reference = codec.still_latents(sample.expression[:1]).to(device)
    latents = generate_latents(
        networks,
        features=cut_windows(sample.token_rows, frames, TOKEN_ROWS, TOKEN_ROWS_BEFORE, silence_row),
        buckets=sample.buckets,
        image=networks.image_encoder(reference),
        reference=reference[0],
        mask=codec.mask,
        options=options,
    )
    expression = codec.from_latents(latents).expression + sample.expression[:1]
    return expression[: len(sample.expression)], sample.expression


def component_gains(pairs: Iterable[tuple[np.ndarray, np.ndarray]], width: np.ndarray) -> np.ndarray:
    """Factors (k,) on the components of generated expressions, after which they vary as much as real ones:
    what samples of a low temperature lose toward the mean. Within GAINS, times WIDER where a component
    carries more than WIDTH_SHARE of the width's standard deviation.

    pairs: generated and real expressions (n, k) of clips. width: (k,) of the mouth, by coefficient.
    """
    variances = [(generated.var(0), real.var(0)) for generated, real in pairs]
    generated, real = np.sqrt(np.mean(variances, axis=0))
    gains = np.clip(real / np.maximum(generated, 1e-9), *GAINS)
    carried = np.abs(width) * real
    return gains * np.where(carried > WIDTH_SHARE * np.linalg.norm(carried), WIDER, 1.0)


def lip_gap_cm(codec: MeshCodec, expression: np.ndarray) -> np.ndarray:
    """Inner-lip gap (n,) cm of absolute expression coefficients (n, k), not below zero."""
    lips = [UPPER_LIP_INNER, LOWER_LIP_INNER]
    per_coefficient = codec.basis[:, lips[0], 1] - codec.basis[:, lips[1], 1]
    upper, lower = canonical_vertices()[lips, 1]
    return np.maximum(expression @ per_coefficient + upper - lower, 0)


def measure_frames(
    frames: Sequence[np.ndarray], landmarks: np.ndarray, sound: np.ndarray, path: Path
) -> tuple[MouthCurves, float]:
    """Write generated frames (h, w, 3) as a video of 12.5 fps with the clip's sound, and track their face.

    landmarks: (m, 478, 3) of the real clip at 25 fps. sound: (t,) at 16 kHz. Returns the openings, in face
    heights, of the frames that show a face, and the share of these frames in [0, 1].
    """
    height, width = frames[0].shape[:2]
    waveform = Waveform(sound, SAMPLE_RATE_HZ)
    with VideoWriter(path, width=width, height=height, fps=LATENT_FPS, sound=waveform) as writer:
        for frame in frames:
            writer.write(frame)
    opening, visible = track_opening(frames, FaceMesh(num_threads=1))
    real = mouth_opening(landmarks.astype(np.float64))[::VIDEO_FRAMES_PER_LATENT]
    return (opening, real[: len(visible)][visible]), float(visible.mean())


def track_opening(frames: Sequence[np.ndarray], mesh: FaceMesh) -> tuple[np.ndarray, np.ndarray]:
    """Mouth openings (m,) in face heights in the m frames that show a face, and which frames these are:
    (n,) bool."""
    scale = max(TRACKING_PX / min(frames[0].shape[:2]), 1.0)
    enlarged = (cv2.resize(f, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) for f in frames)
    faces = list(mesh.track(enlarged))
    visible = np.array([face is not None for face in faces])
    found = [face.landmarks for face in faces if face is not None]
    opening = mouth_opening(np.stack(found).astype(np.float64)) if found else np.empty(0)
    return opening, visible
