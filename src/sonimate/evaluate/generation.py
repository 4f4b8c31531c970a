"""What a pipeline generates, measured: from its motion without drawing it, or from the video it writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sonimate.codecs.mesh.codec import MeshCodec, Motion
from sonimate.codecs.mesh.warp import PortraitWarp
from sonimate.configs import AUTOMATIC, MotionOptions, SamplingOptions
from sonimate.errors import UnknownModel
from sonimate.evaluate.face_curves import FaceCurves, face_curves
from sonimate.face.mesh import FaceMesh, select_face
from sonimate.face.pose import apply_motion, to_image
from sonimate.face.regions import LID_PAIRS, LOWER_LIP_INNER, UPPER_LIP_INNER
from sonimate.face.tracking import video_landmarks
from sonimate.media.image import write_png
from sonimate.media.wav import write_wav
from sonimate.pipeline import SonicPipeline
from sonimate.types import Portrait, Waveform

MEETING = ((UPPER_LIP_INNER, LOWER_LIP_INNER), *LID_PAIRS)
"""Upper and lower points of lips and lids that are measured: they may touch, never cross."""


@dataclass(frozen=True)
class GeneratedMotion:
    """A portrait's motion at 25 fps, before it is drawn. curves: of the landmarks that it moves."""

    motion: Motion
    warp: PortraitWarp
    curves: FaceCurves


def mesh_codec(pipeline: SonicPipeline) -> MeshCodec:
    """The codec of a compact model. Raises UnknownModel for the full one, whose latents hold no motion."""
    codec = pipeline.components.codec
    if not isinstance(codec, MeshCodec):
        raise UnknownModel("Motion is read from the compact model's latents; give a compact model.")
    return codec


def generate_motion(
    pipeline: SonicPipeline,
    portrait: Portrait,
    waveform: Waveform,
    *,
    sampling: SamplingOptions | None = None,
    motion: MotionOptions = AUTOMATIC,
) -> GeneratedMotion:
    """Generate the motion of `portrait` for `waveform` (16 kHz), as many frames as the video would have,
    without drawing one. Raises UnknownModel and the pipeline's errors."""
    codec = mesh_codec(pipeline)
    latents, reference = pipeline.generate(portrait, waveform, sampling=sampling, motion=motion)
    moved = codec.motion(latents, reference.context)
    count = pipeline.frame_count(waveform, sampling)
    moved = Motion(moved.expression[:count], moved.head[:count])
    curves = face_curves(generated_landmarks(codec, moved, reference.context))
    return GeneratedMotion(moved, reference.context, curves)


def generated_landmarks(codec: MeshCodec, motion: Motion, warp: PortraitWarp) -> np.ndarray:
    """Where a motion at 25 fps puts the landmarks (n, 478, 3) px of a portrait, without drawing it."""
    vertices = uncrossed(warp.vertices + codec.displacement(motion.expression))
    return to_image(vertices, apply_motion(warp.pose, motion.head))


def uncrossed(vertices: np.ndarray) -> np.ndarray:
    """Pose-normalised vertices (n, 478, 3) whose measured lips and lids do not cross, as they are drawn."""
    vertices = vertices.copy()
    for upper, lower in MEETING:
        crossing = np.minimum(vertices[:, upper, 1] - vertices[:, lower, 1], 0)
        vertices[:, upper, 1] -= crossing / 2
        vertices[:, lower, 1] += crossing / 2
    return vertices


def render_and_track(
    pipeline: SonicPipeline,
    pixels: np.ndarray,
    waveform: Waveform,
    video: Path,
    *,
    sampling: SamplingOptions | None = None,
) -> FaceCurves:
    """Animate a picture at its own size, write `video` (mp4), read it back and track it like any other video.

    pixels: uint8 (h, w, 3). The portrait and the sound stay beside the video as png and wav.
    Raises the pipeline's errors and those of `track_video`.
    """
    video.parent.mkdir(parents=True, exist_ok=True)
    portrait, sound = video.with_suffix(".png"), video.with_suffix(".wav")
    write_png(portrait, pixels)
    write_wav(sound, waveform)
    animation = pipeline.animate(portrait, sound, sampling=sampling, size=max(pixels.shape[:2]))
    return track_video(animation.save(video), FaceMesh(num_threads=1))


def track_video(video: Path, mesh: FaceMesh) -> FaceCurves:
    """Curves of the largest face in a video file. Raises UnusableClip and the media errors."""
    return face_curves(video_landmarks(video, mesh))


def portrait_from_pixels(pixels: np.ndarray) -> Portrait:
    """A picture, uint8 (h, w, 3), with its largest face. Raises NoFaceFound or FaceTooSmall."""
    return Portrait(pixels, select_face(FaceMesh(num_threads=1).find(pixels)))
