"""Clips that no weight was fitted to: each one's first frame, animated by its sound, against the clip itself.
Figures are means over sources, so that a source of many clips counts no more than another, with 95 %
intervals.

held_out.py CLIPS --sources OpenTalker+SadTalker Hangz-nju-cuhk+Talking-Face_PC-AVS --lags CLIPS/SYNC.tsv
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from lib.clips import read_clips, read_lags, source_of
from lib.command import add_model, benchmark_parser
from lib.report import publish
from lib.targets import held_out_checks
from sonimate.errors import OptionOutOfRange
from sonimate.evaluate.held_out import score_held_out
from sonimate.footage.sources import find_footage
from sonimate.pipeline import SonicPipeline


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("clips", type=Path, help="folder of real clips; a MANIFEST.tsv may name speakers")
    parser.add_argument(
        "--sources", nargs="+", default=[], help="folders of CLIPS, or beginnings of file names before __"
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="CLIP", help="names of the clips to use")
    parser.add_argument("--lags", type=Path, help="table of how late each real mouth is: file, mouth_late_ms")
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2])
    add_model(parser)
    arguments = parser.parse_args(argv)

    names = [path.relative_to(arguments.clips).as_posix() for path in find_footage(arguments.clips)]
    chosen = [
        name
        for name in names
        if (not arguments.sources or source_of(name) in arguments.sources)
        and (not arguments.only or name in arguments.only)
    ]
    if not chosen:
        sources = ", ".join(sorted({source_of(name) for name in names}))
        raise OptionOutOfRange(f"No clip was chosen. {arguments.clips} has the sources {sources}.")
    late_ms = read_lags(arguments.lags) if arguments.lags else {}
    pipeline = SonicPipeline.from_pretrained(arguments.model)
    sources = {name: source_of(name) for name in chosen}
    clips = read_clips(arguments.clips, chosen)
    scores = []
    for score in score_held_out(pipeline, clips, arguments.seed, late_ms=late_ms, sources=sources):
        print(
            f"{score.clip}, seed {score.seed}: r {score.opening_r:.2f}, width {score.width_r:.2f}", flush=True
        )
        scores.append(score)
    checks, summary = held_out_checks(scores)
    for source in sorted(set(sources.values())):
        _, of_source = held_out_checks([score for score in scores if score.source == source])
        shown = ("opening_r", "width_r", "lag_ms", "opening_amplitude", "width_amplitude", "dimensions_ratio")
        summary |= {f"{source}, {name}": of_source[name] for name in shown}
    for seed in arguments.seed:
        _, of_seed = held_out_checks([score for score in scores if score.seed == seed])
        summary[f"seed {seed}, opening_r"] = of_seed["opening_r"]
    publish(
        "held_out", arguments.out, rows=[asdict(score) for score in scores], summary=summary, checks=checks
    )


if __name__ == "__main__":
    main()
