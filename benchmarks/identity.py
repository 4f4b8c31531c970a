"""Distance of dlib's face descriptors between each portrait and the frames of its video (every fifth).

identity.py examples/portraits/*.jpg
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lib import targets
from lib.command import add_model, add_speech, benchmark_parser
from lib.report import Check, publish
from lib.speech import compose_speech
from sonimate.evaluate.identity import FaceIdentity
from sonimate.inputs import DEFAULT_SIZE_PX, read_portrait
from sonimate.media.video import read_frames
from sonimate.media.wav import write_wav
from sonimate.pipeline import SonicPipeline

EVERY = 5


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("portraits", type=Path, nargs="+")
    add_speech(parser, seconds=10.0)
    parser.add_argument("--size", type=int, default=DEFAULT_SIZE_PX, help="longer side of the video in px")
    add_model(parser)
    arguments = parser.parse_args(argv)

    pipeline, identity = SonicPipeline.from_pretrained(arguments.model), FaceIdentity()
    folder = arguments.out / "identity"
    folder.mkdir(parents=True, exist_ok=True)
    sound = write_wav(folder / "speech.wav", compose_speech(arguments.speech, arguments.seconds))
    rows = []
    for path in arguments.portraits:
        portrait = read_portrait(path, size=arguments.size)
        video = pipeline.animate(path, sound, size=arguments.size).save(folder / f"{path.stem}.mp4")
        person = identity(portrait.pixels, portrait.face)
        distances = [
            float(np.linalg.norm(identity(frame, portrait.face) - person))
            for index, frame in enumerate(read_frames(video))
            if index % EVERY == 0
        ]
        rows.append(
            {
                "portrait": path.stem,
                "frames": len(distances),
                "mean": float(np.mean(distances)),
                "worst": max(distances),
                "worst_at_seconds": EVERY * int(np.argmax(distances)) / 25,
            }
        )
        print(f"{path.stem}: mean {rows[-1]['mean']:.3f}, worst {rows[-1]['worst']:.3f}", flush=True)
    means, worst = [row["mean"] for row in rows], [row["worst"] for row in rows]
    checks = [
        Check("highest mean distance", max(means), high=targets.MAX_MEAN_IDENTITY_DISTANCE),
        Check("worst distance of a frame", max(worst), high=targets.MAX_WORST_IDENTITY_DISTANCE),
    ]
    publish(
        "identity",
        arguments.out,
        rows=rows,
        summary={"mean over portraits": float(np.mean(means))},
        checks=checks,
    )


if __name__ == "__main__":
    main()
