"""What a pipeline generates, measured: from its motion without drawing it, or from the video it writes.

Both give the same ratios between settings. Turns of the head are larger in the motion: a tracker finds about
0.6 of their angle in the video, since the warp flattens the depth of the face.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sonimate.audio.duration import video_frames
from sonimate.codecs.mesh.codec import MeshCodec
from sonimate.codecs.mesh.motion import DrawnMotion, Motion
from sonimate.codecs.mesh.warp import PortraitWarp
from sonimate.configs import AUTOMATIC, MotionOptions, SamplingOptions
from sonimate.errors import UnknownModel
from sonimate.evaluate.face_curves import FaceCurves, ShapeCurves, face_curves, shape_curves
from sonimate.face.mesh import FaceMesh, select_face
from sonimate.face.tracking import video_landmarks
from sonimate.media.image import write_png
from sonimate.media.wav import write_wav
from sonimate.pipeline import SonicPipeline
from sonimate.types import Portrait, Progress, Waveform, no_progress


@dataclass(frozen=True)
class GeneratedMotion:
    """A portrait's motion at 25 fps, before it is drawn.

    motion: as the network asks for it. drawn: as the warp draws it. curves: of the drawn landmarks.
    """

    motion: Motion
    warp: PortraitWarp
    drawn: DrawnMotion
    curves: FaceCurves

    @property
    def shapes(self) -> ShapeCurves:
        """Of the drawn landmarks."""
        return shape_curves(self.drawn.landmarks)


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
    progress: Progress = no_progress,
) -> GeneratedMotion:
    """Generate the motion of `portrait` for `waveform` (16 kHz), as many frames as the video would have,
    without drawing one. Raises UnknownModel and the pipeline's errors."""
    codec = mesh_codec(pipeline)
    options = pipeline.seeded(portrait, waveform, sampling)
    latents, reference = pipeline.generate(
        portrait, waveform, sampling=options, motion=motion, progress=progress
    )
    samples = len(waveform.samples)
    count = video_frames(samples, options.decoding.fps, as_reference=options.as_reference)
    generated = codec.motion(latents, reference.context, options.decoding)[:count]
    drawn = codec.resolve(generated, reference.context)
    return GeneratedMotion(generated, reference.context, drawn, face_curves(drawn.landmarks))


def render_landmarks(
    pipeline: SonicPipeline,
    pixels: np.ndarray,
    waveform: Waveform,
    video: Path,
    *,
    sampling: SamplingOptions | None = None,
    motion: MotionOptions = AUTOMATIC,
    progress: Progress = no_progress,
) -> np.ndarray:
    """Animate a picture at its own size, write `video` (mp4), read it back and track it like any other video:
    landmarks (n, 478, 3) px.

    pixels: uint8 (h, w, 3). The portrait and the sound stay beside the video as png and wav.
    Raises the pipeline's errors and those of `video_landmarks`.
    """
    video.parent.mkdir(parents=True, exist_ok=True)
    portrait, sound = video.with_suffix(".png"), video.with_suffix(".wav")
    write_png(portrait, pixels)
    write_wav(sound, waveform)
    size = None if pipeline.components.full else max(pixels.shape[:2])
    animation = pipeline.animate(
        portrait, sound, sampling=sampling, motion=motion, size=size, progress=progress
    )
    return video_landmarks(animation.save(video), FaceMesh(num_threads=1))


def render_and_track(
    pipeline: SonicPipeline,
    pixels: np.ndarray,
    waveform: Waveform,
    video: Path,
    *,
    sampling: SamplingOptions | None = None,
) -> FaceCurves:
    """Curves of `render_landmarks`."""
    return face_curves(render_landmarks(pipeline, pixels, waveform, video, sampling=sampling))


def portrait_from_pixels(pixels: np.ndarray) -> Portrait:
    """A picture, uint8 (h, w, 3), with its largest face. Raises NoFaceFound or FaceTooSmall."""
    return Portrait(pixels, select_face(FaceMesh(num_threads=1).find(pixels)))
