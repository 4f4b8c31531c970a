"""One animated clip against the real one: lips, motion buckets, and jumps where windows meet."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sonimate.clock import VIDEO_FRAMES_PER_LATENT
from sonimate.configs import AUTOMATIC, MotionOptions, SamplingOptions
from sonimate.diffusion.plan import independent_windows
from sonimate.evaluate.curves import amplitude_ratio, correlation
from sonimate.evaluate.face_curves import face_curves, shape_curves
from sonimate.evaluate.generation import generate_motion, portrait_from_pixels, render_landmarks
from sonimate.evaluate.lips import Clip
from sonimate.pipeline import SonicPipeline
from sonimate.types import Progress, no_progress


def animated_landmarks(
    pipeline: SonicPipeline,
    clip: Clip,
    video: Path,
    *,
    sampling: SamplingOptions,
    motion: MotionOptions = AUTOMATIC,
    progress: Progress = no_progress,
) -> np.ndarray:
    """Landmarks (n, 478, 3) px of the clip's first frame, animated by the clip's sound: of the compact model
    before they are drawn, of the full model tracked in `video`, which is written."""
    if pipeline.components.full:
        return render_landmarks(
            pipeline, clip.pixels, clip.waveform, video, sampling=sampling, motion=motion, progress=progress
        )
    portrait = portrait_from_pixels(clip.pixels)
    return generate_motion(
        pipeline, portrait, clip.waveform, sampling=sampling, motion=motion, progress=progress
    ).drawn.landmarks


def lip_figures(landmarks: np.ndarray, clip: Clip) -> dict[str, float]:
    """Correlation of opening and width with the real clip's, and the opening's amplitude over the real one's,
    of animated landmarks (n, 478, 3)."""
    shapes, real = shape_curves(landmarks), clip.shapes
    return {
        "opening r": correlation(shapes.opening, real.opening),
        "width r": correlation(shapes.width, real.width),
        "amplitude": amplitude_ratio(shapes.opening, real.opening),
    }


def seam_figure(landmarks: np.ndarray, window_frames: int) -> float:
    """`seam_speed` of landmarks (n, 478, 3)."""
    return seam_speed(face_curves(landmarks).points, window_frames)


def seam_speed(points: np.ndarray, window_frames: int) -> float:
    """Mean speed of points (n, v, 2) where independent windows meet, over their mean speed elsewhere. NaN
    where one window holds all frames, and where nothing moves."""
    speed = np.linalg.norm(np.diff(points, axis=0), axis=2).mean(1)
    latents = -(-len(points) // VIDEO_FRAMES_PER_LATENT)
    starts = [window[0] for window in independent_windows(latents, window_frames=window_frames)[1:]]
    border = np.zeros(len(speed), bool)
    for start in starts:
        border[VIDEO_FRAMES_PER_LATENT * (start - 1) : VIDEO_FRAMES_PER_LATENT * start] = True
    if not starts or not speed[~border].any():
        return float("nan")
    return float(speed[border].mean() / speed[~border].mean())
