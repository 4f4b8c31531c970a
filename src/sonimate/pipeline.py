"""One portrait and one voice become a talking video: from arrays to frames, and from files to a video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sonimate.audio.duration import latents_shown, video_frames
from sonimate.checkpoints.registry import hub_library, is_full, model_folder
from sonimate.checkpoints.store import Components, load_components, save_components
from sonimate.clock import VIDEO_FPS
from sonimate.codecs.base import EncodedReference
from sonimate.conditioning import initial_noise, listen
from sonimate.configs import (
    AUTOMATIC,
    COMPACT,
    FULL,
    KEEP,
    DecodeOptions,
    MotionOptions,
    Precision,
    SamplingOptions,
    require_frame_rate,
    require_size,
)
from sonimate.devices import Stage, choose_device, choose_dtype, compile_network, wrap_compile_errors
from sonimate.diffusion import sample_latents
from sonimate.errors import AudioTooShort, NonFiniteOutput, OptionOutOfRange
from sonimate.face.crop import pasted
from sonimate.face.geometry import MaskBox
from sonimate.inputs import DEFAULT_SIZE_PX, Inputs, read_conversation, read_inputs, with_seed
from sonimate.media.animation import Animation
from sonimate.media.audio import MIN_SECONDS, stream_sound
from sonimate.media.mix import mixed
from sonimate.types import Box, FrameStream, Portrait, Progress, Waveform, no_progress, part_of


class SonicPipeline:
    """A model, with all steps from a portrait and a sound to the frames of a video.

    `SonicPipeline.from_pretrained("compact").animate("a.png", "b.wav").save("c.mp4")`
    """

    def __init__(
        self,
        components: Components,
        *,
        device: str = "auto",
        sampling: SamplingOptions | None = None,
        offload: bool = False,
    ):
        """sampling: default of all runs; if None, that of the model. offload: keep each network on the device
        only while it works: first the encoders of picture and sound, then the UNet, then the decoder."""
        self.components = components
        self.sampling = sampling or (FULL if components.full else COMPACT)
        self.device = choose_device(device)
        parts = components
        self._encoders = Stage(
            [parts.image_encoder, parts.audio_to_tokens, parts.audio_to_bucket], self.device, offload
        )
        self._denoiser = Stage([parts.unet], self.device, offload)
        self._decoder = Stage(parts.codec.networks, self.device, offload)

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = "compact",
        *,
        device: str = "auto",
        dtype: Precision = "auto",
        offload: bool = False,
        compile_unet: bool = False,
        revision: str | None = None,
    ) -> SonicPipeline:
        """Load a bundled model by name, a folder that `save_pretrained` wrote, or OWNER/NAME on the hub,
        which is fetched unless its cache holds it.

        revision: branch, tag or commit of a model on the hub.
        device: "auto", "cpu", "cuda" or "mps". dtype: of UNet, autoencoder and CLIP; "auto" is float16 for
        the full model on a GPU, else float32. offload: see `__init__`. compile_unet: with torch.compile, for
        fixed shapes. Compiling takes minutes, so it is useful for many runs of one size.
        Raises UnknownModel, FileMissing, InvalidCheckpoint, ExtraMissing, OptionOutOfRange, HubUnreachable,
        HubRefused.
        """
        folder, chosen = model_folder(model, revision), choose_device(device)
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

    def push_to_hub(
        self,
        repo_id: str,
        *,
        card: str | None = None,
        private: bool = False,
        revision: str | None = None,
        token: str | None = None,
        dtype: torch.dtype = torch.float16,
    ) -> str:
        """Push the model to OWNER/NAME on the Hugging Face hub, with a card and a pipeline for diffusers.

        card: the text of the model card; the hub's metadata is added. dtype: as in `save_pretrained`.
        Returns the address of the commit. Raises ExtraMissing, HubUnreachable, HubRefused.
        """
        save = partial(self.save_pretrained, dtype=dtype)
        options = {"card": card, "private": private, "revision": revision, "token": token}
        return hub_library().push_model(save, repo_id, **options)

    def animate(
        self,
        portrait: str | Path,
        audio: str | Path | Mapping[int, str | Path],
        *,
        sampling: SamplingOptions | None = None,
        motion: MotionOptions = AUTOMATIC,
        face: int | None = None,
        face_box: Box | None = None,
        size: int | None = None,
        crop: bool = False,
        paste_back: bool = False,
        mask_box: MaskBox | None = None,
        force: bool = False,
        background: str = KEEP,
        fps: float = VIDEO_FPS,
        progress: Progress = no_progress,
    ) -> Animation:
        """Generate the motion of a portrait file for a sound file.

        audio: for several speakers in one picture, a sound for each, by the number of the face from the left:
        {1: "a.wav", 2: "b.wav"}; see `read_conversation`. They take no face, face_box, crop, mask_box and
        background.
        face, face_box, crop, paste_back, mask_box, force, background: as in `read_inputs`. size: px; the
        compact model shrinks a longer side to it (default 1024), the full one scales the shorter side to it
        (default 512).
        fps: 12.5 or 25; of the compact model also 24, 30, 50 or 60.
        Raises the media errors, NoFaceFound, FaceTooSmall, MouthNotVisible, NoPersonFound, AudioTooShort,
        OptionOutOfRange.
        """
        if size is not None:
            require_size(size)
        limit = None if self.components.full else size or DEFAULT_SIZE_PX
        shared: dict[str, Any] = {"size": limit, "paste_back": paste_back, "force": force}
        if isinstance(audio, Mapping):
            if crop or background != KEEP or any(one is not None for one in (face, face_box, mask_box)):
                raise OptionOutOfRange("face, face_box, crop, mask_box and background are for one speaker.")
            inputs = read_conversation(portrait, audio, **shared)
        else:
            one: dict[str, Any] = {"face": face, "face_box": face_box, "crop": crop, "mask_box": mask_box}
            inputs = read_inputs(portrait, audio, **one, **shared, background=background)
        return self.animate_inputs(
            inputs, sampling=sampling, motion=motion, size=size, fps=fps, progress=progress
        )

    def animate_inputs(
        self,
        inputs: Inputs | Sequence[Inputs],
        *,
        sampling: SamplingOptions | None = None,
        motion: MotionOptions = AUTOMATIC,
        size: int | None = None,
        fps: float = VIDEO_FPS,
        progress: Progress = no_progress,
    ) -> Animation:
        """`animate` for files that are already read: of one speaker, or of several in one picture, whose
        seeds are then consecutive numbers. size: of the full model's frames."""
        speakers = [inputs] if isinstance(inputs, Inputs) else list(inputs)
        first = speakers[0]
        options = self.seeded(first.portrait, first.waveform, sampling)
        drawn: list[Callable[[], FrameStream]] = []
        width = height = 0
        for place, speaker in enumerate(speakers):
            own = replace(options, seed=options.fixed_seed + place)
            part: dict[str, Any] = {"size": size, "progress": part_of(progress, place, len(speakers))}
            decoding = self._decoding(own, motion, fps)
            latents, reference = self.generate(
                speaker.portrait, speaker.waveform, sampling=own, motion=motion, **part
            )
            drawn.append(partial(self.decode, latents, reference, decoding))
            width, height = reference.width, reference.height
        draw, backdrop = drawn[0], first.backdrop
        canvases = [speaker.canvas for speaker in speakers if speaker.canvas is not None]
        if canvases:
            height, width = canvases[0].pixels.shape[:2]

            def draw() -> FrameStream:
                return pasted(canvases, [frames() for frames in drawn])

        elif backdrop is not None:

            def draw() -> FrameStream:
                return backdrop.behind(drawn[0](), width, height)

        return Animation(
            width=width,
            height=height,
            frame_count=video_frames(first.sample_count, fps, as_reference=options.as_reference),
            fps=fps,
            seed=options.fixed_seed,
            sound=partial(
                mixed, [partial(stream_sound, one.sound_path, choice=one.sound_choice) for one in speakers]
            ),
            interpolation=self.components.codec.interpolation(fps),
            draw=draw,
            transparent=backdrop is not None and backdrop.pixels is None,
        )

    def seeded(
        self, portrait: Portrait, waveform: Waveform, sampling: SamplingOptions | None = None
    ) -> SamplingOptions:
        """`sampling`, by default the pipeline's, with the seed that `generate` and `decode` take for these
        inputs; see `with_seed`."""
        return with_seed(sampling or self.sampling, portrait, waveform)

    def __call__(
        self,
        portrait: Portrait,
        waveform: Waveform,
        *,
        sampling: SamplingOptions | None = None,
        motion: MotionOptions = AUTOMATIC,
        fps: float = VIDEO_FPS,
        **options: Any,
    ) -> Iterator[np.ndarray]:
        """`animate` for arrays: uint8 frames (h, w, 3), `fps` a second, as long as the 16 kHz `waveform`.

        options: `size` and `progress` of `generate`.
        """
        sampling = self.seeded(portrait, waveform, sampling)
        decoding = self._decoding(sampling, motion, fps)
        latents, reference = self.generate(portrait, waveform, sampling=sampling, motion=motion, **options)
        count = video_frames(len(waveform.samples), fps, as_reference=sampling.as_reference)
        return islice(self.decode(latents, reference, decoding), count)

    def _decoding(self, sampling: SamplingOptions, motion: MotionOptions, fps: float) -> DecodeOptions:
        require_frame_rate(fps, full=self.components.full)
        return replace(sampling.decoding, fps=fps, eyes=motion.eyes)

    def decode(
        self, latents: Tensor, reference: EncodedReference, decoding: DecodeOptions | None = None
    ) -> Iterator[np.ndarray]:
        """Frames of the latents that `generate` returned, one by one. decoding: frame rate, blink seed and
        chunks, by default the codec's own."""
        with self._decoder:
            yield from self.components.codec.decode(latents, reference.context, decoding)

    @torch.no_grad()
    def generate(
        self,
        portrait: Portrait,
        waveform: Waveform,
        *,
        sampling: SamplingOptions | None = None,
        motion: MotionOptions = AUTOMATIC,
        size: int | None = None,
        progress: Progress = no_progress,
    ) -> tuple[Tensor, EncodedReference]:
        """Latents (n, c, h, w) that move `portrait` to a 16 kHz `waveform`, and the reference to decode them
        with. Silence fills the last window, so n may be more than the video shows.

        size: of the full model's frames, as in `animate`.
        Raises AudioTooShort, OptionOutOfRange, NonFiniteOutput, CompilationFailed.
        """
        options = self.seeded(portrait, waveform, sampling)
        if waveform.seconds < MIN_SECONDS:
            raise AudioTooShort(
                f"{waveform.seconds:.2f} s of sound; give a recording of at least {MIN_SECONDS} s."
            )
        progress("listen", 0, 1)
        with self._decoder:
            reference = self.components.codec.encode_reference(portrait, size=size)
        with self._encoders:
            conditions, heard = listen(self.components, waveform, reference, options, motion, self.device)
        progress("listen", 1, 1)
        progress("move", 0, options.steps)
        noise = initial_noise(reference, len(conditions.audio_tokens), options).to(self.device)
        mean = torch.as_tensor(reference.initial_mean, device=self.device)
        with self._denoiser, wrap_compile_errors():
            latents = sample_latents(
                self.components.unet,
                conditions,
                noise,
                options,
                initial_mean=mean,
                built_in_guidance=self.components.unet.config.audio_guidance,
                progress=lambda step, total: progress("move", step, total),
            )
        if not latents.isfinite().all():
            raise NonFiniteOutput(
                "The UNet's motion is not finite. Try --dtype bfloat16 or float32, or less guidance; if that "
                "does not help, check the model: sonimate models verify."
            )
        shown = latents_shown(len(waveform.samples), as_reference=options.as_reference)
        codec = self.components.codec
        latents = hold_last(codec.rest_mouth(latents.cpu(), heard.gate), shown)
        if motion.head_motion is not None:
            latents = codec.enlarge_head(latents, motion.head_motion)
        if heard.tongue is not None:
            latents = codec.with_tongue(latents, heard.tongue)
        return latents, reference


def hold_last(latents: Tensor, count: int) -> Tensor:
    """`latents` (n, c, h, w), the last one repeated until there are `count`; unchanged if n >= count.

    Where whole latents of sound fill all windows, the sound's last part of a latent (less than 0.08 s) shows
    the last latent again: a window for it alone would cost as much as 2 s of video.
    """
    missing = max(count - len(latents), 0)
    return torch.cat([latents, latents[-1:].expand(missing, -1, -1, -1)])
