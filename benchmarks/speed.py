"""How long the whole command takes: a 512 x 512 portrait and 10 s of speech, as a ratio of real time, and
where the time goes. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from sonimate.evaluate import thresholds as targets
from sonimate.evaluate.lip_sync import portrait_of
from sonimate.evaluate.performance import perform
from sonimate.evaluate.sounds import compose_speech
from sonimate.evaluate.tables import Check, publish
from sonimate.media.image import read_image, write_png
from sonimate.media.wav import write_wav
from sonimate.pipeline import SonicPipeline

EXAMPLES = Path(__file__).parents[1] / "examples"
SIDE_PX = 512
DECODER_SECONDS = 2.0
UNET_STAGE = "move"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--portrait", type=Path, default=EXAMPLES / "portraits" / "astronaut_collins.jpg")
    parser.add_argument("--speech", type=Path, nargs="+", default=sorted((EXAMPLES / "speech").glob("*.wav")))
    parser.add_argument("--seconds", type=float, default=10.0, help="of speech")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model", default="compact")
    parser.add_argument("--out", type=Path, default=Path("out"))
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
        Check(name="realtime factor", value=min(factors), high=targets.MAX_REALTIME_FACTOR),
        Check(name="peak memory in MB", value=memory, high=targets.MAX_PEAK_MEMORY_MB),
        Check(name="decoder, ms a frame", value=decoder_ms, high=targets.MAX_DECODER_MS),
    ]
    publish("speed", arguments.out, rows=rows, summary=summary, checks=checks)


def square(pixels: np.ndarray) -> np.ndarray:
    """The picture's middle as SIDE_PX x SIDE_PX."""
    side = min(pixels.shape[:2])
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    middle = Image.fromarray(pixels[top : top + side, left : left + side])
    return np.array(middle.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS))


def command(picture: Path, sound: Path, video: Path, model: str) -> dict:
    """What `sonimate animate --json` tells of one run, with wall time taken from outside, so that the
    start of Python counts."""
    sonimate = Path(sys.executable).parent / "sonimate"
    line = [str(sonimate), "animate", str(picture), str(sound), "-o", str(video), "--model", model, "--json"]
    start = time.perf_counter()
    done = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True)
    wall_seconds = time.perf_counter() - start
    told = json.loads(done.stdout)
    print(f"{wall_seconds:.1f} s, {told['peak_memory_mb']:.0f} MB", flush=True)
    return told | {"wall_seconds": wall_seconds, "realtime_factor": wall_seconds / told["seconds"]}


def stages(run: dict) -> dict[str, float]:
    """Seconds by stage, what no stage accounts for, and the whole."""
    rest = run["wall_seconds"] - sum(run["stages"].values())
    return {**run["stages"], "start and end": rest, "whole command": run["wall_seconds"]}


def time_decoder(model: str, picture: Path, speech) -> float:
    """Milliseconds to draw a frame, motion being known and nothing written."""
    pipeline = SonicPipeline.from_pretrained(model)
    performance = perform(pipeline, portrait_of(read_image(picture)), speech)
    frames = pipeline.components.codec.render(performance.motion, performance.warp)
    next(frames)
    start = time.perf_counter()
    count = sum(1 for _ in frames)
    return 1000 * (time.perf_counter() - start) / count


if __name__ == "__main__":
    main()
