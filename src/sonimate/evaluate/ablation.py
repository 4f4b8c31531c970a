"""What a part of the model does: its lips, its obedience to motion buckets, its seams, read from generated
motion that is not drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sonimate.configs import MotionOptions, SamplingOptions
from sonimate.diffusion.plan import independent_windows
from sonimate.evaluate.curves import amplitude_ratio, best_lag, correlation
from sonimate.evaluate.face_curves import generated_landmarks
from sonimate.evaluate.lip_sync import Take, portrait_of
from sonimate.evaluate.performance import Performance, mesh_codec, perform
from sonimate.footage.bucket_labels import motion_buckets
from sonimate.pipeline import SonicPipeline

LATENT_STRIDE = 2
"""Output frames (25 a second) a latent."""


@dataclass(frozen=True)
class Reading:
    """Means over clips, each animated from its first frame by its own sound and motion buckets.

    lip_r: correlation of generated and real mouth opening; best_r: at the best lag. amplitude: generated over
    real. head, expression: buckets that the generated motion itself has. head_r, expression_r: their
    correlation over clips with the real ones. seam: mean speed of the landmarks where windows that share no
    frame would meet, over that elsewhere.
    """

    lip_r: float
    best_r: float
    amplitude: float
    head: float
    expression: float
    head_r: float
    expression_r: float
    seam: float


def read_model(
    pipeline: SonicPipeline,
    takes: Sequence[Take],
    buckets: Mapping[str, np.ndarray],
    sampling: SamplingOptions,
) -> Reading:
    """buckets: (m_t, m_e) of the real clips by name. Raises the pipeline's errors."""
    lips, real, made, seams = [], [], [], []
    for take in takes:
        head, expression = buckets[take.name].tolist()
        motion = MotionOptions(head_motion=head, expression=expression)
        done = perform(pipeline, portrait_of(take.pixels), take.waveform, sampling=sampling, motion=motion)
        mouths = done.curves.mouth, take.curves.mouth
        lips.append((correlation(*mouths), best_lag(*mouths).r, amplitude_ratio(*mouths)))
        real.append((head, expression))
        made.append(achieved_buckets(pipeline, done))
        seams.append(seam_speed(done.curves.points, sampling.window_frames))
    asked, got = np.array(real), np.array(made)
    return Reading(
        *np.mean(lips, axis=0).tolist(),
        *got.mean(0).tolist(),
        head_r=correlation(got[:, 0], asked[:, 0]),
        expression_r=correlation(got[:, 1], asked[:, 1]),
        seam=float(np.nanmean(seams)),
    )


def achieved_buckets(pipeline: SonicPipeline, done: Performance) -> np.ndarray:
    """(m_t, m_e) of a generated motion, by the definition of the training data's labels."""
    codec = mesh_codec(pipeline)
    landmarks = generated_landmarks(codec, done.motion, done.warp)
    return motion_buckets(landmarks, codec.displacement(done.motion.expression))


def seam_speed(points: np.ndarray, window_frames: int) -> float:
    """points (n, v, 2) -> mean speed across the borders of independent windows over that elsewhere; NaN
    where all frames fit into one window."""
    speed = np.linalg.norm(np.diff(points, axis=0), axis=2).mean(1)
    latents = -(-len(points) // LATENT_STRIDE)
    starts = [window[0] for window in independent_windows(latents, window_frames=window_frames)[1:]]
    if not starts:
        return float("nan")
    border = np.zeros(len(speed), bool)
    for start in starts:
        border[LATENT_STRIDE * (start - 1) : LATENT_STRIDE * start] = True
    return float(speed[border].mean() / speed[~border].mean())
