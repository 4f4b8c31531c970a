"""One portrait and one voice become a talking video: the whole path, from arrays to frames and from files to mp4."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sonimate.audio.whisper import WhisperHiddenStates
from sonimate.checkpoints.saved import Components, load_components, save_components
from sonimate.codecs.base import EncodedReference
from sonimate.conditioning import audio_conditions
from sonimate.configs import COMPACT, SamplingOptions
from sonimate.errors import AudioTooShort, OptionOutOfRange
from sonimate.face.mesh import FaceMesh, select_face
from sonimate.media.audio import is_silent, read_audio, stream_sound
from sonimate.media.image import even_size, read_image, resize_longer_side
from sonimate.media.video import VideoWriter
from sonimate.sampling import sample
from sonimate.types import Conditions, Portrait, Waveform

MIN_SECONDS = 0.2
"""One audio window; anything shorter says nothing."""
MAX_BUCKET = 128.0
DEFAULT_SIZE_PX = 1024
SAMPLE_RATE_HZ = 16000

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total); stages are "listen", "move" and "draw"."""

_log = logging.getLogger("sonimate")


@dataclass(frozen=True, kw_only=True)
class MotionOptions:
    """How strongly to move. None lets the voice and the portrait decide (`AudioToBucket`, times beta).

    head_motion, expression: motion buckets in [0, 128] (paper eq. 3-4).
    Raises OptionOutOfRange.
    """

    head_motion: float | None = None
    expression: float | None = None

    def __post_init__(self) -> None:
        for name in ("head_motion", "expression"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= MAX_BUCKET:
                raise OptionOutOfRange(f"{name} = {value}; choose a number from 0 (still) to 128 (most lively).")


AUTOMATIC = MotionOptions()


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
                writer.write(frame)
                progress("draw", index + 1, self.frame_count)
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
        face_box: tuple[float, float, float, float] | None = None,
        size: int = DEFAULT_SIZE_PX,
        progress: Progress = _no_progress,
    ) -> Animation:
        """Decide the motion of a portrait file for a sound file.

        face: which one, counted from the left, 1 first; face_box: the one overlapping (x0, y0, x1, y1) px of the
        file's picture; default the largest. size: cap of the longer side in px.
        Raises the media errors, NoFaceFound, FaceTooSmall, AudioTooShort, OptionOutOfRange.
        """
        waveform = read_audio(audio, SAMPLE_RATE_HZ)
        if is_silent(waveform):
            _log.warning("%s is silent: the portrait will live but not speak.", audio)
        found = read_portrait(portrait, face=face, face_box=face_box, size=size)
        height, width = found.pixels.shape[:2]
        latents, reference = self.generate(found, waveform, sampling=sampling, motion=motion, progress=progress)
        codec = self.components.codec
        return Animation(
            width,
            height,
            round(waveform.seconds * codec.output_fps),
            codec.output_fps,
            Path(audio),
            lambda: codec.decode(latents, reference.context),
        )

    def __call__(self, portrait: Portrait, waveform: Waveform, **options: Any) -> Iterator[np.ndarray]:
        """The same on arrays: uint8 frames (h, w, 3), 25 a second, as long as the 16 kHz `waveform`.

        options: `sampling`, `motion` and `progress` of `generate`.
        """
        latents, reference = self.generate(portrait, waveform, **options)
        count = round(waveform.seconds * self.components.codec.output_fps)
        return islice(self.components.codec.decode(latents, reference.context), count)

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
        """Latents (n, c, h, w) that move `portrait` to a 16 kHz `waveform`, and the encoded reference to decode
        them with. The sound is continued by silence to whole windows, so n may exceed what it fills."""
        options = sampling or self.sampling
        if waveform.seconds < MIN_SECONDS:
            raise AudioTooShort(f"{waveform.seconds:.2f} s of sound; give a recording of at least {MIN_SECONDS} s.")
        reference = self.components.codec.encode_reference(portrait)
        progress("listen", 0, 1)
        conditions = self._conditions(waveform, reference, options, motion)
        progress("listen", 1, 1)
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
        audio = audio_conditions(hidden_states, image[0, 0], parts.audio_to_tokens, parts.audio_to_bucket, fps)
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


def read_portrait(
    path: str | Path,
    *,
    face: int | None = None,
    face_box: tuple[float, float, float, float] | None = None,
    size: int = DEFAULT_SIZE_PX,
) -> Portrait:
    """Read a picture, find its face, and bring it to even sides with the longer one at most `size` px."""
    if not 64 <= size <= 8192:
        raise OptionOutOfRange(f"size = {size}; choose a longer side from 64 to 8192 px.")
    pixels = read_image(path)
    original_width = pixels.shape[1]
    pixels = np.ascontiguousarray(even_size(resize_longer_side(pixels, size)))
    scale = pixels.shape[1] / original_width
    box = None if face_box is None else tuple(scale * side for side in face_box)
    faces = FaceMesh().find(pixels)
    return Portrait(pixels, select_face(faces, index=face, box=box))  # type: ignore[arg-type]


def pad_to_windows(samples: np.ndarray, fps: float, window_frames: int) -> np.ndarray:
    """Continue a 16 kHz sound by silence until it fills whole windows: windows that wrap around would otherwise show
    its end and its start as neighbours, for no saving."""
    frame_samples = round(SAMPLE_RATE_HZ / fps)
    frames = math.ceil(len(samples) / frame_samples)
    whole = max(math.ceil(frames / window_frames), 1) * window_frames * frame_samples
    return np.pad(samples, (0, whole - len(samples)))


def choose_device(name: str) -> torch.device:
    """"auto" takes CUDA, then Apple's MPS, then the CPU. Raises OptionOutOfRange for one that is not there."""
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(device for device in ("cuda", "mps", "cpu") if present[device]))
    if not present.get(name.split(":")[0], False):
        there = ", ".join(device for device, found in present.items() if found)
        raise OptionOutOfRange(f"device {name!r} is not available; this machine has {there}.")
    return torch.device(name)
