"""The size of the planned video, and the time and memory that the run would take: for `--dry-run`."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import torch

from sonimate.audio.duration import latents_shown, video_frames, window_count
from sonimate.audio.windows import frame_count
from sonimate.checkpoints.registry import describe, read_config
from sonimate.clock import LATENT_FPS, SAMPLE_RATE_HZ
from sonimate.configs import DEFAULT_IMAGE_SIZE_PX, KEEP, SamplingOptions, require_frame_rate
from sonimate.costs import COMPACT_COSTS, CUDA_LIBRARY_BYTES, FULL_COSTS, Workload, predict, require_memory
from sonimate.devices import choose_device, choose_dtype
from sonimate.diffusion.guidance import Step, denoising_steps
from sonimate.diffusion.plan import step_plan
from sonimate.diffusion.schedule import sampling_sigmas
from sonimate.face.geometry import rounded_size
from sonimate.inputs import Inputs

LATENT_PX = 8
"""Pixels a side that share a latent position of SVD's autoencoder."""
COMPACT_POSITIONS = 64
FLOAT32_BYTES = 4
PRODUCT_SIZE = 2048
PRODUCT_SECONDS = 0.3


@dataclass(frozen=True)
class PlannedVideo:
    """frames: of width x height px. windows: number of them, of all speakers, which the UNet computes in
    each step."""

    frames: int
    width: int
    height: int
    windows: int


def plan_video(
    args: Namespace, inputs: Sequence[Inputs], sampling: SamplingOptions, full: bool
) -> PlannedVideo:
    """The video that the run would write. Raises OptionOutOfRange for a frame rate that the model lacks."""
    require_frame_rate(args.fps, full=full)
    samples, canvas = inputs[0].sample_count, inputs[0].canvas
    if canvas is None:
        width, height = drawn_size(args, inputs[0], full)
    else:
        height, width = canvas.pixels.shape[:2]
    if sampling.as_reference:
        latents = frame_count(samples, LATENT_FPS)
    else:
        latents = window_count(samples, LATENT_FPS, sampling.window_frames) * sampling.window_frames
    frames = video_frames(samples, args.fps, as_reference=sampling.as_reference)
    windows = len(inputs) * len(step_plan(sampling, latents, 0))
    return PlannedVideo(frames, width, height, windows)


def drawn_size(args: Namespace, inputs: Inputs, full: bool) -> tuple[int, int]:
    """Width and height of the frames that the model draws, px."""
    height, width = inputs.portrait.pixels.shape[:2]
    return rounded_size(width, height, args.size or DEFAULT_IMAGE_SIZE_PX) if full else (width, height)


def forecast(
    args: Namespace,
    folder: Path,
    inputs: Sequence[Inputs],
    sampling: SamplingOptions,
    video: PlannedVideo,
    full: bool,
) -> dict[str, Any]:
    """Predicted peak memory and wall time, ready for JSON. Raises NotEnoughMemory, OptionOutOfRange."""
    device = choose_device(args.device)
    dtype = choose_dtype(args.dtype, device, full=full)
    pixels = [width * height for width, height in (drawn_size(args, speaker, full) for speaker in inputs)]
    built_in = read_config(folder / "unet").get("audio_guidance", 1.0)
    steps = denoising_steps(sampling, sampling_sigmas(sampling), built_in=built_in)
    predictions, reusing = predictions_per_window(steps, sampling.reuse)
    branches = max(len(step.weights) for step in steps)
    decoding = sampling.decoding
    latents = latents_shown(inputs[0].sample_count, as_reference=sampling.as_reference)
    decoded = latents * decoding.chunk_frames / (decoding.chunk_frames - decoding.overlap_frames)
    work = Workload(
        window_frames=sampling.window_frames,
        positions=max(pixels) // LATENT_PX**2 if full else COMPACT_POSITIONS,
        predictions=predictions * video.windows,
        reusing_predictions=reusing * video.windows,
        predictions_at_once=sampling.windows_per_batch * (branches if sampling.batch_branches else 1),
        drawn_frames=round(decoded) if full else video.frames,
        frame_pixels=sum(pixels),
        chunk_frames=decoding.chunk_frames if full else 1,
        frames_between=video.frames - latents if full else 0,
        bytes_per_number=dtype.itemsize,
        # A CPU converts halves to compute with them, and offloads to the memory that it computes in.
        bytes_per_activation=FLOAT32_BYTES if device.type == "cpu" else dtype.itemsize,
        offload=args.offload and device.type == "cuda",
        sound_seconds=inputs[0].sample_count / SAMPLE_RATE_HZ,
        cut_out=args.background != KEEP,
    )
    parameters = {part.name: part.parameters for part in describe(folder)}
    costs = FULL_COSTS if full else COMPACT_COSTS
    if device.type == "cpu" and torch.version.cuda:
        costs = replace(costs, runtime_bytes=costs.runtime_bytes + CUDA_LIBRARY_BYTES)
    prediction = predict(work, costs, parameters, product_rate(device, dtype))
    require_memory(prediction, free_bytes(device), work, str(device), cropped=args.crop)
    return {
        "device": str(device),
        "predicted_memory_mb": round(prediction.memory_bytes / 1e6),
        "predicted_seconds": round(prediction.seconds, 1),
        "workload": asdict(work),
    }


def predictions_per_window(steps: list[Step], reuse: int) -> tuple[int, int]:
    """UNet calls of one window that compute all levels, and those that reuse the deep levels' features."""
    counts = [len(step.weights) for step in steps]
    whole = sum(counts[::reuse])
    return whole, sum(counts) - whole


def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Measured FLOP a second of a matrix product."""
    matrix = torch.ones(PRODUCT_SIZE, PRODUCT_SIZE, dtype=dtype, device=device)
    (matrix @ matrix)[0, 0].item()  # the first product takes longer
    done, started = 0, time.perf_counter()
    while (seconds := time.perf_counter() - started) < PRODUCT_SECONDS or done == 0:
        (matrix @ matrix)[0, 0].item()
        done += 1
    return done * 2 * PRODUCT_SIZE**3 / seconds


def free_bytes(device: torch.device) -> float:
    """Free memory of the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available
