"""Does a mouth open more, the more effort the voice takes? The same words whispered, softly, as spoken and
shouted, on some portraits.

effort.py examples/portraits/obama.jpg examples/portraits/mona_lisa.jpg
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lib.command import add_model, add_speech, benchmark_parser
from lib.report import Check, publish
from lib.speech import compose_speech
from lib.targets import MIN_CONTROL_GAIN
from lib.vocal_effort import efforts
from sonimate.evaluate.generation import generate_motion
from sonimate.inputs import read_portrait
from sonimate.pipeline import SonicPipeline


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("portraits", type=Path, nargs="+")
    add_speech(parser, seconds=10.0)
    add_model(parser)
    arguments = parser.parse_args(argv)

    pipeline = SonicPipeline.from_pretrained(arguments.model)
    portraits = {path.stem: read_portrait(path, size=512) for path in arguments.portraits}
    speech = compose_speech(arguments.speech, arguments.seconds)
    rows = []
    for name, sound in efforts(speech).items():
        of_portraits = {
            stem: float(np.percentile(generate_motion(pipeline, portrait, sound).shapes.opening, 95))
            for stem, portrait in portraits.items()
        }
        rows.append({"effort": name, "p95 mm": float(np.mean(list(of_portraits.values())))} | of_portraits)
        print(rows[-1], flush=True)
    p95 = {row["effort"]: row["p95 mm"] for row in rows}
    checks = [
        Check(f"p95 of opening, {more} over {less}", p95[more] / p95[less], low=MIN_CONTROL_GAIN)
        for more, less in (("spoken", "whispered"), ("shouted", "spoken"))
    ]
    publish("effort", arguments.out, rows=rows, checks=checks)


if __name__ == "__main__":
    main()
