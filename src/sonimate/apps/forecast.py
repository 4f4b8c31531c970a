"""What a run would make, and what it would take on the device that would make it: for `--dry-run`."""

from __future__ import annotations

import time
from argparse import Namespace
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from sonimate.checkpoints.layout import describe
from sonimate.checkpoints.network import read_config
from sonimate.configs import DEFAULT_IMAGE_SIZE_PX, REFERENCE_DECODE, SEAMLESS_DECODE, SamplingOptions
from sonimate.costs import COMPACT_COSTS, FULL_COSTS, Workload, predict, require_memory
from sonimate.face.geometry import rounded_size
from sonimate.inputs import Inputs
from sonimate.pipeline import choose_device, choose_dtype, window_count
from sonimate.sampling.guidance import denoising_steps, remaining_guidance
from sonimate.sampling.schedule import sampling_sigmas

LATENT_FPS = 12.5
LATENT_PX = 8
"""Pixels a side that share a latent position of SVD's autoencoder."""
COMPACT_POSITIONS = 64
PRODUCT_SIZE = 2048
PRODUCT_SECONDS = 0.3


@dataclass(frozen=True)
class Outline:
    """frames: of the video, of width x height px. windows: that the UNet sees in each step."""

    frames: int
    width: int
    height: int
    windows: int


def outline(args: Namespace, inputs: Inputs, sampling: SamplingOptions, *, full: bool) -> Outline:
    """What the run would make."""
    frames = round(inputs.waveform.seconds * args.fps)
    height, width = (inputs.portrait if inputs.canvas is None else inputs.canvas).pixels.shape[:2]
    if full and inputs.canvas is None:
        width, height = rounded_size(width, height, args.size or DEFAULT_IMAGE_SIZE_PX)
    windows = window_count(len(inputs.waveform.samples), LATENT_FPS, sampling.window_frames)
    return Outline(frames, width, height, windows)


def forecast(
    args: Namespace, folder: Path, inputs: Inputs, sampling: SamplingOptions, made: Outline, *, full: bool
) -> dict[str, Any]:
    """Predicted peak memory and wall time, ready for JSON. Raises NotEnoughMemory, OptionOutOfRange."""
    device = choose_device(args.device)
    dtype = choose_dtype(args.dtype, device, full=full)
    costs = FULL_COSTS if full else COMPACT_COSTS
    height, width = inputs.portrait.pixels.shape[:2]
    seconds = inputs.waveform.seconds
    if full:
        width, height = rounded_size(width, height, args.size or DEFAULT_IMAGE_SIZE_PX)
    sampling = remaining_guidance(sampling, read_config(folder / "unet").get("audio_guidance", 1.0))
    branches = [len(step.weights) for step in denoising_steps(sampling, sampling_sigmas(sampling))]
    decoding = REFERENCE_DECODE if sampling.as_reference else SEAMLESS_DECODE
    shown = decoding.chunk_frames - decoding.overlap_frames
    work = Workload(
        window_frames=sampling.window_frames,
        positions=width * height // LATENT_PX**2 if full else COMPACT_POSITIONS,
        predictions=sum(branches) * made.windows,
        predictions_at_once=sampling.windows_per_batch * (max(branches) if sampling.batch_branches else 1),
        drawn_frames=round(seconds * LATENT_FPS * decoding.chunk_frames / shown) if full else made.frames,
        frame_pixels=width * height,
        chunk_frames=decoding.chunk_frames if full else 1,
        bytes_per_number=dtype.itemsize,
        offload=args.offload,
    )
    parameters = {part.name: part.parameters for part in describe(folder)}
    prediction = predict(work, costs, parameters, product_rate(device, dtype))
    require_memory(prediction, free_bytes(device), work, str(device))
    return {
        "device": str(device),
        "predicted_memory_mb": round(prediction.memory_bytes / 1e6),
        "predicted_seconds": round(prediction.seconds, 1),
        "workload": asdict(work),
    }


def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP a second of a matrix product, measured."""
    matrix = torch.ones(PRODUCT_SIZE, PRODUCT_SIZE, dtype=dtype, device=device)
    done, started = 0, 0.0
    while done == 0 or time.perf_counter() - started < PRODUCT_SECONDS:
        (matrix @ matrix)[0, 0].item()
        if done == 0:
            started = time.perf_counter()
        done += 1
    return (done - 1) * 2 * PRODUCT_SIZE**3 / (time.perf_counter() - started)


def free_bytes(device: torch.device) -> float:
    """Memory that the device can still give."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available
