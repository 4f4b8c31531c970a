"""Length, lag and evenness of videos of portraits at every frame rate, from files and drawn motion.

frame_rates.py examples/portraits/obama.jpg examples/portraits/mona_lisa.jpg

The lag is that of the mouth behind the same mouth at 25 fps, with the start of the picture after the sound's.
Without a cadence, odd frames accelerate as even ones do, but in a few seconds by chance more or less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lib.command import EXAMPLES, add_model, benchmark_parser
from lib.report import Check, publish
from sonimate.clock import VIDEO_FPS
from sonimate.configs import FRAME_RATES
from sonimate.evaluate.face_curves import face_curves
from sonimate.evaluate.generation import mesh_codec
from sonimate.inputs import Inputs, read_inputs
from sonimate.media.audio import SoundChoice
from sonimate.media.video import read_video
from sonimate.pipeline import SonicPipeline

LONGER, LAG, CADENCE = "too long, frames", "lag, ms", "odd over even"
SHIFTS_MS = np.arange(-40, 41)


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("portraits", type=Path, nargs="+")
    parser.add_argument("--sound", type=Path, default=EXAMPLES / "speech/jfk_inaugural.wav")
    parser.add_argument("--seconds", type=float, default=11.0, help="of the sound; default 11")
    add_model(parser)
    parser.add_argument("--size", type=int, default=256, help="longer side of the videos in px")
    arguments = parser.parse_args(argv)

    pipeline = SonicPipeline.from_pretrained(arguments.model)
    part = SoundChoice(duration_seconds=arguments.seconds)
    rows: list[dict[str, Any]] = []
    for portrait in arguments.portraits:
        inputs = read_inputs(portrait, arguments.sound, size=arguments.size, sound_choice=part)
        folder = arguments.out / "frame_rates" / portrait.stem
        folder.mkdir(parents=True, exist_ok=True)
        rows += [{"portrait": portrait.stem} | row for row in rates_of(pipeline, inputs, folder)]
        print(rows[-1], flush=True)
    checks = [
        Check(
            f"{least_or_most.__name__} {column}",
            least_or_most(row[column] for row in rows),
            low=low,
            high=high,
        )
        for column, low, high in ((LONGER, -1, 1), (LAG, -10, 10), (CADENCE, 0.9, 1.1))
        for least_or_most in (min, max)
    ]
    publish("frame_rates", arguments.out, rows=rows, summary={}, checks=checks)


def rates_of(pipeline: SonicPipeline, inputs: Inputs, folder: Path) -> Iterator[dict[str, Any]]:
    """The row of each frame rate, 25 first."""
    codec = mesh_codec(pipeline)
    options = pipeline.seeded(inputs.portrait, inputs.waveform)
    latents, reference = pipeline.generate(inputs.portrait, inputs.waveform, sampling=options)
    known = None
    for fps in (VIDEO_FPS, *(rate for rate in FRAME_RATES if rate >= 24 and rate != VIDEO_FPS)):
        animation = pipeline.animate_inputs(inputs, sampling=options, fps=fps)
        info, _ = read_video(animation.save(folder / f"{fps:g}.mp4"))
        moved = codec.motion(latents, reference.context, replace(options.decoding, fps=fps))
        drawn = codec.resolve(moved[: animation.frame_count], reference.context).landmarks
        mouth = face_curves(drawn).mouth
        known = mouth if known is None else known
        yield {
            "fps": info.fps,
            LONGER: (info.seconds - inputs.waveform.seconds) * fps,
            LAG: lag_ms(mouth, fps, known) + 1000 * info.start_seconds,
            CADENCE: cadence(drawn),
        }


def lag_ms(curve: np.ndarray, fps: float, known: np.ndarray) -> float:
    """How many ms `curve` at `fps` is later than `known` at 25 fps: where they correlate best."""
    times, own = np.arange(len(known)) / VIDEO_FPS, np.arange(len(curve)) / fps
    r = [np.corrcoef(np.interp(times + shift / 1000, own, curve), known)[0, 1] for shift in SHIFTS_MS]
    return float(SHIFTS_MS[np.argmax(r)])


def cadence(landmarks: np.ndarray) -> float:
    """Mean acceleration of landmarks (n, 478, 3) in odd frames over that in even ones."""
    acceleration = np.linalg.norm(np.diff(landmarks, 2, axis=0), axis=-1).mean(1)
    return float(acceleration[::2].mean() / acceleration[1::2].mean())


if __name__ == "__main__":
    main()
