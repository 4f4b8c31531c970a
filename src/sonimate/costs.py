"""Predicted memory and time of an animation, from measured coefficients (benchmarks/costs.py).

Activations are counted in numbers per latent position, which are the same on every device. Times are kept as
work: measured seconds times the speed of one matrix product on the same machine. Another machine's time
follows from its own speed, if its other operations are faster or slower by the same ratio. Loads no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sonimate.errors import NotEnoughMemory

AUDIO_NETWORKS = ("audio_to_tokens", "audio_to_bucket", "interpolator", "audio_encoder")
"""Always float32."""

SOUND_BYTES = 9.5e5
"""Memory of a second of sound: samples, spectrum, and above all sets of latents (115 kB each) in the sampler.
Peaks of `SonicPipeline.generate` for 60 and 240 s of speech differ by 170 MB with the compact model
(benchmarks/long_sound.py --motion)."""
CUT_OUT_BYTES, CUT_OUT_PIXEL_BYTES, CUT_OUT_SECONDS = 4.5e7, 136, 2.0
"""Of a person without the background, drawn with `--background transparent` instead of `keep`: 68 MB more at
340 x 512 px, 155 at 682 x 1024, 255 at 1024 x 1536; 1.4 to 2.4 s."""
CUDA_LIBRARY_BYTES = 3.0e8
"""Of a torch for CUDA that computes on a CPU: a run of 434 MB by forecast took 736 MB with 2.13.0+cu130."""
MEASURED_SOUND_SECONDS = 5.3
"""Of sound are in `Costs.runtime_bytes`."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Coefficients of one model size.

    start_seconds, runtime_bytes: of the program and its libraries. unet_parameters: of the UNet that the next
    three were measured with; work is proportional to their number, activations to its square root.
    unet_numbers: activations in memory at once, per latent position, frame and guidance branch.
    unet_work: FLOP of a matrix product that takes as long as one latent position of one frame;
    attention_work: additional FLOP for each further position of the frame. reused_share: the share of this
    work in a step that reuses deep features of an earlier step.
    decoder_numbers, decoder_work: the same for the decoder, per output pixel. rife_work: of RIFE, per pixel
    of an interpolated frame; flow_seconds: of optical flow, which always runs on the CPU.
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
    start_seconds=1.2,
    runtime_bytes=3.8e8,
    unet_parameters=1_970_846,
    unet_numbers=0.0,
    unet_work=2.9e6,
    attention_work=0.0,
    reused_share=0.19,
    decoder_numbers=37.0,
    decoder_work=3.8e3,
)
"""unet_numbers is 0: runtime_bytes was measured over a whole run and includes the UNet's activations."""
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
    """The work of one animation.

    positions: height times width of the latents. predictions: of one window and one guidance branch, over all
    steps; reusing_predictions: further ones, which reuse deep features. predictions_at_once: in one UNet
    call. drawn_frames: frames that the decoder computes, of frame_pixels each (of all speakers together),
    chunk_frames at once.
    frames_between: interpolated frames. bytes_per_number: of the large networks' weights;
    bytes_per_activation: of their activations. offload: networks leave the device after their turn.
    sound_seconds: length of the sound. cut_out: whether the person is drawn without the background.
    """

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
    sound_seconds: float
    cut_out: bool = False


@dataclass(frozen=True)
class Prediction:
    """Peak memory of the device, and wall time."""

    memory_bytes: float
    seconds: float


def predict(work: Workload, costs: Costs, parameters: Mapping[str, int], rate: float) -> Prediction:
    """Peak memory and wall time of `work`.

    parameters: number of each component's, by name. rate: FLOP a second of a matrix product on the device, in
    the type that the large networks compute in.
    """
    weights = {
        name: count * (4 if name in AUDIO_NETWORKS else work.bytes_per_number)
        for name, count in parameters.items()
    }
    size = parameters["unet"] / costs.unet_parameters
    in_call = work.predictions_at_once * work.window_frames * work.positions
    sampling_bytes = in_call * costs.unet_numbers * math.sqrt(size) * work.bytes_per_activation
    decoding_bytes = work.chunk_frames * work.frame_pixels * costs.decoder_numbers * work.bytes_per_activation
    if work.offload:
        decoder = weights.get("vae", 0) + weights.get("interpolator", 0)
        encoders = sum(weights.values()) - weights["unet"] - decoder
        peak = max(weights["unet"] + sampling_bytes, decoder + decoding_bytes, encoders)
    else:
        peak = sum(weights.values()) + max(sampling_bytes, decoding_bytes)
    per_position = (costs.unet_work + costs.attention_work * work.positions) * size
    predictions = work.predictions + costs.reused_share * work.reusing_predictions
    sampling_work = predictions * work.window_frames * work.positions * per_position
    decoding_work = work.drawn_frames * work.frame_pixels * costs.decoder_work
    seconds = costs.start_seconds + (sampling_work + decoding_work) / rate
    between = work.frames_between * work.frame_pixels
    seconds += between * (costs.rife_work / rate if "interpolator" in parameters else costs.flow_seconds)
    if work.cut_out:
        peak += CUT_OUT_BYTES + CUT_OUT_PIXEL_BYTES * work.frame_pixels
        seconds += CUT_OUT_SECONDS
    sound_bytes = SOUND_BYTES * max(work.sound_seconds - MEASURED_SOUND_SECONDS, 0)
    return Prediction(costs.runtime_bytes + peak + sound_bytes, seconds)


def require_memory(
    prediction: Prediction, available_bytes: float, work: Workload, device: str, *, cropped: bool
) -> None:
    """Raise NotEnoughMemory, naming the options that would help, if the device has less free memory."""
    if prediction.memory_bytes <= available_bytes:
        return
    options = [
        (work.predictions_at_once > 1, "--sequential-guidance"),
        (work.bytes_per_number > 2, "--dtype bfloat16"),
        (not work.offload and device.startswith("cuda"), "--offload"),
        (work.chunk_frames > 1, f"--decode-chunk below {work.chunk_frames}"),
        (True, "a smaller --size"),
        (not cropped, "--crop"),
    ]
    advice = ", ".join(option for useful, option in options if useful)
    raise NotEnoughMemory(
        f"This would need about {prediction.memory_bytes / 1e9:.1f} GB, but {device} has "
        f"{available_bytes / 1e9:.1f} GB free. Try {advice}."
    )
