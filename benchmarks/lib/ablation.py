"""What one part of the model contributes: lip sync, response to motion buckets, and jumps between windows,
read from the generated motion without drawing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sonimate.clock import VIDEO_FRAMES_PER_LATENT
from sonimate.configs import MotionOptions, SamplingOptions
from sonimate.diffusion.plan import independent_windows
from sonimate.evaluate.curves import amplitude_ratio, best_lag, correlation
from sonimate.evaluate.generation import GeneratedMotion, generate_motion, portrait_from_pixels
from sonimate.evaluate.lips import Clip
from sonimate.footage.bucket_labels import bucket_labels
from sonimate.pipeline import SonicPipeline


@dataclass(frozen=True)
class AblationScore:
    """Means over clips. Each clip's first frame is animated by its own sound and motion buckets.

    lip_r: correlation of generated and real mouth opening. best_r: the same at the best lag. amplitude:
    standard deviation of the generated opening over the real one. head, expression: motion buckets of the
    generated motion. head_r, expression_r: their correlation over clips with the buckets of the real clips.
    seam: mean speed of the landmarks where independent windows meet, over their mean speed elsewhere.
    """

    lip_r: float
    best_r: float
    amplitude: float
    head: float
    expression: float
    head_r: float
    expression_r: float
    seam: float


def score_model(
    pipeline: SonicPipeline,
    clips: Sequence[Clip],
    buckets: Mapping[str, np.ndarray],
    sampling: SamplingOptions,
) -> AblationScore:
    """buckets: (m_t, m_e) of the real clips by name. Raises the pipeline's errors."""
    lips, real, achieved, seams = [], [], [], []
    for clip in clips:
        head, expression = buckets[clip.name].tolist()
        motion = MotionOptions(head_motion=head, expression=expression)
        portrait = portrait_from_pixels(clip.pixels)
        generated = generate_motion(pipeline, portrait, clip.waveform, sampling=sampling, motion=motion)
        mouths = generated.curves.mouth, clip.curves.mouth
        lips.append((correlation(*mouths), best_lag(*mouths).r, amplitude_ratio(*mouths)))
        real.append((head, expression))
        achieved.append(achieved_buckets(generated))
        seams.append(seam_speed(generated.curves.points, sampling.window_frames))
    asked, got = np.array(real), np.array(achieved)
    lip_r, best_r, amplitude = np.mean(lips, axis=0).tolist()
    head, expression = got.mean(0).tolist()
    return AblationScore(
        lip_r=lip_r,
        best_r=best_r,
        amplitude=amplitude,
        head=head,
        expression=expression,
        head_r=correlation(got[:, 0], asked[:, 0]),
        expression_r=correlation(got[:, 1], asked[:, 1]),
        seam=float(np.nanmean(seams)),
    )


def achieved_buckets(generated: GeneratedMotion) -> np.ndarray:
    """(m_t, m_e) of a generated motion, by the definition of the training data's labels."""
    return bucket_labels(generated.drawn.landmarks, generated.drawn.vertices)


def seam_speed(points: np.ndarray, window_frames: int) -> float:
    """Mean speed of points (n, v, 2) where independent windows meet, over their mean speed elsewhere. NaN
    where one window holds all frames."""
    speed = np.linalg.norm(np.diff(points, axis=0), axis=2).mean(1)
    latents = -(-len(points) // VIDEO_FRAMES_PER_LATENT)
    starts = [window[0] for window in independent_windows(latents, window_frames=window_frames)[1:]]
    if not starts:
        return float("nan")
    border = np.zeros(len(speed), bool)
    for start in starts:
        border[VIDEO_FRAMES_PER_LATENT * (start - 1) : VIDEO_FRAMES_PER_LATENT * start] = True
    return float(speed[border].mean() / speed[~border].mean())
