"""Time and memory of the lean UNet at a quarter of the full model's width, beside diffusers' UNet without
audio and beside the same network with temporal attention that projects its context for every pixel, both in
pieces and undivided; and memory of guidance branch by branch. Takes 3 GB.

The networks run by turns, and processor time decides: other programs disturb it less than wall time.
OMP_WAIT_POLICY=PASSIVE keeps waiting threads from counting as busy.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lib.command import benchmark_parser
from lib.memory import peak_activation_bytes
from lib.report import Check, publish
from lib.unets import parameters, random_conditions, random_inputs, stock_inputs, stock_unet
from sonimate.configs import FULL
from sonimate.diffusion.guidance import branch_weights, guided_velocity
from sonimate.models import attention
from sonimate.models.attention import Context, CrossAttention, TemporalLayer, attend, in_pieces
from sonimate.models.unet import DeepFeatures, SpatioTemporalUNet, UNetConfig

QUARTER = UNetConfig(block_out_channels=(80, 160, 320, 320), norm_num_groups=8)
"""Ten channels a norm group, heads, context and tokens as in the full model."""
OURS, STOCK = "sonimate", "diffusers, no audio"
PER_PIXEL, UNDIVIDED = "sonimate, context per pixel", "sonimate, layers undivided"
PLAIN = "sonimate, context per pixel, layers undivided"
REUSED = "sonimate, deep features reused"
SIGMA = 10.0
MAX_RATIO_TO_STOCK = 1.05
MIN_GAIN_OVER_PER_PIXEL = 1.3
"""Of all savings of the lean network together; the context alone gives a fifth (docs/decisions/0009)."""
MAX_SEQUENTIAL_MEMORY = 0.45
MAX_DIFFERENCE = 1e-5
"""Of float32 outputs: absolute below 1, relative above, since rounding grows with the values, which guidance
multiplies by 7.5."""


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--side", type=int, default=32, help="of the latents")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args(argv)

    torch.manual_seed(0)
    unet = SpatioTemporalUNet(QUARTER).eval()
    stock = stock_unet(QUARTER).eval()
    inputs = random_inputs(QUARTER, arguments.frames, arguments.side)
    filled = DeepFeatures()

    def ours() -> Tensor:
        return unet(**inputs)

    def per_pixel() -> Tensor:
        return context_per_pixel(unet, inputs)

    with torch.no_grad():
        difference = largest_difference(per_pixel(), unet(**inputs, cache=filled))
        times = take_turns(
            {
                OURS: ours,
                STOCK: lambda: stock(**stock_inputs(inputs)),
                PER_PIXEL: per_pixel,
                UNDIVIDED: lambda: undivided(ours),
                PLAIN: lambda: undivided(per_pixel),
                REUSED: lambda: unet(**inputs, cache=filled),
            },
            arguments.runs,
        )
    fastest = {name: min(processor for processor, _ in runs) for name, runs in times.items()}
    batched, sequential, guided_difference = guidance_memory(unet, arguments.frames, arguments.side)
    rows = [
        {
            "network": name,
            "processor, s": fastest[name],
            "ratio": fastest[name] / fastest[OURS],
            "fastest by the clock, s": min(clock for _, clock in runs),
            "median, s": median(clock for _, clock in runs),
        }
        for name, runs in times.items()
    ]
    summary = {
        "threads": torch.get_num_threads(),
        "parameters": parameters(unet),
        "parameters of diffusers' UNet": parameters(stock),
        "arithmetic of context per pixel over ours": arithmetic_ratio(
            QUARTER, arguments.frames, arguments.side
        ),
        "the same at full width": arithmetic_ratio(UNetConfig(), arguments.frames, arguments.side),
        "gain over context per pixel, layers undivided in both": fastest[PLAIN] / fastest[UNDIVIDED],
        "gain over context per pixel, in pieces in both": fastest[PER_PIXEL] / fastest[OURS],
        "time with deep features reused": fastest[REUSED] / fastest[OURS],
        "activations of batched guidance, MB": batched / 1e6,
        "activations of sequential guidance, MB": sequential / 1e6,
    }
    checks = [
        Check(
            "time over diffusers' UNet without audio", fastest[OURS] / fastest[STOCK], high=MAX_RATIO_TO_STOCK
        ),
        Check(
            "gain over the network written plainly, context per pixel",
            fastest[PLAIN] / fastest[OURS],
            low=MIN_GAIN_OVER_PER_PIXEL,
        ),
        Check("its largest difference", difference, high=MAX_DIFFERENCE),
        Check("sequential over batched activations", sequential / batched, high=MAX_SEQUENTIAL_MEMORY),
        Check("their largest difference", guided_difference, high=MAX_DIFFERENCE),
    ]
    publish("unet_speed", arguments.out, rows=rows, summary=summary, checks=checks)


def undivided(predict: Callable[[], Tensor]) -> Tensor:
    """The same with every transformer layer over all tokens at once."""
    with patch.object(attention, "PIECE_TOKENS", 10**9):
        return predict()


def context_per_pixel(unet: SpatioTemporalUNet, inputs: dict[str, Tensor]) -> Tensor:
    """Our UNet with the temporal attention of diffusers' UNet: it repeats the window's tokens for every pixel
    before it projects them, and computes a softmax over the image token. Layers run in the same pieces."""

    def temporal_layer(self, x: Tensor, context: Context) -> Tensor:
        window_tokens = context.per_window()

        def pixels(x: Tensor) -> Tensor:
            windows, count = x.shape[:2]
            image, audio = (tokens.repeat_interleave(count, dim=0) for tokens in window_tokens)
            x = (x + self.ff_in(self.norm_in(x))).flatten(0, 1)
            x = x + self.attn1(self.norm1(x))
            x = x + attention_per_pixel(self.attn2, self.norm2(x), image, audio)
            return (x + self.ff(self.norm3(x))).unflatten(0, (windows, count))

        windows, _, frames, _ = x.shape
        return in_pieces(pixels, windows * frames, x, dim=1)

    with patch.object(TemporalLayer, "forward", temporal_layer):
        return unet(**inputs)


def attention_per_pixel(layer: CrossAttention, x: Tensor, image: Tensor, audio: Tensor) -> Tensor:
    """`CrossAttention.forward` without a mask and without its shortcut for a single image token."""
    query, adapter = layer.to_q(x), layer.processor
    seen = attend(query, layer.to_k(image), layer.to_v(image), layer.heads)
    heard = attend(query, adapter.to_k_ip[0](audio), adapter.to_v_ip[0](audio), layer.heads)
    return layer.to_out[0](seen + heard)


def arithmetic_ratio(config: UNetConfig, frames: int, side: int) -> float:
    """Multiplications of `context_per_pixel` over those of our UNet, counted without computing."""
    with torch.device("meta"), torch.no_grad():
        unet, inputs = SpatioTemporalUNet(config).eval(), random_inputs(config, frames, side)
        with FlopCounterMode(display=False) as per_pixel:
            context_per_pixel(unet, inputs)
        with FlopCounterMode(display=False) as ours:
            unet(**inputs)
    return per_pixel.get_total_flops() / ours.get_total_flops()


def take_turns(networks: dict[str, Callable[[], Tensor]], runs: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds of every run of each network: processor time of all threads, and wall time."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in networks}
    for _ in range(runs):
        for name, run in networks.items():
            processor, clock = time.process_time(), time.perf_counter()
            run()
            times[name].append((time.process_time() - processor, time.perf_counter() - clock))
            print("{}: {:.1f} s, {:.1f} s by the clock".format(name, *times[name][-1]), flush=True)
    return times


def guidance_memory(unet: SpatioTemporalUNet, frames: int, side: int) -> tuple[int, int, float]:
    """Peak activations in bytes of a guided prediction, batched and branch by branch, and the largest
    difference of the two predictions."""
    conditions = random_conditions(unet.config, frames, side)
    latents = SIGMA * torch.randn(frames, 4, side, side)
    predictions = []

    def predict(batch_branches: bool) -> None:
        options = replace(FULL, batch_branches=batch_branches, window_frames=frames)
        weights = branch_weights(2.0, 7.5)
        index = torch.arange(frames)[None]
        predictions.append(guided_velocity(unet, latents[index], conditions, index, SIGMA, weights, options))

    batched, sequential = (peak_activation_bytes(lambda on=on: predict(on)) for on in (True, False))
    return batched, sequential, largest_difference(*predictions)


def largest_difference(one: Tensor, other: Tensor) -> float:
    return ((one - other).abs() / other.abs().clamp(min=1)).max().item()


if __name__ == "__main__":
    main()
