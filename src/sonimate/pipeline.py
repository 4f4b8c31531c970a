"""One portrait and one voice become a talking video: from arrays to frames, and from files to mp4."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sonimate.audio.duration import latents_shown, pad_to_windows, video_frames
from sonimate.checkpoints.registry import is_full, model_folder
from sonimate.checkpoints.store import Components, load_components, save_components
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
from sonimate.devices import Stage, choose_device, choose_dtype, compile_network, wrap_compile_errors
from sonimate.diffusion import sample_latents
from sonimate.diffusion.guidance import options_for_distilled
from sonimate.errors import AudioTooShort, NonFiniteOutput, OptionOutOfRange
from sonimate.face.crop import PasteBack
from sonimate.face.geometry import Box
from sonimate.inputs import DEFAULT_SIZE_PX, MAX_SIZE_PX, MIN_SIZE_PX, Inputs, read_inputs
from sonimate.media.audio import MIN_SECONDS, stream_sound
from sonimate.media.mp4 import VideoWriter
from sonimate.types import Conditions, Portrait, Progress, Waveform, no_progress


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

    def save(self, path: str | Path, progress: Progress = no_progress) -> Path:
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
        progress: Progress = no_progress,
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
        progress: Progress = no_progress,
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
        progress: Progress = no_progress,
    ) -> tuple[Tensor, EncodedReference]:
        """Latents (n, c, h, w) that move `portrait` to a 16 kHz `waveform`, and the reference to decode them
        with. Silence fills the last window, so n may be more than the video shows.

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
        with self._mover, wrap_compile_errors():
            latents = sample_latents(
                self.components.unet,
                conditions,
                noise,
                options_for_distilled(options, self.components.unet.config.audio_guidance),
                initial_mean=mean,
                progress=lambda step, total: progress("move", step, total),
            )
        if not latents.isfinite().all():
            raise NonFiniteOutput(
                "The UNet's motion is not finite. Try --dtype bfloat16 or float32, or less guidance; if that "
                "does not help, check the model: sonimate models verify."
            )
        shown = latents_shown(waveform, as_reference=options.as_reference)
        return hold_last(latents.cpu(), shown), reference

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


def initial_noise(reference: EncodedReference, frames: int, options: SamplingOptions) -> Tensor:
    """Standard normal (n, c, h, w), float32, of the CPU's generator: a seed means the same everywhere.

    The reference implementation first draws pixel noise that it then scales to nothing (NOTES 4.3).
    """
    generator = torch.Generator().manual_seed(options.seed)
    if options.as_reference:
        torch.randn((3, reference.height, reference.width), generator=generator)
    return torch.randn((frames, *reference.latents.shape), generator=generator)


def hold_last(latents: Tensor, count: int) -> Tensor:
    """`latents` (n, c, h, w), the last one repeated until there are `count`; unchanged if n >= count.

    Where whole latents of sound fill all windows, the sound's last part of a latent (less than 0.08 s) shows
    the last latent again: a window for it alone would cost as much as 2 s of video.
    """
    missing = max(count - len(latents), 0)
    return torch.cat([latents, latents[-1:].expand(missing, -1, -1, -1)])
