"""Print the coefficients of `sonimate.costs` as measured here: `python benchmarks/costs.py [--full]`.

Two runs of the command give the compact model's; a call of the UNet (6.3 GB of random float32 weights) and
one of the decoder give the full model's. Activations are counted at a quarter of the UNet's width, where
many frames fit into memory, and scaled with the width.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
from torch.nn import functional

from lib.command import EXAMPLES, run_json
from lib.memory import peak_activation_bytes
from lib.unets import filled
from sonimate.apps.forecast import COMPACT_POSITIONS, FLOAT32_BYTES, predictions_per_window, product_rate
from sonimate.checkpoints.registry import BUNDLED, UNET, describe, read_config
from sonimate.checkpoints.store import load_network
from sonimate.codecs.svd.interpolation import FlowMiddle
from sonimate.configs import COMPACT
from sonimate.diffusion.guidance import denoising_steps
from sonimate.diffusion.schedule import sampling_sigmas
from sonimate.models.rife import IFNet, IFNetConfig
from sonimate.models.unet import DeepFeatures, SpatioTemporalUNet, UNetConfig

SIDE = 32
UNET_FRAMES, DECODED_FRAMES = 5, 4
NARROW = 4
ATTENTION_FLOP = 7_300
"""Of spatial self-attention, per position of each frame and per attended position: 4 times the channels of
all its layers. The channels of each level are divided by the square of the positions of the first level that
share one of its positions."""
FULL_UNET = UNetConfig()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="measure the full model too: 12 GB, minutes")
    arguments = parser.parse_args(argv)
    rate = product_rate(torch.device("cpu"), torch.float32)
    print(f"matrix product: {rate / 1e9:.1f} GFLOP/s on {torch.get_num_threads()} threads")
    print("compact", json.dumps(compact(rate), indent=1))
    if arguments.full:
        print("full", json.dumps(full_unet(rate) | full_decoder(rate) | interpolation(rate), indent=1))


def compact(rate: float) -> dict[str, float]:
    """From the accounts of two runs of the command, 5 s at 256 and 1024 px."""
    small, account = run_of(256), run_of(1024)
    stages = account["stages"]
    parameters = {part.name: part.parameters for part in describe(BUNDLED / "compact")}
    weights = FLOAT32_BYTES * sum(parameters.values())
    pixels, more_pixels = (run["width"] * run["height"] for run in (small, account))
    more_bytes = 1e6 * (account["peak_memory_mb"] - small["peak_memory_mb"])
    per_pixel = more_bytes / (more_pixels - pixels)
    built_in = read_config(BUNDLED / "compact/unet").get("audio_guidance", 1.0)
    steps = denoising_steps(COMPACT, sampling_sigmas(COMPACT), built_in=built_in)
    predictions = account["windows"] * predictions_per_window(steps, reuse=1)[0]
    seen = predictions * COMPACT.window_frames * COMPACT_POSITIONS
    drawn = account["frames"] * more_pixels
    return {
        "start_seconds": round(stages["read"] + stages["load"] + stages["listen"], 2),
        "runtime_bytes": account["peak_memory_mb"] * 1e6 - weights - more_pixels * per_pixel,
        "unet_parameters": parameters["unet"],
        "unet_work": stages["move"] * rate / seen,
        "reused_share": reused_share(load_network(BUNDLED / "compact", UNET)),
        "decoder_numbers": per_pixel / FLOAT32_BYTES,
        "decoder_work": stages["draw"] * rate / drawn,
    }


def run_of(size: int) -> dict[str, Any]:
    """The account of a run of the command with the bundled model."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = EXAMPLES / "portraits/mona_lisa.jpg", EXAMPLES / "speech/librivox_ss_0890.wav"
        options = "-o", f"{folder}/a.mp4", "--json", "--size", size
        return run_json("-m", "sonimate", "animate", *inputs, *options)


def full_unet(rate: float) -> dict[str, float]:
    """Time of one branch without attention, whose part follows from its products, and its activations."""
    unet = filled(lambda: SpatioTemporalUNet(FULL_UNET))
    work = fastest(lambda: unet(*window(UNET_FRAMES))) * rate / (UNET_FRAMES * SIDE**2)
    parameters = sum(parameter.numel() for parameter in unet.parameters())
    del unet
    narrow = UNetConfig(block_out_channels=(80, 160, 320, 320), norm_num_groups=8)
    unet = filled(lambda: SpatioTemporalUNet(narrow))
    frames = COMPACT.window_frames
    numbers = peak_activation_bytes(lambda: unet(*window(frames))) / FLOAT32_BYTES / (frames * SIDE**2)
    share = reused_share(unet)
    return {
        "unet_parameters": parameters,
        "unet_numbers": NARROW * numbers,
        "unet_work": work - ATTENTION_FLOP * SIDE**2,
        "attention_work": ATTENTION_FLOP,
        "reused_share": share,
    }


def reused_share(unet: SpatioTemporalUNet) -> float:
    """Time of a call that reuses deep features, divided by the time of a whole call."""
    inputs, cache = window(UNET_FRAMES, unet.config), DeepFeatures()
    with torch.no_grad():
        unet(*inputs, cache=cache)
    return fastest(lambda: unet(*inputs, cache=cache)) / fastest(lambda: unet(*inputs))


def interpolation(rate: float) -> dict[str, float]:
    """Time to interpolate a frame, per pixel, by RIFE and by optical flow."""
    rife = filled(lambda: IFNet(IFNetConfig()))
    noise = torch.rand(1, 3, 8 * SIDE, 8 * SIDE)
    first = functional.avg_pool2d(noise, 9, 1, 4)
    second = first.roll(4, 2)
    flow = FlowMiddle("This is a benchmark")
    pixels = first[0, 0].numel()
    return {
        "rife_work": fastest(lambda: rife(first, second)) * rate / pixels,
        "flow_seconds": fastest(lambda: flow(first[0], second[0])) / pixels,
    }


def window(frames: int, config: UNetConfig = FULL_UNET) -> tuple[torch.Tensor | float, ...]:
    """Arguments of the UNet for one branch."""
    width = config.cross_attention_dim
    return (
        torch.randn(1, frames, config.in_channels, SIDE, SIDE),
        0.5,
        torch.randn(1, frames, 1, width),
        torch.randn(1, frames, 32, width),
        torch.tensor([[12.5, 32.0, 32.0]]),
        torch.ones(1, 1, 8 * SIDE, 8 * SIDE),
    )


def full_decoder(rate: float) -> dict[str, float]:
    """Time and live activations per output pixel."""
    gc.collect()
    shape: dict[str, Any] = {
        "block_out_channels": (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "layers_per_block": 2,
    }
    vae = filled(lambda: AutoencoderKLTemporalDecoder(**shape))
    latents = torch.randn(DECODED_FRAMES, 4, SIDE, SIDE)
    pixels = DECODED_FRAMES * (8 * SIDE) ** 2

    def decode() -> object:
        return vae.decode(latents, DECODED_FRAMES)

    return {
        "decoder_numbers": peak_activation_bytes(decode) / FLOAT32_BYTES / pixels,
        "decoder_work": fastest(decode) * rate / pixels,
    }


def fastest(compute: Callable[[], object], runs: int = 3) -> float:
    """Seconds of the fastest run, after one run that does not count."""
    compute()
    seconds = []
    with torch.no_grad():
        for _ in range(runs):
            started = time.perf_counter()
            compute()
            seconds.append(time.perf_counter() - started)
    return min(seconds)


if __name__ == "__main__":
    main()
