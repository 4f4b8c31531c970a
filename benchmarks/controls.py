"""Movement at each value of --head-motion, --expression and --audio-guidance, read from the generated motion.

controls.py examples/portraits/obama.jpg                   with example speech
controls.py examples/portraits/obama.jpg --clips CLIPS     also for real clips, with their lip correlation
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np

from lib.command import add_model, add_speech, benchmark_parser
from lib.plots import plot_panels
from lib.report import publish
from lib.speech import compose_speech
from lib.targets import control_checks
from sonimate.evaluate.controls import CONTROLS, Case, measure_control
from sonimate.evaluate.generation import portrait_from_pixels
from sonimate.footage.clip_reading import read_clips
from sonimate.inputs import read_portrait
from sonimate.pipeline import SonicPipeline

BUCKETS = [0.0, 16.0, 32.0, 64.0, 100.0, 128.0]
TITLES = {
    "head_degrees": "Head rotation, degrees",
    "expression": "Expression, cm",
    "mouth": "Mouth opening, std",
    "mouth_gain": "Mouth over the automatic setting's",
    "r_default": "r with the automatic setting",
    "r_real": "r with the real mouth",
}


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("portraits", type=Path, nargs="*")
    add_speech(parser, seconds=8.0)
    parser.add_argument("--clips", type=Path, help="folder of real clips, animated by their own sound")
    parser.add_argument("--only", nargs="+", default=[], metavar="CLIP", help="names of the clips to use")
    parser.add_argument("--head-motion", nargs="+", type=float, default=BUCKETS)
    parser.add_argument("--expression", nargs="+", type=float, default=BUCKETS)
    parser.add_argument("--audio-guidance", nargs="+", type=float, default=[0.0, 1.0, 2.0, 3.0, 4.0])
    parser.add_argument("--seeds", type=int, default=2, help="runs at each value")
    add_model(parser)
    arguments = parser.parse_args(argv)

    pipeline = SonicPipeline.from_pretrained(arguments.model)
    cases = read_cases(arguments)
    if not cases:
        parser.error("give portraits, --clips, or both")
    seeds = range(arguments.seeds)
    scores = [
        score
        for control in CONTROLS
        for score in measure_control(pipeline, cases, control, getattr(arguments, control), seeds)
    ]
    hidden = set() if arguments.clips else {"r_real"}
    titles = {name: title for name, title in TITLES.items() if name not in hidden}
    rows = [{name: value for name, value in asdict(score).items() if name not in hidden} for score in scores]
    publish("controls", arguments.out, rows=rows, checks=control_checks(scores))
    for control in CONTROLS:
        along = [score for score in scores if score.control == control]
        panels = {
            title: {control: ([score.value for score in along], [getattr(score, name) for score in along])}
            for name, title in titles.items()
        }
        plot_panels(arguments.out / f"controls_{control}.png", panels, x_label=control)


def read_cases(arguments: argparse.Namespace) -> list[Case]:
    """Portraits with composed speech, and clips with their own."""
    cases = []
    if arguments.portraits:
        speech = compose_speech(arguments.speech, arguments.seconds)
        cases = [Case(path.stem, read_portrait(path), speech, np.empty(0)) for path in arguments.portraits]
    if arguments.clips:
        clips = read_clips(arguments.clips, arguments.only)
        cases += [
            Case(clip.name, portrait_from_pixels(clip.pixels), clip.waveform, clip.curves.mouth)
            for clip in clips
        ]
    return cases


if __name__ == "__main__":
    main()
