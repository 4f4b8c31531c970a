"""One portrait and one voice become a talking video: from arrays to frames, and from files to mp4."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sonimate.checkpoints.saved import Components, load_components, save_components
from sonimate.codecs.base import EncodedReference
from sonimate.conditioning import audio_conditions
from sonimate.configs import AUTOMATIC, COMPACT, MAX_BUCKET, MotionOptions, SamplingOptions
from sonimate.errors import AudioTooShort, OptionOutOfRange
from sonimate.inputs import DEFAULT_SIZE_PX, Box, Inputs, read_inputs
from sonimate.media.audio import MIN_SECONDS, MODEL_RATE_HZ, stream_sound
from sonimate.media.video import VideoWriter
from sonimate.sampling import sample
from sonimate.types import Conditions, Portrait, Waveform

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total); stages are "listen", "move" and "draw"."""


def _no_progress(stage: str, done: int, total: int) -> None:
    """The default: nobody watches."""


@dataclass(frozen=True)
class Animation:
    """A portrait with its motion decided: frames can be drawn, as often as wanted.

    width, height: px, even. frame_count: at `fps`. sound_path: what `save` puts into the video.
    """

    width: int
    height: int
    frame_count: int
    fps: float
    sound_path: Path
    draw: Callable[[], Iterator[np.ndarray]]

    def frames(self) -> Iterator[np.ndarray]:
        """uint8 frames (height, width, 3), drawn one by one."""
        return islice(self.draw(), self.frame_count)

    def save(self, path: str | Path, progress: Progress = _no_progress) -> Path:
        """Write an mp4 with the sound. Nothing is left behind when it fails. Raises OutputNotWritable."""
        sound = stream_sound(self.sound_path)
        with VideoWriter(path, width=self.width, height=self.height, fps=self.fps, sound=sound) as writer:
            for index, frame in enumerate(self.frames()):
                progress("draw", index, self.frame_count)
                writer.write(frame)
        progress("draw", self.frame_count, self.frame_count)
        return Path(path)


class SonicPipeline:
    """A model and everything around it.

    >>> SonicPipeline.from_pretrained("compact").animate("a.png", "b.wav").save("c.mp4")
    """

    def __init__(self, components: Components, *, device: str = "auto", sampling: SamplingOptions = COMPACT):
        self.components = components
        self.sampling = sampling
        self.device = choose_device(device)
        for module in components.modules().values():
            module.eval().requires_grad_(False).to(self.device)

    @classmethod
    def from_pretrained(cls, model: str | Path = "compact", *, device: str = "auto") -> SonicPipeline:
        """Load a bundled model by name, or a folder written by `save_pretrained`; uses no network.

        device: "auto", "cpu", "cuda" or "mps". Raises UnknownModel, InvalidCheckpoint, OptionOutOfRange.
        """
        return cls(load_components(model), device=device)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model as a folder: model_index.json and one subfolder a component, safetensors only."""
        save_components(self.components, Path(folder))

    def animate(
        self,
        portrait: str | Path,
        audio: str | Path,
        *,
        sampling: SamplingOptions | None = None,
        motion: MotionOptions = AUTOMATIC,
        face: int | None = None,
        face_box: Box | None = None,
        size: int = DEFAULT_SIZE_PX,
        progress: Progress = _no_progress,
    ) -> Animation:
        """Decide the motion of a portrait file for a sound file.

        face, face_box, size: as in `read_portrait`.
        Raises the media errors, NoFaceFound, FaceTooSmall, AudioTooShort, OptionOutOfRange.
        """
        inputs = read_inputs(portrait, audio, face=face, face_box=face_box, size=size)
        return self.animate_inputs(inputs, sampling=sampling, motion=motion, progress=progress)

    def animate_inputs(
        self,
        inputs: Inputs,
        *,
        sampling: SamplingOptions | None = None,
        motion: MotionOptions = AUTOMATIC,
        progress: Progress = _no_progress,
    ) -> Animation:
        """`animate` for files that were read before."""
        portrait, waveform = inputs.portrait, inputs.waveform
        latents, reference = self.generate(
            portrait, waveform, sampling=sampling, motion=motion, progress=progress
        )
        height, width = portrait.pixels.shape[:2]
        codec = self.components.codec
        return Animation(
            width,
            height,
            self.frame_count(waveform),
            codec.output_fps,
            inputs.sound_path,
            lambda: codec.decode(latents, reference.context),
        )

    def frame_count(self, waveform: Waveform) -> int:
        """Frames of the video that lasts as long as `waveform`."""
        return round(waveform.seconds * self.components.codec.output_fps)

    def __call__(self, portrait: Portrait, waveform: Waveform, **options: Any) -> Iterator[np.ndarray]:
        """The same on arrays: uint8 frames (h, w, 3), 25 a second, as long as the 16 kHz `waveform`.

        options: `sampling`, `motion` and `progress` of `generate`.
        """
        latents, reference = self.generate(portrait, waveform, **options)
        return islice(self.components.codec.decode(latents, reference.context), self.frame_count(waveform))

    @torch.no_grad()
    def generate(
        self,
        portrait: Portrait,
        waveform: Waveform,
        *,
        sampling: SamplingOptions | None = None,
        motion: MotionOptions = AUTOMATIC,
        progress: Progress = _no_progress,
    ) -> tuple[Tensor, EncodedReference]:
        """Latents (n, c, h, w) that move `portrait` to a 16 kHz `waveform`, and the reference to decode them
        with. The sound is continued by silence to whole windows, so n may exceed what it fills."""
        options = sampling or self.sampling
        if waveform.seconds < MIN_SECONDS:
            raise AudioTooShort(
                f"{waveform.seconds:.2f} s of sound; give a recording of at least {MIN_SECONDS} s."
            )
        reference = self.components.codec.encode_reference(portrait)
        progress("listen", 0, 1)
        conditions = self._conditions(waveform, reference, options, motion)
        progress("listen", 1, 1)
        progress("move", 0, options.steps)
        generator = torch.Generator().manual_seed(options.seed)
        shape = (len(conditions.audio_tokens), *self.components.codec.latent_shape)
        noise = torch.randn(shape, generator=generator).to(self.device)
        latents = sample(
            self.components.unet,
            conditions,
            noise,
            options,
            progress=lambda step, total: progress("move", step, total),
        )
        return latents.cpu(), reference

    def _conditions(
        self, waveform: Waveform, reference: EncodedReference, options: SamplingOptions, motion: MotionOptions
    ) -> Conditions:
        parts = self.components
        fps = parts.codec.latent_fps
        samples = pad_to_windows(waveform.samples, fps, options.window_frames)
        hidden_states = parts.audio_encoder(samples).to(self.device)
        latents = reference.latents.to(self.device)
        image = parts.image_encoder(latents[None])
        audio = audio_conditions(
            hidden_states, image[0, 0], parts.audio_to_tokens, parts.audio_to_bucket, fps
        )
        buckets = audio.motion_buckets.clamp(0, MAX_BUCKET)
        for column, value in enumerate((motion.head_motion, motion.expression)):
            if value is not None:
                buckets[:, column] = value / max(options.dynamic_scale, 1e-6)
        return Conditions(
            image.expand(len(buckets), -1, -1),
            audio.audio_tokens,
            audio.null_audio_tokens,
            buckets,
            latents,
            reference.mask.to(self.device),
            fps,
        )


def pad_to_windows(samples: np.ndarray, fps: float, window_frames: int) -> np.ndarray:
    """Continue a 16 kHz sound by silence until it fills whole windows: windows that wrap around would
    otherwise show its end and its start as neighbours, for no saving."""
    whole = window_count(len(samples), fps, window_frames) * window_frames * round(MODEL_RATE_HZ / fps)
    return np.pad(samples, (0, whole - len(samples)))


def window_count(sample_count: int, fps: float, window_frames: int) -> int:
    """Windows of `window_frames` at `fps` that `sample_count` > 0 samples at 16 kHz begin to fill."""
    return math.ceil(sample_count / (window_frames * round(MODEL_RATE_HZ / fps)))


def choose_device(name: str) -> torch.device:
    """For "auto" CUDA, else Apple's MPS, else the CPU. Raises OptionOutOfRange for one that is not there."""
    counts = {
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    if name == "auto":
        return torch.device(next(kind for kind, count in counts.items() if count))
    kind, colon, index = name.partition(":")
    number = int(index) if index.isdecimal() else 0
    if number >= counts.get(kind, 0) or bool(colon) != index.isdecimal():
        there = ", ".join(kind for kind, count in counts.items() if count)
        raise OptionOutOfRange(f"device {name!r} is not available; this machine has {there}.")
    return torch.device(name)
