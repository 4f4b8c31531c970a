"""Nodes for ComfyUI in its V3 schema, API version 0.0.2: load a model, and animate a portrait.

ComfyUI's types: IMAGE float32 (b, h, w, 3) in 0..1; MASK float32 (b, h, w) in 0..1; AUDIO a dictionary of
`waveform` float32 (b, channels, t) in -1..1 and `sample_rate` in Hz.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from comfy_api.v0_0_2 import ComfyAPISync, ComfyExtension, InputImpl, Types, io
from PIL import Image

from comfy import model_management
from sonimate.configs import KEEP, MAX_BUCKET, MAX_SIZE_PX, MIN_SIZE_PX, TRANSPARENT, MotionOptions
from sonimate.media.wav import write_wav
from sonimate.pipeline import Animation, SonicPipeline
from sonimate.types import Progress, Waveform

Model = io.Custom("SONIMATE_MODEL")
CATEGORY = "sonimate"
PREDICTED = -1.0
"""Of head motion and expression: the model decides from the voice."""
SHARES = {"read": (0.0, 0.0), "listen": (0.0, 0.05), "move": (0.05, 0.5), "draw": (0.5, 1.0)}
"""Where each stage of a run lies between 0 and 1."""


class SonimateLoadModel(io.ComfyNode):
    """A model in memory, for any number of animations."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SonimateLoadModel",
            display_name="Load sonimate model",
            category=CATEGORY,
            description="The bundled compact model, or the folder of a converted full model.",
            inputs=[
                io.String.Input("model", default="compact", tooltip="compact, or the folder of a model"),
                io.Combo.Input("device", options=["auto", "cpu", "cuda", "mps"], default="auto"),
                io.Combo.Input(
                    "dtype", options=["auto", "float32", "float16", "bfloat16"], default="auto", advanced=True
                ),
                io.Boolean.Input(
                    "offload",
                    default=False,
                    advanced=True,
                    tooltip="keep each network out of the GPU's memory until it is needed",
                ),
            ],
            outputs=[Model.Output(display_name="model")],
        )

    @classmethod
    def execute(cls, model: str, device: str, dtype: Any, offload: bool) -> io.NodeOutput:
        return io.NodeOutput(
            SonicPipeline.from_pretrained(model, device=device, dtype=dtype, offload=offload)
        )


def animation_inputs() -> list[Any]:
    """The inputs that both animating nodes have."""

    def motion(name: str, what: str) -> Any:
        tooltip = f"how much the {what} moves; -1: predicted from the voice"
        return io.Float.Input(
            name, default=PREDICTED, min=PREDICTED, max=MAX_BUCKET, step=1.0, tooltip=tooltip
        )

    return [
        Model.Input("model"),
        io.Image.Input("image", tooltip="the portrait; of several images the first"),
        io.Audio.Input("audio", tooltip="the voice"),
        io.Int.Input("seed", default=0, min=0, max=2**63 - 1, control_after_generate=True),
        io.Int.Input("face", default=0, min=0, max=100, tooltip="the Nth face from the left; 0: the largest"),
        io.Int.Input(
            "size",
            default=1024,
            min=MIN_SIZE_PX,
            max=MAX_SIZE_PX,
            tooltip="compact model: limit of the longer side; full model: shorter side",
        ),
        io.Float.Input("dynamic_scale", default=1.0, min=0.5, max=2.0, step=0.1),
        motion("head_motion", "head"),
        motion("expression", "face"),
        io.Boolean.Input("crop", default=False, tooltip="animate the face and its surroundings only"),
        io.Mask.Input("mask", optional=True, tooltip="where the picture may change; elsewhere it stays"),
    ]


class SonimateAnimate(io.ComfyNode):
    """A talking video, written to a file while it is drawn: memory does not grow with its length."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SonimateAnimate",
            display_name="Animate portrait (sonimate)",
            category=CATEGORY,
            description="One portrait and one voice recording become a talking video with sound.",
            inputs=animation_inputs(),
            outputs=[io.Video.Output(display_name="video")],
        )

    @classmethod
    def execute(cls, **inputs: Any) -> io.NodeOutput:
        import folder_paths

        folder = Path(folder_paths.get_temp_directory())
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix="sonimate-", suffix=".mp4", delete=False) as file:
            path = Path(file.name)
        try:
            with animated(**inputs) as (animation, progress):
                animation.save(path, progress=progress)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return io.NodeOutput(InputImpl.VideoFromFile(str(path)))


class SonimateAnimateFrames(io.ComfyNode):
    """The frames as a batch of images, for other nodes: 16 bytes a pixel and frame of memory."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SonimateAnimateFrames",
            display_name="Animate portrait to frames (sonimate)",
            category=CATEGORY,
            description="The frames of the talking portrait, and the same as a video with sound.",
            inputs=[
                *animation_inputs(),
                io.Boolean.Input(
                    "cut_out",
                    default=False,
                    tooltip="compact model: the person without their background, to be placed by person_mask",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="frames"),
                io.Float.Output(display_name="fps"),
                io.Video.Output(display_name="video"),
                io.Mask.Output(display_name="person_mask"),
            ],
        )

    @classmethod
    def execute(cls, **inputs: Any) -> io.NodeOutput:
        with animated(**inputs) as (animation, progress):
            shape = (animation.frame_count, animation.height, animation.width)
            images, masks = torch.empty(*shape, 3), torch.ones(shape)
            for index, frame in enumerate(animation.frames()):
                progress("draw", index, animation.frame_count)
                values = torch.from_numpy(frame) / 255
                images[index] = values[..., :3]
                if animation.transparent:
                    masks[index] = values[..., 3]
        video = Types.VideoComponents(
            images=images * masks[..., None] if animation.transparent else images,
            audio=inputs["audio"],
            frame_rate=Fraction(animation.fps).limit_denominator(1001),
        )
        return io.NodeOutput(images, animation.fps, InputImpl.VideoFromComponents(video), masks)


@contextmanager
def animated(
    model: SonicPipeline,
    image: torch.Tensor,
    audio: dict[str, Any],
    *,
    seed: int,
    face: int,
    size: int,
    dynamic_scale: float,
    head_motion: float,
    expression: float,
    crop: bool,
    mask: torch.Tensor | None = None,
    cut_out: bool = False,
) -> Iterator[tuple[Animation, Progress]]:
    """The animation of a node's inputs, and what reports progress to ComfyUI and stops when the user
    interrupts. The picture and the sound are files while the block runs."""
    progress = report_to(ComfyAPISync())
    with tempfile.TemporaryDirectory(prefix="sonimate-") as folder:
        portrait, sound = Path(folder, "image.png"), Path(folder, "audio.wav")
        pixels = (image[0].clamp(0, 1) * 255).round().byte().cpu().numpy()
        Image.fromarray(pixels).save(portrait, compress_level=1)
        samples = audio["waveform"][0].float().cpu().numpy().T
        write_wav(sound, Waveform(samples, int(audio["sample_rate"])))
        animation = model.animate(
            portrait,
            sound,
            sampling=replace(model.sampling, seed=seed, dynamic_scale=dynamic_scale),
            motion=MotionOptions(
                head_motion=None if head_motion == PREDICTED else head_motion,
                expression=None if expression == PREDICTED else expression,
            ),
            face=face or None,
            size=size,
            crop=crop,
            paste_back=mask is not None,
            background=TRANSPARENT if cut_out else KEEP,
            progress=progress,
        )
        yield (animation if mask is None else within(animation, pixels, mask)), progress


def within(animation: Animation, pixels: np.ndarray, mask: torch.Tensor) -> Animation:
    """The animation of the whole picture `pixels` uint8 (h, w, 3), which moves only where `mask` (b, h, w) is
    1."""
    size = (animation.width, animation.height)
    share = Image.fromarray((mask[0].clamp(0, 1) * 255).round().byte().cpu().numpy()).resize(size)
    still, share = Image.fromarray(pixels).resize(size), np.asarray(share, np.float32)[..., None] / 255

    def draw() -> Iterator[np.ndarray]:
        for frame in animation.draw():
            mixed = share * frame + (1 - share) * np.asarray(still)
            yield mixed.round().astype(np.uint8)

    return replace(animation, draw=draw)


def report_to(api: Any) -> Progress:
    """A progress callback that moves ComfyUI's bar and raises its exception of interruption."""

    def report(stage: str, done: int, total: int) -> None:
        model_management.throw_exception_if_processing_interrupted()
        start, end = SHARES.get(stage, (0.0, 0.0))
        api.execution.set_progress(value=start + (end - start) * done / max(total, 1), max_value=1.0)

    return report


class SonimateExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [SonimateLoadModel, SonimateAnimate, SonimateAnimateFrames]


async def comfy_entrypoint() -> ComfyExtension:
    """Called by ComfyUI when it loads this folder."""
    return SonimateExtension()
