"""Clips that no weight was fitted to: each one's first frame, animated by its sound, against the clip itself,
read from the motion without drawing it.

Every clip is first re-timed by the lag that a reader of mouths finds, before anything is generated. A clip
whose mouth does not follow its sound is measured, listed and in no mean; lags are means over clips whose own
lag is certain. Figures are means over sources, so that a source of many clips counts no more than another,
with 95 % intervals.

held_out.py CLIPS --without github:rizkiarm/LipNet github:osalinasv/lipnet
held_out.py CLIPS --sources github:rizkiarm/LipNet github:osalinasv/lipnet --by speaker --folds FOLDS.json
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np

from lib.clips import add_landmarks, read_folds
from lib.command import add_model, benchmark_parser
from lib.report import publish
from lib.targets import held_out_checks
from sonimate.errors import OptionOutOfRange
from sonimate.evaluate.held_out import HeldOutScore, score_held_out
from sonimate.footage.clip_reading import beginning, read_retimed_clips
from sonimate.footage.retiming import KEPT
from sonimate.footage.sources import find_footage, read_collections, read_speakers
from sonimate.pipeline import SonicPipeline

SHOWN = (
    "opening_r",
    "opening_r_led",
    "width_r",
    "lag_ms",
    "delay_ms",
    "opening_amplitude",
    "width_amplitude",
    "dimensions_ratio",
)

REAL = ("real_band_share", "real_brows_mm", "real_gaze_mm", "real_p95_mm", "real_cadence")
"""What portraits without a clip of their own are compared with."""


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument(
        "clips", type=Path, help="folder of real clips; a MANIFEST.tsv may name their sources"
    )
    add_choice(parser)
    parser.add_argument("--by", choices=("source", "speaker"), default="source", help="means are over these")
    parser.add_argument("--longest", type=float, default=10.0, help="seconds of each clip; default 10")
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2])
    add_landmarks(parser)
    models = parser.add_mutually_exclusive_group()
    add_model(models)
    models.add_argument("--folds", type=Path, help="as `sonimate folds` writes it: a model for each clip")
    arguments = parser.parse_args(argv)

    names = choose(arguments)
    model_for = dict.fromkeys(names, arguments.model)
    if arguments.folds:
        folds = read_folds(arguments.folds, read_speakers(arguments.clips))
        model_for = {name: fold.model for fold in folds for name in fold.clips if name in names}
        names = sorted(model_for)
    load = cache(SonicPipeline.from_pretrained)
    clips = [
        beginning(clip, arguments.longest)
        for clip in read_retimed_clips(arguments.clips, names, arguments.landmarks)
    ]
    groups = read_collections(arguments.clips, names)
    if arguments.by == "speaker":
        groups = {clip.name: clip.speaker for clip in clips}
    scores = list(
        shown(score_held_out(lambda clip: load(model_for[clip.name]), clips, arguments.seed, groups))
    )
    report(arguments.out, scores)


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The options that choose clips."""
    parser.add_argument("--sources", nargs="+", default=[], help="only clips of these sources")
    parser.add_argument("--without", nargs="+", default=[], help="no clips of these sources")
    parser.add_argument("--only", nargs="+", default=[], metavar="CLIP", help="names of the clips to use")


def choose(arguments: argparse.Namespace) -> list[str]:
    """Names of the clips that the options choose. Raises OptionOutOfRange where there is none."""
    folder: Path = arguments.clips
    names = [path.relative_to(folder).as_posix() for path in find_footage(folder)]
    sources = read_collections(folder, names)
    chosen = [
        name
        for name in names
        if (not arguments.sources or sources[name] in arguments.sources)
        and sources[name] not in arguments.without
        and (not arguments.only or name in arguments.only)
    ]
    if not chosen:
        known = ", ".join(sorted(set(sources.values())))
        raise OptionOutOfRange(f"No clip was chosen. {folder} has the sources {known}.")
    return chosen


def shown(scores: Iterator[HeldOutScore]) -> Iterator[HeldOutScore]:
    for score in scores:
        print(
            f"{score.clip}, seed {score.seed}: r {score.opening_r:.2f}, width {score.width_r:.2f}, "
            f"lag {score.lag_ms:+.0f} ms (raw {score.raw_lag_ms:+.0f}; {score.retimed_by})",
            flush=True,
        )
        yield score


def report(out: Path, scores: Sequence[HeldOutScore]) -> Path:
    """Publish the scores: means over the groups, each group, each seed, each way of re-timing.

    Raises OptionOutOfRange where no clip's mouth follows its sound.
    """
    known = [score for score in scores if score.retimed_by != KEPT]
    if not known:
        raise OptionOutOfRange("No mouth of these clips follows its sound. Give clips of speakers in sync.")
    checks, summary = held_out_checks(known)
    parts: dict[str, Callable[[HeldOutScore], object]] = {
        "{}": lambda score: score.group,
        "seed {}": lambda score: score.seed,
    }
    for text, key in parts.items():
        for part in sorted({key(score) for score in known}, key=str):
            of_part = [score for score in known if key(score) == part]
            summary |= part_summary(text.format(part), of_part)
    for way in sorted({score.retimed_by for score in scores}):
        summary |= part_summary(way, [score for score in scores if score.retimed_by == way])
    for field in REAL:
        values = {score.clip: getattr(score, field) for score in scores}
        summary[f"{field}, median of {len(values)} real clips"] = f"{np.median(list(values.values())):.3f}"
    rows = [asdict(score) for score in scores]
    return publish("held_out", out, rows=rows, summary=summary, checks=checks)


def part_summary(name: str, scores: Sequence[HeldOutScore]) -> dict[str, str]:
    """The main figures of some of the scores, as text."""
    _, texts = held_out_checks(scores)
    clips = len({score.clip for score in scores})
    return {f"{name} ({clips} clips), {field}": texts[field] for field in SHOWN}


if __name__ == "__main__":
    main()
