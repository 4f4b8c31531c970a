"""Speed and exactness of the bundled model with options that trade one for the other: time of the UNet, and
distance of the latents from those of the default options, in standard deviations. For comparison: fewer
steps, another shift of the windows, and another seed.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from lib.command import EXAMPLES, add_speech, benchmark_parser
from lib.report import publish
from lib.speech import compose_speech
from sonimate.configs import COMPACT, SamplingOptions
from sonimate.evaluate.generation import portrait_from_pixels
from sonimate.media.image import read_image
from sonimate.pipeline import SonicPipeline
from sonimate.types import Portrait, Waveform

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
    parser = benchmark_parser(__doc__)
    parser.add_argument("--portrait", type=Path, default=EXAMPLES / "portraits" / "astronaut_collins.jpg")
    add_speech(parser, seconds=10.0)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args(argv)

    pipeline = SonicPipeline.from_pretrained("compact", device="cpu")
    portrait = portrait_from_pixels(read_image(arguments.portrait))
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
