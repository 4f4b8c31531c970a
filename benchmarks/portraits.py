"""Many portraits speak for some seconds: opening of the mouth, cadence, blinks, brows, gaze, heads that nod
alike, and the background beyond the person.

portraits.py PORTRAITS [PORTRAITS/styles] --seconds 10
portraits.py PORTRAITS [PORTRAITS/styles] --no-draw      without what only pictures show
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from lib.command import add_model, add_speech, benchmark_parser
from lib.report import publish
from lib.speech import compose_speech
from lib.targets import portrait_checks
from portraits_table import PICTURES
from sonimate.errors import FaceTooSmall, NoFaceFound
from sonimate.evaluate.generation import generate_motion, mesh_codec
from sonimate.evaluate.portrait_score import measure_portrait, yaw_correlations
from sonimate.inputs import read_portrait
from sonimate.pipeline import SonicPipeline


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="folders of pictures")
    add_speech(parser, seconds=10.0)
    parser.add_argument("--size", type=int, default=512, help="longer side of the frames in px; default 512")
    parser.add_argument("--no-draw", action="store_true", help="measure the motion alone")
    add_model(parser)
    arguments = parser.parse_args(argv)

    sound = compose_speech(arguments.speech, arguments.seconds)
    pipeline = SonicPipeline.from_pretrained(arguments.model)
    pictures = [
        path
        for folder in arguments.folders
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in PICTURES
    ]
    scores, yaws = [], []
    for path in pictures:
        try:
            portrait = read_portrait(path, size=arguments.size)
        except (NoFaceFound, FaceTooSmall) as error:
            print(f"left out {path.name}: {error}")
            continue
        generated = generate_motion(pipeline, portrait, sound)
        drawn = [] if arguments.no_draw else mesh_codec(pipeline).render(generated.motion, generated.warp)
        scores.append(measure_portrait(path.stem, generated, list(drawn)))
        yaws.append(generated.curves.rotation[:, 1])
        print(
            f"{path.stem}: p95 {scores[-1].p95_mm:.1f} mm, background {scores[-1].background:.4f}", flush=True
        )
    yaw_r = yaw_correlations(yaws)
    publish(
        "portraits",
        arguments.out,
        rows=[asdict(score) for score in scores],
        summary={"portraits": len(scores), "yaw |r|, largest": max(map(abs, yaw_r))},
        checks=portrait_checks(scores, yaw_r),
    )


if __name__ == "__main__":
    main()
