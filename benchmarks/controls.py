"""Curves along --head-motion, --expression and --audio-guidance, read from the generated motion.

controls.py examples/portraits/obama.jpg                     with example speech
controls.py examples/portraits/obama.jpg --clips CLIPS       and real clips, with lip correlation against them
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np

from sonimate.evaluate.controls import CONTROLS, Case, control_checks, read_control
from sonimate.evaluate.lip_sync import portrait_of, read_takes
from sonimate.evaluate.plots import plot_panels
from sonimate.evaluate.sounds import compose_speech
from sonimate.evaluate.tables import publish
from sonimate.inputs import read_portrait
from sonimate.pipeline import SonicPipeline

EXAMPLES = Path(__file__).parents[1] / "examples"
BUCKETS = [0.0, 16.0, 32.0, 64.0, 96.0, 128.0]
TITLES = {
    "head_degrees": "Head rotation, degrees",
    "expression": "Expression, cm",
    "mouth": "Mouth opening, std",
    "r_default": "r with the automatic setting",
    "r_real": "r with the real mouth",
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("portraits", type=Path, nargs="*")
    parser.add_argument("--speech", type=Path, nargs="+", default=sorted((EXAMPLES / "speech").glob("*.wav")))
    parser.add_argument("--seconds", type=float, default=8.0, help="of speech for each portrait")
    parser.add_argument("--clips", type=Path, help="folder of real clips, animated by their own sound")
    parser.add_argument("--only", nargs="+", default=[], metavar="CLIP", help="names of the clips to use")
    parser.add_argument("--head-motion", nargs="+", type=float, default=BUCKETS)
    parser.add_argument("--expression", nargs="+", type=float, default=BUCKETS)
    parser.add_argument("--audio-guidance", nargs="+", type=float, default=[0.0, 1.0, 2.0, 3.0, 4.0])
    parser.add_argument("--seeds", type=int, default=2, help="runs at each value")
    parser.add_argument("--model", default="compact")
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args(argv)

    pipeline = SonicPipeline.from_pretrained(arguments.model)
    cases = read_cases(arguments)
    if not cases:
        parser.error("give portraits, --clips, or both")
    seeds = range(arguments.seeds)
    readings = [
        reading
        for control in CONTROLS
        for reading in read_control(pipeline, cases, control, getattr(arguments, control), seeds)
    ]
    hidden = set() if arguments.clips else {"r_real"}
    titles = {name: title for name, title in TITLES.items() if name not in hidden}
    rows = [
        {name: value for name, value in asdict(reading).items() if name not in hidden} for reading in readings
    ]
    publish("controls", arguments.out, rows=rows, checks=control_checks(readings))
    for control in CONTROLS:
        along = [reading for reading in readings if reading.control == control]
        panels = {
            title: {
                control: ([reading.value for reading in along], [getattr(reading, name) for reading in along])
            }
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
        takes = read_takes(arguments.clips, arguments.only)
        cases += [
            Case(take.name, portrait_of(take.pixels), take.waveform, take.curves.mouth) for take in takes
        ]
    return cases


if __name__ == "__main__":
    main()
