"""How long the whole command takes: a 512 x 512 portrait and 10 s of speech, as a ratio of real time, and
where the time goes. Run it on an idle machine.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from lib import targets
from lib.command import EXAMPLES, add_model, add_speech, benchmark_parser, run_json
from lib.report import Check, publish
from lib.speech import compose_speech
from sonimate.evaluate.generation import generate_motion, mesh_codec, portrait_from_pixels
from sonimate.media.image import read_image, write_png
from sonimate.media.wav import write_wav
from sonimate.pipeline import SonicPipeline
from sonimate.types import Waveform

SIDE_PX = 512
DECODER_SECONDS = 2.0
UNET_STAGE = "move"


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--portrait", type=Path, default=EXAMPLES / "portraits" / "astronaut_collins.jpg")
    add_speech(parser, seconds=10.0)
    parser.add_argument("--runs", type=int, default=3)
    add_model(parser)
    arguments = parser.parse_args(argv)

    folder = arguments.out / "speed"
    folder.mkdir(parents=True, exist_ok=True)
    picture, sound = folder / "portrait.png", folder / "speech.wav"
    write_png(picture, square(read_image(arguments.portrait)))
    speech = compose_speech(arguments.speech, arguments.seconds)
    write_wav(sound, speech)
    load = os.getloadavg()[0]
    runs = [command(picture, sound, folder / "video.mp4", arguments.model) for _ in range(arguments.runs)]
    decoder_ms = time_decoder(arguments.model, picture, compose_speech(arguments.speech, DECODER_SECONDS))
    factors = [run["realtime_factor"] for run in runs]
    best = runs[int(np.argmin(factors))]
    memory = max(run["peak_memory_mb"] for run in runs)
    summary = {
        "best realtime factor": min(factors),
        "median realtime factor": median(factors),
        "peak memory, MB": memory,
        "decoder, ms a frame": decoder_ms,
        "share of the UNet": best["stages"][UNET_STAGE] / best["wall_seconds"],
        "processors": os.cpu_count(),
        "machine's load before": load,
    }
    rows = [
        {"stage": stage, "seconds": seconds, "ratio to real time": seconds / best["seconds"]}
        for stage, seconds in stages(best).items()
    ]
    checks = [
        Check("realtime factor", min(factors), high=targets.MAX_REALTIME_FACTOR),
        Check("peak memory in MB", memory, high=targets.MAX_PEAK_MEMORY_MB),
        Check("decoder, ms a frame", decoder_ms, high=targets.MAX_DECODER_MS),
    ]
    publish("speed", arguments.out, rows=rows, summary=summary, checks=checks)


def square(pixels: np.ndarray) -> np.ndarray:
    """The picture's middle as SIDE_PX x SIDE_PX."""
    side = min(pixels.shape[:2])
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    middle = Image.fromarray(pixels[top : top + side, left : left + side])
    return np.array(middle.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS))


def command(picture: Path, sound: Path, video: Path, model: str) -> dict:
    """The report of one run of `sonimate animate --json`; its wall time includes the start of Python."""
    line = ["-m", "sonimate", "animate", picture, sound, "-yo", video, "--model", model, "--json"]
    start = time.perf_counter()
    report = run_json(*line)
    wall_seconds = time.perf_counter() - start
    print(f"{wall_seconds:.1f} s, {report['peak_memory_mb']:.0f} MB", flush=True)
    return report | {"wall_seconds": wall_seconds, "realtime_factor": wall_seconds / report["seconds"]}


def stages(run: dict) -> dict[str, float]:
    """Seconds by stage, outside of all stages, and of the whole command."""
    rest = run["wall_seconds"] - sum(run["stages"].values())
    return {**run["stages"], "start and end": rest, "whole command": run["wall_seconds"]}


def time_decoder(model: str, picture: Path, speech: Waveform) -> float:
    """Milliseconds to draw a frame whose motion is known, without writing it."""
    pipeline = SonicPipeline.from_pretrained(model)
    generated = generate_motion(pipeline, portrait_from_pixels(read_image(picture)), speech)
    frames = mesh_codec(pipeline).render(generated.motion, generated.warp)
    next(frames)
    start = time.perf_counter()
    count = sum(1 for _ in frames)
    return 1000 * (time.perf_counter() - start) / count


if __name__ == "__main__":
    main()
