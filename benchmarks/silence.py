"""Does the mouth stay closed without a voice, and close in the pauses of speech? Silence, room tone, noise,
chords and a melody, all synthesised; then phrases of recordings with a second of silence after each.

silence.py examples/portraits/obama.jpg examples/portraits/mona_lisa.jpg
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lib.command import add_model, add_speech, benchmark_parser
from lib.report import Check, publish
from lib.sounds import speech_with_pauses, voiceless
from lib.targets import MAX_CLOSING_SECONDS, MUSIC_OPEN_SHARE, SILENT_OPEN_SHARE
from sonimate.evaluate.generation import generate_motion
from sonimate.evaluate.statistics import closing_seconds, open_share
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
    rows, checks = [], []
    for name, sound in voiceless(arguments.seconds).items():
        openings = [
            generate_motion(pipeline, portrait, sound).shapes.opening for portrait in portraits.values()
        ]
        shares = [open_share(opening) for opening in openings]
        largest = float(max(opening.max() for opening in openings))
        row = {"sound": name, "over 3 mm": float(np.mean(shares)), "largest mm": largest}
        rows.append(row | dict(zip(portraits, shares, strict=True)))
        print(rows[-1], flush=True)
        limit = MUSIC_OPEN_SHARE if name in ("chords", "melody") else SILENT_OPEN_SHARE
        checks.append(Check(f"{name}, share of time over 3 mm", row["over 3 mm"], high=limit))
    speech, pauses = speech_with_pauses(arguments.speech)
    closing = [
        seconds
        for portrait in portraits.values()
        for seconds in closing_seconds(generate_motion(pipeline, portrait, speech).shapes.opening, pauses)
    ]
    checks.append(Check("seconds to close in a pause, longest", max(closing), high=MAX_CLOSING_SECONDS))
    late = float(np.mean([seconds > MAX_CLOSING_SECONDS for seconds in closing]))
    summary = {
        "pauses": len(closing),
        "seconds to close, median": float(np.median(closing)),
        "share of pauses that close late": late,
    }
    publish("silence", arguments.out, rows=rows, summary=summary, checks=checks)


if __name__ == "__main__":
    main()
