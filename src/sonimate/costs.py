"""What an animation will take: memory and time, predicted from measured coefficients (benchmarks/costs.py).

Activations are counted in numbers per latent position, which no device changes. Times are kept as the product
of measured seconds and the rate of one matrix product on the same machine, so that another machine's time
follows from its own rate, as far as its other operations are as fast beside it. Loads no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sonimate.errors import NotEnoughMemory

AUDIO_NETWORKS = ("audio_to_tokens", "audio_to_bucket", "interpolator", "audio_encoder")
"""Always float32."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Coefficients of one model size.

    start_seconds, runtime_bytes: of the program and its libraries. unet_parameters: of the UNet that the next
    three were measured with; work goes with their number, activations with its square root.
    unet_numbers: live activations per latent position, frame and guidance branch.
    unet_work: FLOP of matrix product that last as long as one latent position of one frame; attention_work:
    what that grows by with every position of the frame. reused_share: of this in a step that uses the deep
    features of an earlier one.
    decoder_numbers, decoder_work: the same of the decoder, per output pixel. rife_work: of RIFE, per pixel
    between two frames; flow_seconds: of optical flow, which is the CPU's everywhere.
    """

    start_seconds: float
    runtime_bytes: float
    unet_parameters: int
    unet_numbers: float
    unet_work: float
    attention_work: float
    reused_share: float
    decoder_numbers: float
    decoder_work: float
    rife_work: float = 3.8e5
    flow_seconds: float = 2.8e-7


COMPACT_COSTS = Costs(
    start_seconds=5.7,
    runtime_bytes=4.3e8,
    unet_parameters=1_970_846,
    unet_numbers=0.0,
    unet_work=6.9e6,
    attention_work=0.0,
    reused_share=0.2,
    decoder_numbers=18.0,
    decoder_work=7.1e3,
)
"""The UNet's activations are part of what the whole run was seen to hold."""
FULL_COSTS = Costs(
    start_seconds=7.5,
    runtime_bytes=6.9e8,
    unet_parameters=1_575_741_162,
    unet_numbers=4_585.0,
    unet_work=3.7e8,
    attention_work=7.3e3,
    reused_share=0.41,
    decoder_numbers=1_024.0,
    decoder_work=1.7e7,
)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is to be computed. positions: height times width of the latents. predictions: over all steps, of
    one window by one guidance branch; reusing_predictions: those besides that reuse deep features;
    `predictions_at_once` of them in one UNet call. drawn_frames: that the decoder makes, of frame_pixels
    each, chunk_frames at once. frames_between: that are interpolated. bytes_per_number: of the large
    networks' weights; bytes_per_activation: of what they compute. offload: networks leave the device."""

    window_frames: int
    positions: int
    predictions: int
    reusing_predictions: int
    predictions_at_once: int
    drawn_frames: int
    frame_pixels: int
    chunk_frames: int
    frames_between: int
    bytes_per_number: int
    bytes_per_activation: int
    offload: bool


@dataclass(frozen=True)
class Prediction:
    memory_bytes: float
    seconds: float


def predict(work: Workload, costs: Costs, parameters: Mapping[str, int], rate: float) -> Prediction:
    """Peak memory of the device and wall time. parameters: of every component. rate: FLOP a second of a
    matrix product on the device, in the type that computes."""
    weights = {
        name: count * (4 if name in AUDIO_NETWORKS else work.bytes_per_number)
        for name, count in parameters.items()
    }
    size = parameters["unet"] / costs.unet_parameters
    in_call = work.predictions_at_once * work.window_frames * work.positions
    moving = in_call * costs.unet_numbers * math.sqrt(size) * work.bytes_per_activation
    drawing = work.chunk_frames * work.frame_pixels * costs.decoder_numbers * work.bytes_per_activation
    if work.offload:
        drawers = weights.get("vae", 0) + weights.get("interpolator", 0)
        listeners = sum(weights.values()) - weights["unet"] - drawers
        peak = max(weights["unet"] + moving, drawers + drawing, listeners)
    else:
        peak = sum(weights.values()) + max(moving, drawing)
    per_position = (costs.unet_work + costs.attention_work * work.positions) * size
    predictions = work.predictions + costs.reused_share * work.reusing_predictions
    moves = predictions * work.window_frames * work.positions * per_position
    draws = work.drawn_frames * work.frame_pixels * costs.decoder_work
    seconds = costs.start_seconds + (moves + draws) / rate
    between = work.frames_between * work.frame_pixels
    seconds += between * (costs.rife_work / rate if "interpolator" in parameters else costs.flow_seconds)
    return Prediction(costs.runtime_bytes + peak, seconds)


def require_memory(
    prediction: Prediction, available_bytes: float, work: Workload, device: str, *, cropped: bool
) -> None:
    """Raise NotEnoughMemory, with what would help, if the prediction exceeds what the device has free."""
    if prediction.memory_bytes <= available_bytes:
        return
    helps = [
        (work.predictions_at_once > 1, "--sequential-guidance"),
        (work.bytes_per_number > 2, "--dtype bfloat16"),
        (not work.offload and device.startswith("cuda"), "--offload"),
        (work.chunk_frames > 1, f"--decode-chunk below {work.chunk_frames}"),
        (True, "a smaller --size"),
        (not cropped, "--crop"),
    ]
    advice = ", ".join(option for useful, option in helps if useful)
    raise NotEnoughMemory(
        f"This would need about {prediction.memory_bytes / 1e9:.1f} GB, but {device} has "
        f"{available_bytes / 1e9:.1f} GB free. Try {advice}."
    )
