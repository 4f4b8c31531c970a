"""Blinks, head motion, drift, jitter and rest of animated portraits over 20 s of speech and 2 s of silence,
tracked in the output video and compared with real clips.

life.py examples/portraits/obama.jpg --clips CLIPS
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from lib.command import add_model, add_speech, benchmark_parser
from lib.plots import plot_panels
from lib.report import publish
from lib.speech import compose_speech
from lib.targets import life_checks
from sonimate.clock import VIDEO_FPS
from sonimate.evaluate.generation import generate_motion, render_and_track
from sonimate.evaluate.life import measure_life, real_acceleration
from sonimate.evaluate.statistics import median_acceleration
from sonimate.footage.clip_reading import read_clips
from sonimate.inputs import read_portrait
from sonimate.pipeline import SonicPipeline


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("portraits", type=Path, nargs="+")
    parser.add_argument(
        "--clips", type=Path, required=True, help="folder of real clips to compare jitter with"
    )
    add_speech(parser, seconds=20.0)
    parser.add_argument("--silence", type=float, default=2.0, help="seconds after the speech")
    add_model(parser)
    parser.add_argument("--size", type=int, default=512, help="longer side of the video in px")
    arguments = parser.parse_args(argv)

    clips = read_clips(arguments.clips)
    real = real_acceleration([clip.curves for clip in clips])
    sound = compose_speech(arguments.speech, arguments.seconds, then_silent_seconds=arguments.silence)
    pipeline = SonicPipeline.from_pretrained(arguments.model)
    lives, checks, panels = [], [], {"Mouth opening": {}, "Eye opening": {}, "Head rotation about y": {}}
    for path in arguments.portraits:
        portrait = read_portrait(path, size=arguments.size)
        options = pipeline.seeded(portrait, sound)
        video = arguments.out / "life" / f"{path.stem}.mp4"
        tracked = render_and_track(pipeline, portrait.pixels, sound, video, sampling=options)
        own = generate_motion(pipeline, portrait, sound, sampling=options).curves
        lives.append(measure_life(path.stem, tracked, arguments.seconds))
        checks += life_checks(lives[-1], real)
        lives.append(measure_life(f"{path.stem}, untracked", own, arguments.seconds))
        times = [frame / VIDEO_FPS for frame in range(len(tracked))]
        for lines, values in zip(
            panels.values(), (tracked.mouth, tracked.eyes, tracked.rotation[:, 1]), strict=True
        ):
            lines[path.stem] = (times, values.tolist())
    jitter = {f"acceleration of {clip.name}": median_acceleration(clip.curves.points) for clip in clips}
    publish(
        "life",
        arguments.out,
        rows=[asdict(life) for life in lives],
        summary={"acceleration of real clips": real, **jitter},
        checks=checks,
    )
    plot_panels(arguments.out / "life.png", panels, x_label="seconds")


if __name__ == "__main__":
    main()
