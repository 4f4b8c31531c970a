"""What the lean UNet gains at a quarter of the full model's width: time against diffusers' UNet without audio
and against the same network written plainly, with its context projected for every pixel, and memory of
guidance branch by branch. Takes 3 GB. The contestants take turns and are judged by processor time, which
other programs' use of the machine disturbs less than the clock's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from unittest.mock import patch

import torch
from diffusers.models.unets.unet_spatio_temporal_condition import UNetSpatioTemporalConditionModel
from torch import Tensor, nn

from sonimate.configs import FULL
from sonimate.evaluate.memory import peak_activation_bytes
from sonimate.evaluate.report import Check, publish
from sonimate.models import attention
from sonimate.models.attention import Context, CrossAttention, TemporalLayer, attend
from sonimate.models.unet import DeepFeatures, SpatioTemporalUNet, UNetConfig
from sonimate.sampling.guidance import branch_weights
from sonimate.sampling.predict import mean_velocity
from sonimate.types import Conditions

QUARTER = UNetConfig(block_out_channels=(80, 160, 320, 320), norm_num_groups=8)
"""Ten channels a norm group, heads, context and tokens as in the full model."""
BRANCHES, TOKENS = 3, 32
SIGMA = 10.0
MAX_RATIO_TO_STOCK = 1.05
MIN_GAIN_OVER_NAIVE = 1.3
MAX_SEQUENTIAL_MEMORY = 0.45
MAX_DIFFERENCE = 1e-5
"""Of float32 outputs, absolute where they are below 1 and relative above: what guidance multiplies by 7.5 has
values of several units, and rounding grows with them."""


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--side", type=int, default=32, help="of the latents")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args(argv)

    torch.manual_seed(0)
    unet = SpatioTemporalUNet(QUARTER).eval()
    stock = stock_unet(QUARTER).eval()
    inputs = random_inputs(QUARTER, arguments.frames, arguments.side)
    filled = DeepFeatures()
    with torch.no_grad():
        exact = unet(**inputs, cache=filled)
        difference = largest_difference(context_per_pixel(unet, inputs), exact)
        times = take_turns(
            {
                "sonimate": lambda: unet(**inputs),
                "diffusers, no audio": lambda: stock(**stock_inputs(inputs)),
                "sonimate, layers undivided": lambda: undivided(unet, inputs),
                "sonimate, context per pixel": lambda: context_per_pixel(unet, inputs),
                "sonimate, deep features reused": lambda: unet(**inputs, cache=filled),
            },
            arguments.runs,
        )
    fastest = {name: min(processor for processor, _ in runs) for name, runs in times.items()}
    ours, diffusers, whole, naive, reused = fastest.values()
    batched, sequential, guided_difference = guidance_memory(unet, arguments.frames, arguments.side)
    rows = [
        {
            "network": name,
            "processor, s": fastest[name],
            "ratio": fastest[name] / ours,
            "fastest by the clock, s": min(clock for _, clock in runs),
            "median, s": median(clock for _, clock in runs),
        }
        for name, runs in times.items()
    ]
    summary = {
        "threads": torch.get_num_threads(),
        "parameters": parameters(unet),
        "parameters of diffusers' UNet": parameters(stock),
        "gain over context per pixel, layers undivided in both": naive / whole,
        "time with deep features reused": reused / ours,
        "activations of batched guidance, MB": batched / 1e6,
        "activations of sequential guidance, MB": sequential / 1e6,
    }
    checks = [
        Check(
            name="time over diffusers' UNet without audio", value=ours / diffusers, high=MAX_RATIO_TO_STOCK
        ),
        Check(name="gain over context per pixel", value=naive / ours, low=MIN_GAIN_OVER_NAIVE),
        Check(name="its largest difference", value=difference, high=MAX_DIFFERENCE),
        Check(
            name="sequential over batched activations", value=sequential / batched, high=MAX_SEQUENTIAL_MEMORY
        ),
        Check(name="their largest difference", value=guided_difference, high=MAX_DIFFERENCE),
    ]
    publish("unet_speed", arguments.out, rows=rows, summary=summary, checks=checks)


def stock_unet(config: UNetConfig) -> nn.Module:
    """diffusers' UNet of the same size; its norms always have 32 groups, which need not divide `config`'s."""
    group_norm = nn.GroupNorm

    def with_configured_groups(num_groups: int, num_channels: int, **options) -> nn.GroupNorm:
        return group_norm(config.norm_num_groups, num_channels, **options)

    with patch.object(nn, "GroupNorm", with_configured_groups):
        return UNetSpatioTemporalConditionModel(
            block_out_channels=config.block_out_channels,
            num_attention_heads=config.num_attention_heads,
            cross_attention_dim=config.cross_attention_dim,
        )


def random_inputs(config: UNetConfig, frames: int, side: int) -> dict[str, Tensor]:
    """Arguments of our UNet for one window in all guidance branches."""
    width = config.cross_attention_dim
    return {
        "sample": torch.randn(BRANCHES, frames, config.in_channels, side, side),
        "timestep": torch.tensor(0.3),
        "image_embeds": torch.randn(BRANCHES, 1, 1, width).expand(-1, frames, -1, -1),
        "audio_tokens": torch.randn(BRANCHES, frames, TOKENS, width),
        "added_time_ids": torch.rand(BRANCHES, 3) * 20,
        "mask": torch.rand(1, 1, side, side),
    }


def random_conditions(config: UNetConfig, frames: int, side: int) -> Conditions:
    """What the sampler makes such arguments from."""
    inputs = random_inputs(config, frames, side)
    return Conditions(
        image_embeds=inputs["image_embeds"][0],
        audio_tokens=inputs["audio_tokens"][0],
        null_audio_tokens=inputs["audio_tokens"][1],
        motion_buckets=torch.full((frames, 2), 16.0),
        reference_latents=torch.randn(config.in_channels - config.out_channels, side, side),
        mask=inputs["mask"][0, 0],
        fps=12.5,
    )


def stock_inputs(inputs: dict[str, Tensor]) -> dict:
    """The same for diffusers' UNet, which knows no audio."""
    return {
        "sample": inputs["sample"],
        "timestep": inputs["timestep"],
        "encoder_hidden_states": inputs["image_embeds"][:, 0],
        "added_time_ids": inputs["added_time_ids"],
        "return_dict": False,
    }


def undivided(unet: SpatioTemporalUNet, inputs: dict[str, Tensor]) -> Tensor:
    """Our UNet with every transformer layer over all tokens at once."""
    with patch.object(attention, "PIECE_TOKENS", 10**9):
        return unet(**inputs)


def context_per_pixel(unet: SpatioTemporalUNet, inputs: dict[str, Tensor]) -> Tensor:
    """Our UNet as one writes it at first: the image token through a softmax, the window's tokens repeated for
    every pixel before the temporal attention projects them, every layer over all tokens at once."""

    def cross_attention(self, x: Tensor, image: Tensor, audio: Tensor, mask: Tensor | None = None) -> Tensor:
        query = self.to_q(x)
        seen = attend(query, self.to_k(image), self.to_v(image), self.heads)
        keys, values = self.processor.to_k_ip[0](audio), self.processor.to_v_ip[0](audio)
        heard = attend(query, keys, values, self.heads)
        return self.to_out[0](seen + (heard if mask is None else heard * mask))

    def temporal_layer(self, x: Tensor, context: Context) -> Tensor:
        windows, pixels = x.shape[:2]
        image, audio = (
            tokens.mean(1).repeat_interleave(pixels, dim=0) for tokens in (context.image, context.audio)
        )
        x = x.flatten(0, 1)
        x = x + self.ff_in(self.norm_in(x))
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), image, audio)
        return (x + self.ff(self.norm3(x))).unflatten(0, (windows, pixels))

    with ExitStack() as patches:
        patches.enter_context(patch.object(CrossAttention, "forward", cross_attention))
        patches.enter_context(patch.object(TemporalLayer, "forward", temporal_layer))
        return undivided(unet, inputs)


def take_turns(
    contestants: dict[str, Callable[[], Tensor]], runs: int
) -> dict[str, list[tuple[float, float]]]:
    """Seconds of every run by contestant: the processor's, all threads together, and the clock's."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, run in contestants.items():
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
        plan = [list(range(frames))]
        predictions.append(mean_velocity(unet, latents, conditions, plan, SIGMA, weights, options))

    batched, sequential = (peak_activation_bytes(lambda on=on: predict(on)) for on in (True, False))
    return batched, sequential, largest_difference(*predictions)


def largest_difference(one: Tensor, other: Tensor) -> float:
    return ((one - other).abs() / other.abs().clamp(min=1)).max().item()


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


if __name__ == "__main__":
    main()
