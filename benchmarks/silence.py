"""Does the mouth stay closed without a voice, and close in the pauses of speech? Silence, room tone, noise,
chords and a melody, all synthesised in another way than what the model learned from, and music from files;
then phrases of recordings with a second of silence after each, and the same recordings sung and whispered.

silence.py examples/portraits/obama.jpg examples/portraits/mona_lisa.jpg --music MUSIC/*.wav
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lib.command import add_model, add_speech, benchmark_parser
from lib.report import Check, publish
from lib.revoice import sung
from lib.sounds import music_from, speech_with_pauses, voiceless
from lib.targets import LEAST_OF_SPOKEN, MAX_CLOSING_SECONDS, MUSIC_OPEN_SHARE, SILENT_OPEN_SHARE
from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.evaluate.generation import generate_motion
from sonimate.evaluate.statistics import closing_seconds, open_share
from sonimate.inputs import read_portrait
from sonimate.media.audio import read_audio
from sonimate.pipeline import SonicPipeline
from sonimate.speech.effort import whisper
from sonimate.types import Waveform


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("portraits", type=Path, nargs="+")
    parser.add_argument("--music", type=Path, nargs="*", default=[], help="files of music without a voice")
    add_speech(parser, seconds=10.0)
    add_model(parser)
    arguments = parser.parse_args(argv)

    pipeline = SonicPipeline.from_pretrained(arguments.model)
    portraits = {path.stem: read_portrait(path, size=512) for path in arguments.portraits}
    rows, checks = [], []
    sounds, music = voiceless(arguments.seconds), music_from(arguments.music, arguments.seconds)
    for name, sound in (sounds | music).items():
        openings = [
            generate_motion(pipeline, portrait, sound).shapes.opening for portrait in portraits.values()
        ]
        shares = [open_share(opening) for opening in openings]
        largest = float(max(opening.max() for opening in openings))
        row = {"sound": name, "over 3 mm": float(np.mean(shares)), "largest mm": largest}
        rows.append(row | dict(zip(portraits, shares, strict=True)))
        print(rows[-1], flush=True)
        limit = MUSIC_OPEN_SHARE if name in ("chords", "melody", *music) else SILENT_OPEN_SHARE
        checks.append(Check(f"{name}, share of time over 3 mm", row["over 3 mm"], high=limit))
    for path in arguments.speech:
        samples = read_audio(path).samples[: round(arguments.seconds * SAMPLE_RATE_HZ)]
        spoken, rng = Waveform(samples, SAMPLE_RATE_HZ), np.random.default_rng(0)
        voices = {
            "spoken": spoken,
            "sung": sung(spoken, rng, 1.5),
            "whispered": Waveform(whisper(samples, rng), SAMPLE_RATE_HZ),
        }
        moves: dict[str, float] = {}
        for name, sound in voices.items():
            openings = [generate_motion(pipeline, each, sound).shapes.opening for each in portraits.values()]
            moves[name] = float(np.mean([opening.std() for opening in openings]))
        print(path.stem, moves, flush=True)
        for name in ("sung", "whispered"):
            share = moves[name] / moves["spoken"]
            checks.append(Check(f"{path.stem} {name}, opening sd against spoken", share, low=LEAST_OF_SPOKEN))
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
