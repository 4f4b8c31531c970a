"""Length, lag and evenness of videos of one portrait at every frame rate, from files and drawn motion.

frame_rates.py examples/portraits/obama.jpg examples/speech/jfk_inaugural.wav
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from lib.command import add_model, benchmark_parser
from lib.report import Check, publish
from sonimate.clock import VIDEO_FPS
from sonimate.configs import FRAME_RATES
from sonimate.evaluate.face_curves import face_curves
from sonimate.evaluate.generation import mesh_codec
from sonimate.inputs import read_inputs
from sonimate.media.video import read_video
from sonimate.pipeline import SonicPipeline

SHIFTS_MS = np.arange(-40, 41)


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("portrait", type=Path)
    parser.add_argument("sound", type=Path)
    add_model(parser)
    parser.add_argument("--size", type=int, default=256, help="longer side of the videos in px")
    arguments = parser.parse_args(argv)

    pipeline = SonicPipeline.from_pretrained(arguments.model)
    codec, inputs = (
        mesh_codec(pipeline),
        read_inputs(arguments.portrait, arguments.sound, size=arguments.size),
    )
    options = pipeline.seeded(inputs.portrait, inputs.waveform)
    latents, reference = pipeline.generate(inputs.portrait, inputs.waveform, sampling=options)
    mouths, rows, checks = {}, [], []
    for fps in (VIDEO_FPS, *(rate for rate in FRAME_RATES if rate > VIDEO_FPS or rate == 24)):
        animation = pipeline.animate_inputs(inputs, sampling=options, fps=fps)
        video = arguments.out / "frame_rates" / f"{fps:g}.mp4"
        video.parent.mkdir(parents=True, exist_ok=True)
        info, _ = read_video(animation.save(video))
        moved = codec.motion(latents, reference.context, replace(options.decoding, fps=fps))
        drawn = codec.resolve(moved[: animation.frame_count], reference.context).landmarks
        mouths[fps] = face_curves(drawn).mouth
        row = {
            "fps": info.fps,
            "too long, frames": (info.seconds - inputs.waveform.seconds) * fps,
            "lag, ms": lag_ms(mouths[fps], fps, mouths[VIDEO_FPS]),
            "odd over even": cadence(drawn),
        }
        rows.append(row)
        checks += [
            Check(f"{fps:g} fps: too long, frames", row["too long, frames"], low=-1, high=1),
            Check(f"{fps:g} fps: lag, ms", row["lag, ms"], low=-10, high=10),
            Check(f"{fps:g} fps: odd over even", row["odd over even"], low=0.9, high=1.1),
        ]
    publish("frame_rates", arguments.out, rows=rows, summary={}, checks=checks)


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
