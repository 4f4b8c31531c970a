"""A pipeline made to perform, and what is seen of it: in pixels, through files, or in its own motion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sonimate.audio.duration import video_frames
from sonimate.codecs.mesh.codec import MeshCodec
from sonimate.codecs.mesh.motion import Motion
from sonimate.codecs.mesh.warp import PortraitWarp
from sonimate.configs import AUTOMATIC, MotionOptions, SamplingOptions
from sonimate.errors import UnknownModel
from sonimate.evaluate.face_curves import FaceCurves, generated_landmarks, measure_face
from sonimate.face.mesh import FaceMesh
from sonimate.footage.tracks import track_file
from sonimate.media.image import write_png
from sonimate.media.wav import write_wav
from sonimate.pipeline import SonicPipeline
from sonimate.types import Portrait, Waveform


@dataclass(frozen=True)
class Performance:
    """A portrait's motion at the output rate, not yet drawn: `curves` are of its own landmarks."""

    motion: Motion
    warp: PortraitWarp
    curves: FaceCurves


def mesh_codec(pipeline: SonicPipeline) -> MeshCodec:
    """The codec of a compact model. Raises UnknownModel for the full one, whose latents hold no motion."""
    codec = pipeline.components.codec
    if not isinstance(codec, MeshCodec):
        raise UnknownModel("Motion is read from the compact model's latents; give a compact model.")
    return codec


def perform(
    pipeline: SonicPipeline,
    portrait: Portrait,
    waveform: Waveform,
    *,
    sampling: SamplingOptions | None = None,
    motion: MotionOptions = AUTOMATIC,
) -> Performance:
    """Generate the motion of `portrait` for `waveform` (16 kHz) without drawing a frame."""
    codec = mesh_codec(pipeline)
    options = pipeline.seeded(portrait, waveform, sampling)
    latents, reference = pipeline.generate(portrait, waveform, sampling=options, motion=motion)
    count = video_frames(waveform, options.decoding.fps, as_reference=options.as_reference)
    moved = codec.motion(latents, reference.context, options.decoding)[:count]
    curves = measure_face(generated_landmarks(codec, moved, reference.context))
    return Performance(moved, reference.context, curves)


def film(
    pipeline: SonicPipeline,
    pixels: np.ndarray,
    waveform: Waveform,
    video: Path,
    *,
    sampling: SamplingOptions | None = None,
) -> FaceCurves:
    """The whole path: animate a picture at its own size, write `video` (mp4), read it back and track it as
    any other.

    pixels: uint8 (h, w, 3). The portrait and the sound are left beside the video as png and wav.
    Raises the pipeline's errors and those of `track_file`.
    """
    video.parent.mkdir(parents=True, exist_ok=True)
    portrait, sound = video.with_suffix(".png"), video.with_suffix(".wav")
    write_png(portrait, pixels)
    write_wav(sound, waveform)
    animation = pipeline.animate(portrait, sound, sampling=sampling, size=max(pixels.shape[:2]))
    return watch(animation.save(video))


def watch(video: Path) -> FaceCurves:
    """Track the face of a video file and measure it. Raises UnusableClip and the media errors."""
    return measure_face(track_file(video, FaceMesh(num_threads=1)).astype(np.float64))
