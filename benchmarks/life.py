"""Life of animated portraits over 20 s of speech and 2 s of silence, tracked in the output video, and
against real clips.

life.py examples/portraits/obama.jpg --clips CLIPS
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from sonimate.clock import VIDEO_FPS
from sonimate.evaluate.life import life_checks, measure_life, real_acceleration
from sonimate.evaluate.lip_sync import portrait_of, read_takes
from sonimate.evaluate.performance import film, perform
from sonimate.evaluate.plots import plot_panels
from sonimate.evaluate.sounds import compose_speech
from sonimate.evaluate.statistics import median_acceleration
from sonimate.evaluate.tables import publish
from sonimate.inputs import read_portrait
from sonimate.pipeline import SonicPipeline

EXAMPLES = Path(__file__).parents[1] / "examples"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("portraits", type=Path, nargs="+")
    parser.add_argument(
        "--clips", type=Path, required=True, help="folder of real clips to compare jitter with"
    )
    parser.add_argument("--speech", type=Path, nargs="+", default=sorted((EXAMPLES / "speech").glob("*.wav")))
    parser.add_argument("--seconds", type=float, default=20.0, help="of speech")
    parser.add_argument("--silence", type=float, default=2.0, help="seconds after the speech")
    parser.add_argument("--model", default="compact")
    parser.add_argument("--size", type=int, default=512, help="longer side of the video in px")
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args(argv)

    takes = read_takes(arguments.clips)
    real = real_acceleration([take.curves for take in takes])
    sound = compose_speech(arguments.speech, arguments.seconds, then_silent_seconds=arguments.silence)
    pipeline = SonicPipeline.from_pretrained(arguments.model)
    lives, checks, panels = [], [], {"Mouth opening": {}, "Eye opening": {}, "Head rotation about y": {}}
    for path in arguments.portraits:
        pixels = read_portrait(path, size=arguments.size).pixels
        tracked = film(pipeline, pixels, sound, arguments.out / "life" / f"{path.stem}.mp4")
        own = perform(pipeline, portrait_of(pixels), sound).curves
        lives.append(measure_life(path.stem, tracked, arguments.seconds))
        checks += life_checks(lives[-1], real)
        lives.append(measure_life(f"{path.stem}, untracked", own, arguments.seconds))
        times = [frame / VIDEO_FPS for frame in range(len(tracked))]
        for lines, values in zip(
            panels.values(), (tracked.mouth, tracked.eyes, tracked.rotation[:, 1]), strict=True
        ):
            lines[path.stem] = (times, values.tolist())
    clips = {f"acceleration of {take.name}": median_acceleration(take.curves.points) for take in takes}
    publish(
        "life",
        arguments.out,
        rows=[asdict(life) for life in lives],
        summary={"acceleration of real clips": real, **clips},
        checks=checks,
    )
    plot_panels(arguments.out / "life.png", panels, x_label="seconds")


if __name__ == "__main__":
    main()
