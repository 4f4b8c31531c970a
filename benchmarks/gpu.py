"""What an NVIDIA GPU makes of the full model, with random weights and no network: `make bench-gpu`.

Prints and saves the time of a UNet step beside diffusers' UNet, plain and compiled; a whole clip; peak memory
with each saving option; decoding and interpolation by frame; a training step; and how far the GPU's numbers
are from the golden ones. It stops after --budget seconds: a part that does not fit is skipped or cut off, and
named. `--size tiny --device cpu` is the same program for tests.
"""

from __future__ import annotations

import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lib.command import EXAMPLES, benchmark_parser
from lib.device_bench import NO_ROOM, Bench, run_part
from lib.golden_cases import FLOAT32, golden_cases
from lib.random_model import (
    FULL_SIZE,
    TINY_SIZE,
    random_batch,
    random_components,
    random_denoiser,
    random_unet,
    random_vae,
)
from lib.report import Check, publish
from lib.unets import random_inputs, stock_inputs, stock_unet
from sonimate.configs import FULL, SamplingOptions
from sonimate.types import Portrait, Waveform

if TYPE_CHECKING:
    from sonimate.pipeline import SonicPipeline

BUDGET_SECONDS = 450.0
"""So that the whole command takes less than eight minutes: with its start, and with its end, which waits for
the kernels that torch.compile's processes are compiling when the last part is cut off."""
MAX_GOLDEN_ERROR = 1e-3
"""Of float32 on the device; the tests on a CPU allow 3e-5 to 1e-4."""


def agreement(bench: Bench) -> None:
    """The golden cases on the device: the largest difference from the reference's numbers."""
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        for case in golden_cases():
            types = {"float32": torch.float32, **(bench.halves if case.halves else {})}
            for name, dtype in types.items():
                worst = case.largest_difference(bench.device, dtype)
                bench.add("agreement", f"{case.name}, {name}", worst, "largest difference")
            on_cpu = case.largest_difference(torch.device("cpu"), torch.float32)
            bench.add("agreement", f"{case.name}, float32 on the CPU", on_cpu, "largest difference")
    finally:
        torch.backends.cudnn.allow_tf32 = allowed


@torch.no_grad()
def unet_step(bench: Bench) -> None:
    """One window in all guidance branches, in one call."""
    size = bench.size
    with bench.device:
        inputs = random_inputs(size.unet, size.window_frames, size.side)
    unet = random_unet(size, bench.device, torch.float32)
    for name, dtype in bench.halves.items():
        unet, given = unet.to(dtype), in_type(inputs, dtype)
        bench.add("UNet step", f"sonimate, {name}", bench.seconds(partial(unet, **given)), "s")
    del unet
    stock = random_stock_unet(bench)
    for name, dtype in bench.halves.items():
        stock, given = stock.to(dtype), stock_inputs(in_type(inputs, dtype))
        seconds = bench.seconds(partial(stock, **given))
        bench.add("UNet step", f"diffusers without audio, {name}", seconds, "s")


@torch.no_grad()
def compiled_step(bench: Bench) -> None:
    """The same by torch.compile. Each type is measured for both networks before the next one is compiled, so
    that a part that is cut off has pairs to compare."""
    size = bench.size
    with bench.device:
        inputs = random_inputs(size.unet, size.window_frames, size.side)
    for name, dtype in bench.halves.items():
        given = in_type(inputs, dtype)
        measure_compiled(bench, f"sonimate, {name}", random_unet(size, bench.device, dtype), given)
        stock = random_stock_unet(bench).to(dtype)
        measure_compiled(bench, f"diffusers without audio, {name}", stock, stock_inputs(given))
        del stock


def random_stock_unet(bench: Bench) -> torch.nn.Module:
    """diffusers' UNet on the device; its AlphaBlender begins on the CPU in spite of the block."""
    with bench.device:
        return stock_unet(bench.size.unet).to(bench.device).eval()


def measure_compiled(bench: Bench, case: str, network: torch.nn.Module, inputs: dict[str, Any]) -> None:
    """Time of the first call, which compiles, and of later ones."""
    torch.compiler.reset()
    network.compile(dynamic=False, backend=bench.size.backend)
    first, *later = bench.times(lambda: network(**inputs), bench.size.repeats + 2)
    bench.add("UNet step, compiled", case, median(later[1:]), "s", f"first call {first:.1f} s")


def in_type(inputs: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Inputs in `dtype`, but time ids and timestep, which the UNet embeds in float32."""
    return {name: x if name in FLOAT32 else x.to(dtype) for name, x in inputs.items()}


def clip(bench: Bench) -> None:
    """Files to mp4 by the whole pipeline, in float16 on a GPU: seconds by stage."""
    from sonimate.media.audio import read_audio
    from sonimate.media.wav import write_wav
    from sonimate.pipeline import SonicPipeline

    size = bench.size
    pipeline = SonicPipeline(random_components(size, bench.device, half(bench)), device=str(bench.device))
    sound = read_audio(EXAMPLES / "speech/librivox_ss_0890.wav")
    samples = sound.samples[: round(size.seconds * sound.rate_hz)]
    began: dict[str, float] = {}
    ended: dict[str, float] = {}

    def progress(stage: str, done: int, total: int) -> None:
        bench.synchronise()
        began.setdefault(stage, time.perf_counter())
        ended[stage] = time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        audio = write_wav(Path(folder) / "sound.wav", Waveform(samples, sound.rate_hz))
        started = time.perf_counter()
        animation = pipeline.animate(
            EXAMPLES / "portraits/obama.jpg",
            audio,
            sampling=replace(FULL, steps=size.steps, window_frames=size.window_frames, seed=1),
            size=size.side_px,
            crop=True,
            progress=progress,
        )
        animation.save(Path(folder) / "clip.mp4", progress)
        whole = time.perf_counter() - started
    about = f"{animation.frame_count} frames of {animation.width} x {animation.height} px, {size.steps} steps"
    bench.add("clip", f"{size.seconds:g} s, end to end", whole, "s", about)
    for stage in began:
        bench.add("clip", f"stage {stage}", ended[stage] - began[stage], "s")


def memory(bench: Bench) -> None:
    """Peak of one window, one step and one decoded chunk, by the options of `sonimate animate`."""
    from sonimate.inputs import read_portrait
    from sonimate.media.audio import read_audio
    from sonimate.pipeline import SonicPipeline

    size = bench.size
    portrait = read_portrait(EXAMPLES / "portraits/obama.jpg", size=None, crop=True)
    sound = read_audio(EXAMPLES / "speech/librivox_ss_0890.wav")
    waveform = Waveform(sound.samples[: round(0.08 * size.window_frames * sound.rate_hz)], sound.rate_hz)
    components = random_components(size, bench.device, torch.float32)
    plain = replace(FULL, steps=1, window_frames=size.window_frames, seed=1)
    narrow = replace(plain, batch_branches=False)
    small = replace(plain, decode_chunk=4)
    both = replace(narrow, decode_chunk=4)
    for dtype in ("float32", *bench.halves):
        for network in (components.unet, components.image_encoder, components.codec.networks[0]):
            network.to(getattr(torch, dtype))
        options = {f"--dtype {dtype}": (plain, False)}
        if dtype == "bfloat16":
            options |= {
                f"--dtype {dtype} --sequential-guidance": (narrow, False),
                f"--dtype {dtype} --decode-chunk 4": (small, False),
                f"--dtype {dtype} --offload": (plain, True),
                f"--dtype {dtype} --offload --sequential-guidance --decode-chunk 4": (both, True),
            }
        for case, (sampling, offload) in options.items():
            pipeline = SonicPipeline(components, device=str(bench.device), offload=offload)
            run = partial(one_step, pipeline, portrait, waveform, sampling, size.side_px)
            try:
                bench.add("peak memory", case, bench.peak_gb(run), "GB")
            except torch.OutOfMemoryError:
                bench.add("peak memory", case, None, note=NO_ROOM)


def one_step(
    pipeline: SonicPipeline, portrait: Portrait, waveform: Waveform, sampling: SamplingOptions, size: int
) -> None:
    """Sample as `sampling` says, and draw one chunk."""
    latents, reference = pipeline.generate(portrait, waveform, sampling=sampling, size=size)
    for _ in pipeline.decode(latents[: sampling.decoding.chunk_frames], reference, sampling.decoding):
        pass


@torch.no_grad()
def drawing(bench: Bench) -> None:
    """What one frame of the video costs after sampling."""
    from sonimate.codecs.svd.autoencoder import SVDCodec
    from sonimate.codecs.svd.interpolation import RifeMiddle
    from sonimate.models.rife import IFNet

    size = bench.size
    with bench.device:
        rife = RifeMiddle(IFNet(size.rife).eval())
        pair = torch.rand(2, 3, size.side_px, size.side_px)
    bench.add("drawing", "RIFE, a frame", bench.seconds(lambda: rife(*pair)), "s")
    frames = min(FULL.decoding.chunk_frames, size.window_frames)
    latents = torch.randn(frames, 4, size.side, size.side)
    for name, dtype in bench.halves.items():
        codec = SVDCodec(random_vae(size, bench.device, dtype), middle=rife)
        seconds = bench.seconds(lambda codec=codec: list(codec.decode_latents(latents)))
        bench.add("drawing", f"decoding, a latent frame, {name}", seconds / frames, "s")


def training(bench: Bench) -> None:
    """Forward, backward and AdamW for one window: float32 weights, autocast to bfloat16, checkpointing."""
    size = bench.size
    networks, batch = random_denoiser(size, bench.device), random_batch(size, bench.device)
    trained = [parameter for parameter in networks.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-5)

    def step() -> None:
        with torch.autocast(bench.device.type, torch.bfloat16):
            loss = networks(batch).mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    bench.add("training", "a step of one window", bench.seconds(step), "s")
    if bench.device.type == "cuda":
        bench.add("training", "peak memory", bench.peak_gb(step), "GB")


def half(bench: Bench) -> torch.dtype:
    """What `--dtype auto` takes."""
    return torch.float32 if bench.device.type == "cpu" else torch.float16


PARTS: dict[Callable[[Bench], None], float] = {
    agreement: 0.13,
    unet_step: 0.13,
    drawing: 0.09,
    clip: 0.28,
    memory: 0.17,
    training: 0.13,
    compiled_step: 1.0,
}
"""In order, each with the largest share of the budget that it may take; the last may take all the rest."""


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--size", choices=("full", "tiny"), default="full")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--budget", type=float, default=BUDGET_SECONDS, metavar="SECONDS")
    names = [part.__name__ for part in PARTS]
    parser.add_argument("--parts", nargs="+", choices=names, default=names, help="default: all")
    arguments = parser.parse_args(argv)
    if arguments.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("No NVIDIA GPU is visible to torch. To try the program: --size tiny --device cpu")
    size = FULL_SIZE if arguments.size == "full" else TINY_SIZE
    bench = Bench(size, torch.device(arguments.device))
    torch.manual_seed(0)
    end = time.monotonic() + arguments.budget
    for part, share in PARTS.items():
        if part.__name__ in arguments.parts:
            run_part(bench, part, min(share * arguments.budget, end - time.monotonic()))
    differences = [row["value"] for row in bench.rows if row["case"].endswith(", float32")]
    checks = [
        Check("largest golden difference in float32", value, high=MAX_GOLDEN_ERROR)
        for value in sorted(differences)[-1:]
    ]
    publish("gpu", arguments.out, rows=bench.rows, checks=checks, summary=machine(bench.device))
    if not all(check.met for check in checks) or any(row["note"].startswith("failed") for row in bench.rows):
        raise SystemExit(1)


def machine(device: torch.device) -> dict[str, str]:
    """What the numbers were measured with."""
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return {
        "device": card,
        "torch": torch.__version__,
        "CUDA": str(torch.version.cuda),
        "Python": platform.python_version(),
        "command": " ".join(sys.argv),
    }


if __name__ == "__main__":
    main()
