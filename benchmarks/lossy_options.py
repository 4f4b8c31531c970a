"""What the options that trade exactness for speed do to the bundled model: time of its UNet, and distance of
the latents from those of the default options, in standard deviations of these. Beside them, what else gives
that speed or that distance: fewer steps, another shift of the windows, another seed.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from sonimate.configs import COMPACT, SamplingOptions
from sonimate.evaluate.lip_sync import portrait_of
from sonimate.evaluate.sounds import compose_speech
from sonimate.evaluate.tables import publish
from sonimate.media.image import read_image
from sonimate.pipeline import SonicPipeline
from sonimate.types import Portrait, Waveform

EXAMPLES = Path(__file__).parents[1] / "examples"
VARIANTS = {
    "default": COMPACT,
    "reuse 2": replace(COMPACT, reuse=2),
    "reuse 3": replace(COMPACT, reuse=3),
    "guidance_interval 0.5 to 80": replace(COMPACT, guidance_interval=(0.5, 80.0)),
    "guidance_interval 0.05 to 10": replace(COMPACT, guidance_interval=(0.05, 10.0)),
    "half the steps": replace(COMPACT, steps=COMPACT.steps // 2),
    "shift_offset 8": replace(COMPACT, shift_offset=8),
    "another seed": replace(COMPACT, seed=COMPACT.fixed_seed + 1),
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--portrait", type=Path, default=EXAMPLES / "portraits" / "astronaut_collins.jpg")
    parser.add_argument("--speech", type=Path, nargs="+", default=sorted((EXAMPLES / "speech").glob("*.wav")))
    parser.add_argument("--seconds", type=float, default=10.0, help="of speech")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args(argv)

    pipeline = SonicPipeline.from_pretrained("compact", device="cpu")
    portrait = portrait_of(read_image(arguments.portrait))
    speech = compose_speech(arguments.speech, arguments.seconds)
    seconds: dict[str, list[float]] = {name: [] for name in VARIANTS}
    latents: dict[str, Tensor] = {}
    for _ in range(arguments.runs):
        for name, options in VARIANTS.items():
            latents[name], elapsed = generate(pipeline, portrait, speech, options)
            seconds[name].append(elapsed)
    exact = latents["default"]
    rows = [
        {
            "options": name,
            "UNet, processor s": min(seconds[name]),
            "ratio": min(seconds[name]) / min(seconds["default"]),
            "distance": ((latents[name] - exact).square().mean().sqrt() / exact.std()).item(),
        }
        for name in VARIANTS
    ]
    publish("lossy_options", arguments.out, rows=rows)


def generate(
    pipeline: SonicPipeline, portrait: Portrait, speech: Waveform, options: SamplingOptions
) -> tuple[Tensor, float]:
    """Latents, and the processor's seconds in the denoising loop."""
    times = []

    def note(stage: str, done: int, total: int) -> None:
        if stage == "move":
            times.append(time.process_time())

    latents, _ = pipeline.generate(portrait, speech, sampling=options, progress=note)
    return latents, times[-1] - times[0]


if __name__ == "__main__":
    main()
