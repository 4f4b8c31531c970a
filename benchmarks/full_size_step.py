"""One denoising step of the full-size UNet on this machine, in float32 with random weights: its time and peak
memory, beside one call of diffusers' UNet of the same size without audio. Both predict three guidance
branches of 5 frames of 256 x 256 px. One after another, each in a process of its own; needs 14 GB free.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import replace

import psutil
import torch
from torch import Tensor

from lib.command import benchmark_parser, run_json
from lib.report import Check, publish
from lib.unets import BRANCHES, filled, parameters, random_conditions, random_inputs, stock_inputs, stock_unet
from sonimate.configs import FULL
from sonimate.diffusion import sample_latents
from sonimate.models.unet import SpatioTemporalUNet, UNetConfig

FRAMES, SIDE = 5, 32
LEVELS, CHANNELS_PER_HEAD = (1, 2, 4, 4), 64
PARAMETERS = 1_575_741_162
MAX_MEMORY_GB = 20.0
NEEDED_GB = 14.0
GB = 1e9
CONTESTANTS = ("sonimate", "diffusers, no audio")


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--channels", type=int, default=320, help="of the first level; 64 to try this out")
    parser.add_argument("--network", choices=CONTESTANTS, help="measure this one, in this process, as JSON")
    arguments = parser.parse_args(argv)
    if arguments.network:
        print(json.dumps(measure(arguments.network, arguments.channels)))
        return
    if (free := psutil.virtual_memory().available / GB) < NEEDED_GB:
        raise SystemExit(f"{free:.1f} GB are free and {NEEDED_GB:g} GB needed; close other programs first.")
    rows = [run_json(__file__, "--network", name, "--channels", arguments.channels) for name in CONTESTANTS]
    checks = [
        Check("peak memory of the step in GB", rows[0]["peak memory, GB"], high=MAX_MEMORY_GB),
        Check("parameters", rows[0]["parameters"], low=PARAMETERS, high=PARAMETERS),
    ]
    publish("full_size_step", arguments.out, rows=rows, checks=checks)
    if not all(check.met for check in checks):
        raise SystemExit(1)


@torch.no_grad()
def measure(network: str, channels: int) -> dict:
    """Build, run once and tell. Raises AssertionError if the result is no finite prediction of its shape."""
    config = UNetConfig(
        block_out_channels=tuple(channels * factor for factor in LEVELS),
        num_attention_heads=tuple(channels * factor // CHANNELS_PER_HEAD for factor in LEVELS),
    )
    random = torch.Generator().manual_seed(0)
    if network == CONTESTANTS[0]:
        unet = filled(lambda: SpatioTemporalUNet(config))
        conditions = random_conditions(config, FRAMES, SIDE)
        noise = torch.randn(FRAMES, config.out_channels, SIDE, SIDE, generator=random)
        options = replace(FULL, steps=1, window_frames=FRAMES)
        shape = noise.shape

        def step() -> Tensor:
            return sample_latents(unet, conditions, noise, options)
    else:
        unet = filled(lambda: stock_unet(config))
        inputs = stock_inputs(random_inputs(config, FRAMES, SIDE))
        shape = (BRANCHES, FRAMES, config.out_channels, SIDE, SIDE)

        def step() -> Tensor:
            return unet(**inputs)[0]

    loaded = memory_gb()
    start, processor = time.perf_counter(), time.process_time()
    result = step()
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - processor
    assert result.shape == shape, result.shape
    assert result.isfinite().all()
    return {
        "network": network,
        "parameters": parameters(unet),
        "seconds": seconds,
        "processor, s": processor_seconds,
        "threads": torch.get_num_threads(),
        "memory before, GB": loaded,
        "peak memory, GB": memory_gb(),
        "result": " x ".join(map(str, result.shape)),
        "its standard deviation": result.std().item(),
    }


def memory_gb() -> float:
    """Peak of the memory that this process has held in RAM."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * (1 if sys.platform == "darwin" else 1024) / GB


if __name__ == "__main__":
    main()
