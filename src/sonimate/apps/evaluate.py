"""`sonimate evaluate`: folders of videos of any system against real clips -> a report."""

from __future__ import annotations

import csv
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sonimate.apps.arguments import REQUIRED_PATH, Subparsers, add_arguments, whole
from sonimate.apps.progress import Watch
from sonimate.apps.streams import say
from sonimate.errors import ClipsSkipped, FileMissing, InvalidManifest, OptionOutOfRange, extra_needed

if TYPE_CHECKING:
    from sonimate.evaluate.suite import Runner


def add_parser(commands: Subparsers) -> None:
    """Add `evaluate` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "evaluate",
        help="measure videos against real clips",
        description="Compare folders of videos of any system with the real clips that they imitate, by "
        "name, and write REPORT/report.md, .csv, .json and .html. A stopped run goes on when it is repeated. "
        "Exit code 1: the figures are written, but videos were skipped that could not be measured.",
    )
    add_arguments(
        parser,
        """
        RESULTS           folders of videos, each of one system: a row of the table
        --reference REAL  folder of the real clips
        -o, --output REPORT
                          the folder to write
        --protocol NAME   paper (HDTF), paper-celebv-hq, or a YAML file (default: all clips, whole, 25 fps)
        --metrics NAME    only these; an error where a network file of theirs is missing
        --run-times TIMES.csv
                          columns folder and seconds: how long each system took
        --cache FOLDER    where features of videos are kept (default: REPORT/cache)
        --jobs N          processes (default: %(default)s)
        --ray ADDRESS     see videos on this Ray cluster, or "local"; all folders must be on shared storage
        """,
        results={"type": Path, "nargs": "+"},
        reference=REQUIRED_PATH,
        output=REQUIRED_PATH,
        protocol={},
        metrics={"nargs": "+"},
        run_times={"type": Path},
        cache={"type": Path},
        jobs={"type": whole(1, 1024), "default": 1},
    )


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate evaluate` command line. Raises SonimateError."""
    from sonimate.evaluate.evaluation_report import write_evaluation
    from sonimate.evaluate.metric_table import all_metrics, metrics_named
    from sonimate.evaluate.protocol import read_protocol
    from sonimate.evaluate.suite import REAL, evaluate_folders
    from sonimate.evaluate.video_pairs import find_videos, pair_videos
    from sonimate.evaluate.viewing import View

    protocol = read_protocol(args.protocol) if args.protocol else None
    view = protocol.view if protocol else View()
    metrics = metrics_named(args.metrics) if args.metrics else all_metrics()
    real = find_videos(args.reference)
    drawn = protocol.draw(list(real)) if protocol else list(real)
    folders = {
        name: pair_videos(find_videos(folder), drawn)
        for name, folder in zip(_names(args.results, REAL), args.results, strict=True)
    }
    for name, paired in folders.items():
        if not paired.generated:
            raise FileMissing(
                f"No video of {name} has the name of a clip of {args.reference}. Name them alike."
            )
    run_times = _run_times(args.run_times) if args.run_times else {}
    with Watch(args.started) as watch:
        evaluation = evaluate_folders(
            folders,
            {clip: real[clip] for clip in drawn},
            metrics,
            view=view,
            cache=(args.cache or args.output / "cache").absolute(),
            run=_runner(args),
            asked_for=bool(args.metrics),
            progress=lambda done, total: watch("watch", done, total),
        )
    facts = {
        "protocol": f"{protocol.name}, SHA-256 {protocol.sha256}" if protocol else "none: all clips",
        "view": f"{view.fps:g} fps, crop {view.crop}, size {view.size_px or 'own'}, "
        f"{f'{view.seconds:g} s' if view.seconds else 'whole length'}",
        "clips drawn": ", ".join(drawn),
    }
    videos = {name: paired.generated for name, paired in folders.items()}
    write_evaluation(args.output, evaluation, facts=facts, run_times=run_times, videos=videos, view=view)
    print(f"{args.output / 'report.html'} and report.md have the figures")
    for line in evaluation.absences:
        say(f"sonimate: absent: {line}")
    if evaluation.skipped:
        listed = "\n".join(f"  {name}: {reason}" for name, reason in evaluation.skipped.items())
        raise ClipsSkipped(f"The figures are written without {len(evaluation.skipped)} videos:\n{listed}")


def _runner(args: Namespace) -> Runner:
    from sonimate.evaluate.suite import in_processes

    if not args.ray:
        return in_processes(args.jobs)
    with extra_needed("ray"):
        from sonimate.distributed.evaluate_ray import watch_on_ray
    from functools import partial

    return partial(watch_on_ray, address=args.ray, workers=args.jobs if args.jobs > 1 else None)


def _names(folders: Sequence[Path], reserved: str) -> list[str]:
    """The folders' own names, or their paths where these are not enough."""
    names = [folder.resolve().name for folder in folders]
    if len({*names, reserved}) <= len(names):
        names = [str(folder) for folder in folders]
    if len(set(names)) < len(names):
        raise OptionOutOfRange("The same folder is given twice. Give each once.")
    return names


def _run_times(path: Path) -> dict[str, float]:
    from sonimate.media.files import require_file

    with require_file(path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    try:
        return {row["folder"]: float(row["seconds"]) for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidManifest(f"{path} needs the columns folder and seconds.") from error
