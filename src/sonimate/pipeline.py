"""One portrait and one voice become a talking video: from arrays to frames, and from files to mp4."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn

from sonimate.audio.windows import frame_count
from sonimate.checkpoints.folder import is_full, model_folder
from sonimate.checkpoints.saved import Components, load_components, save_components
from sonimate.codecs.base import EncodedReference
from sonimate.conditioning import audio_conditions
from sonimate.configs import (
    AUTOMATIC,
    COMPACT,
    DEFAULT_IMAGE_SIZE_PX,
    FULL,
    MAX_BUCKET,
    DecodeOptions,
    MotionOptions,
    Precision,
    SamplingOptions,
)
from sonimate.errors import AudioTooShort, NonFiniteOutput, OptionOutOfRange
from sonimate.face.crop import PasteBack
from sonimate.face.geometry import Box
from sonimate.inputs import DEFAULT_SIZE_PX, MAX_SIZE_PX, MIN_SIZE_PX, Inputs, read_inputs
from sonimate.media.audio import MIN_SECONDS, MODEL_RATE_HZ, stream_sound
from sonimate.media.video import VideoWriter
from sonimate.sampling import sample
from sonimate.sampling.compiled import compilation_errors_told, compile_network
from sonimate.sampling.guidance import remaining_guidance
from sonimate.types import Conditions, Portrait, Waveform

LATENT_FPS = 12.5
"""Of both models."""

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

    def __init__(
        self,
        components: Components,
        *,
        device: str = "auto",
        sampling: SamplingOptions | None = None,
        offload: bool = False,
    ):
        """sampling: default for all runs, by default the model's own. offload: networks wait in the CPU's
        memory until their turn: those that look and listen, then the UNet, then the decoder."""
        self.components = components
        self.sampling = sampling or (FULL if components.full else COMPACT)
        self.device = choose_device(device)
        parts = components
        self._listeners = Stage(
            [parts.image_encoder, parts.audio_to_tokens, parts.audio_to_bucket], self.device, offload
        )
        self._mover = Stage([parts.unet], self.device, offload)
        self._drawer = Stage(parts.codec.networks, self.device, offload)

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = "compact",
        *,
        device: str = "auto",
        dtype: Precision = "auto",
        offload: bool = False,
        compile_unet: bool = False,
    ) -> SonicPipeline:
        """Load a bundled model by name, or a folder written by `save_pretrained`; uses no network.

        device: "auto", "cpu", "cuda" or "mps". dtype: of UNet, autoencoder and CLIP; "auto" is float16 for
        the full model on a GPU, else float32. offload: see `__init__`. compile_unet: by torch.compile, for
        static shapes: it takes minutes at first, and pays off over many runs of one size.
        Raises UnknownModel, InvalidCheckpoint, OptionOutOfRange.
        """
        folder, chosen = model_folder(model), choose_device(device)
        components = load_components(folder, choose_dtype(dtype, chosen, full=is_full(folder)))
        if compile_unet:
            compile_network(components.unet)
        return cls(components, device=device, offload=offload)

    def save_pretrained(self, folder: str | Path, dtype: torch.dtype = torch.float16) -> None:
        """Write the model as a folder: model_index.json and one subfolder a component, safetensors only.

        dtype: of the weights; the full model's audio networks and RIFE stay float32 (NOTES 1.7).
        Raises InvalidCheckpoint, naming the tensor that `dtype` cannot hold, and OutputNotWritable.
        """
        save_components(self.components, Path(folder), dtype)

    def animate(
        self,
        portrait: str | Path,
        audio: str | Path,
        *,
        sampling: SamplingOptions | None = None,
        motion: MotionOptions = AUTOMATIC,
        face: int | None = None,
        face_box: Box | None = None,
        size: int | None = None,
        crop: bool = False,
        paste_back: bool = False,
        progress: Progress = _no_progress,
    ) -> Animation:
        """Decide the motion of a portrait file for a sound file.

        face, face_box, crop, paste_back: as in `read_inputs`. size: px, by default the model's own; the
        compact model caps the longer side at it (1024), the full one brings the shorter side to it (512).
        Raises the media errors, NoFaceFound, FaceTooSmall, AudioTooShort, OptionOutOfRange.
        """
        which = {"face": face, "face_box": face_box, "crop": crop, "paste_back": paste_back}
        inputs = read_inputs(portrait, audio, **which, size=self.set_size(size))
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
        options = sampling or self.sampling
        latents, reference = self.generate(
            inputs.portrait, inputs.waveform, sampling=options, motion=motion, progress=progress
        )
        fps, count = self.components.codec.output_fps, self.frame_count(inputs.waveform, options)
        draw = partial(self.decode, latents, reference, options.decoding)
        if inputs.canvas is None:
            return Animation(reference.width, reference.height, count, fps, inputs.sound_path, draw)
        paste = PasteBack(inputs.canvas)
        height, width = inputs.canvas.pixels.shape[:2]
        return Animation(width, height, count, fps, inputs.sound_path, lambda: map(paste, draw()))

    def set_size(self, size: int | None) -> int | None:
        """Give a size in px to whoever scales the picture: returns it for `read_inputs` of the compact model,
        None for the full one, whose codec does that itself. Raises OptionOutOfRange."""
        if size is not None and not MIN_SIZE_PX <= size <= MAX_SIZE_PX:
            raise OptionOutOfRange(f"size = {size}; choose from {MIN_SIZE_PX} to {MAX_SIZE_PX} px.")
        codec = self.components.codec
        if codec.image_size is None:
            return size or DEFAULT_SIZE_PX
        codec.image_size = size or DEFAULT_IMAGE_SIZE_PX
        return None

    def frame_count(self, waveform: Waveform, sampling: SamplingOptions | None = None) -> int:
        """Frames of the video; see `video_frames`."""
        options = sampling or self.sampling
        return video_frames(waveform, self.components.codec.output_fps, as_reference=options.as_reference)

    def __call__(
        self,
        portrait: Portrait,
        waveform: Waveform,
        *,
        sampling: SamplingOptions | None = None,
        **options: Any,
    ) -> Iterator[np.ndarray]:
        """The same on arrays: uint8 frames (h, w, 3), 25 a second, as long as the 16 kHz `waveform`.

        options: `motion` and `progress` of `generate`.
        """
        sampling = sampling or self.sampling
        latents, reference = self.generate(portrait, waveform, sampling=sampling, **options)
        frames = self.decode(latents, reference, sampling.decoding)
        return islice(frames, self.frame_count(waveform, sampling))

    def decode(
        self, latents: Tensor, reference: EncodedReference, decoding: DecodeOptions | None = None
    ) -> Iterator[np.ndarray]:
        """Frames of the latents that `generate` gave, one by one. decoding: of the full model, by default its
        codec's own."""
        with self._drawer:
            yield from self.components.codec.decode(latents, reference.context, decoding)

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
        with. The sound is continued by silence to whole windows, so n may exceed what it fills.

        Raises AudioTooShort, NonFiniteOutput, CompilationFailed.
        """
        options = sampling or self.sampling
        if waveform.seconds < MIN_SECONDS:
            raise AudioTooShort(
                f"{waveform.seconds:.2f} s of sound; give a recording of at least {MIN_SECONDS} s."
            )
        progress("listen", 0, 1)
        with self._drawer:
            reference = self.components.codec.encode_reference(portrait)
        with self._listeners:
            conditions = self._conditions(waveform, reference, options, motion)
        progress("listen", 1, 1)
        progress("move", 0, options.steps)
        noise = initial_noise(reference, len(conditions.audio_tokens), options).to(self.device)
        mean = torch.as_tensor(reference.initial_mean, device=self.device)
        with self._mover, compilation_errors_told():
            latents = sample(
                self.components.unet,
                conditions,
                noise,
                remaining_guidance(options, self.components.unet.config.audio_guidance),
                initial_mean=mean,
                progress=lambda step, total: progress("move", step, total),
            )
        if not latents.isfinite().all():
            raise NonFiniteOutput(
                "The UNet's motion is not finite. Try --dtype bfloat16 or float32, or less guidance; if that "
                "does not help, check the model: sonimate models verify."
            )
        return latents.cpu(), reference

    def _conditions(
        self, waveform: Waveform, reference: EncodedReference, options: SamplingOptions, motion: MotionOptions
    ) -> Conditions:
        parts = self.components
        fps = parts.codec.latent_fps
        image_dtype = next(parts.image_encoder.parameters()).dtype
        image = parts.image_encoder(reference.image[None].to(self.device, image_dtype))
        if options.as_reference:
            hidden_states = parts.audio_encoder(waveform.samples, "reference")
        else:
            hidden_states = parts.audio_encoder(pad_to_windows(waveform.samples, fps, options.window_frames))
        audio = audio_conditions(
            hidden_states.to(self.device),
            image[0, 0].float(),
            parts.audio_to_tokens,
            parts.audio_to_bucket,
            fps,
        )
        buckets = audio.motion_buckets if options.as_reference else audio.motion_buckets.clamp(0, MAX_BUCKET)
        for column, value in enumerate((motion.head_motion, motion.expression)):
            if value is not None:
                buckets[:, column] = value / max(options.dynamic_scale, 1e-6)
        unet_dtype = next(parts.unet.parameters()).dtype
        return Conditions(
            image.to(unet_dtype).expand(len(buckets), -1, -1),
            audio.audio_tokens.to(unet_dtype),
            audio.null_audio_tokens.to(unet_dtype),
            buckets,
            reference.latents.to(self.device, unet_dtype),
            reference.mask.to(self.device, unet_dtype),
            fps,
        )


class Stage:
    """Networks that work together: on the device at once, or, offloaded, only within the `with` block."""

    def __init__(self, networks: Sequence[nn.Module], device: torch.device, offload: bool):
        self._networks, self._device, self._offload = networks, device, offload
        self._users = 0
        for network in networks:
            network.eval().requires_grad_(False).to("cpu" if offload else device)

    def __enter__(self) -> None:
        self._users += 1
        for network in self._networks:
            network.to(self._device)

    def __exit__(self, *_: object) -> None:
        self._users -= 1
        if self._offload and self._users == 0:
            for network in self._networks:
                network.to("cpu")


def initial_noise(reference: EncodedReference, frames: int, options: SamplingOptions) -> Tensor:
    """Standard normal (n, c, h, w), float32, of the CPU's generator: a seed means the same everywhere.

    The reference implementation first draws pixel noise that it then scales to nothing (NOTES 4.3).
    """
    generator = torch.Generator().manual_seed(options.seed)
    if options.as_reference:
        torch.randn((3, reference.height, reference.width), generator=generator)
    return torch.randn((frames, *reference.latents.shape), generator=generator)


def pad_to_windows(samples: np.ndarray, fps: float, window_frames: int) -> np.ndarray:
    """Continue a 16 kHz sound by silence until it fills whole windows: windows that wrap around would
    otherwise show its end and its start as neighbours, for no saving."""
    whole = window_count(len(samples), fps, window_frames) * window_frames * round(MODEL_RATE_HZ / fps)
    return np.pad(samples, (0, whole - len(samples)))


def video_frames(waveform: Waveform, fps: float, *, as_reference: bool) -> int:
    """Frames at `fps` that last as long as the 16 kHz `waveform`; as the reference implementation counts,
    those of whole latents and between them, up to 0.12 s less (NOTES 1.1, 5.2)."""
    if not as_reference:
        return round(waveform.seconds * fps)
    return round((frame_count(len(waveform.samples), LATENT_FPS) - 1) * fps / LATENT_FPS) + 1


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


def choose_dtype(name: Precision, device: torch.device, *, full: bool) -> torch.dtype:
    """The floating-point type that computes; see `SonicPipeline.from_pretrained`. Raises OptionOutOfRange."""
    if name == "auto":
        return torch.float16 if full and device.type != "cpu" else torch.float32
    if name not in get_args(Precision):
        raise OptionOutOfRange(f"dtype {name!r}; choose one of {', '.join(get_args(Precision))}.")
    return getattr(torch, name)
