"""`sonimate reproduce`: tables 1, 3 and 4 of the paper on any model and any folder of clips."""

from __future__ import annotations

import re
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonimate.apps.arguments import REQUIRED_PATH, Setting, Subparsers, add_arguments, whole
from sonimate.apps.progress import Watch
from sonimate.apps.streams import say
from sonimate.errors import ClipsSkipped, extra_needed

if TYPE_CHECKING:
    from sonimate.configs import SamplingOptions
    from sonimate.pipeline import SonicPipeline

SHARED = """
CLIPS             folder of real clips of talking people, with MANIFEST.tsv or without
-o, --output OUT  the folder to write; a stopped table goes on there when the command is repeated
--limit N         only the first N clips
"""
MODEL = """
--model MODEL     a bundled model's name, a folder, or OWNER/NAME on the hub (default: %(default)s)
--steps N         denoising steps (default: the model's)
--seed N          of the initial noise (default: %(default)s)
"""
LANDMARKS = """
--landmarks FOLDER
                  where tracked landmarks are kept (default: OUT/landmarks)
"""
MEASURING = """
--protocol NAME   as in `sonimate evaluate`: clips, seconds, frame rate, crop
--metrics NAME    only these
--cache FOLDER    where features of videos are kept (default: OUT/cache)
--jobs N          processes that measure (default: %(default)s)
"""
TRAINING = """
--data DATA       folder that `sonimate features` wrote from other sources
--recipe RECIPE   a YAML file, or a recipe of the package (default: %(default)s)
--seeds N         trainings of every variant (default: %(default)s)
--pieces N        most pieces of training of each, 500 steps a piece (default: %(default)s)
--set KEY=VALUE   settings of every piece that differ, such as steps=20
"""
TABLES = {
    "table1": (
        "all metrics, beside real video and two controls",
        "Animate the first frame of every clip by its sound, and measure the videos as `sonimate evaluate` "
        "does, beside the real clips, a frozen portrait, and the portrait moved by another clip's sound.",
        (SHARED, MODEL, MEASURING),
    ),
    "table3": (
        "ablations: parts of the model, prosody, borders of windows",
        "Train compact models with and without their parts, until the full one's lips follow the voice on "
        "clips of sources that DATA does not hold, and compare them there.",
        (SHARED, LANDMARKS, TRAINING),
    ),
    "table4": (
        "windows: shift, overlap, motion frames",
        "Animate every clip with each way to divide a video into windows, and measure lips, borders of "
        "windows, run time and operations.",
        (SHARED, LANDMARKS, MODEL),
    ),
}
"""By the name: the line of help in the list of tables, the description, and the arguments."""
SETTINGS: dict[str, Setting] = {
    "output": REQUIRED_PATH,
    "limit": whole(2, 100_000),
    "landmarks": Path,
    "model": {"default": "compact"},
    "steps": whole(1, 1000),
    "seed": {"type": whole(0, 2**31), "default": 0},
    "protocol": {},
    "metrics": {"nargs": "+"},
    "cache": Path,
    "jobs": {"type": whole(1, 1024), "default": 1},
    "data": REQUIRED_PATH,
    "recipe": {"default": "compact"},
    "seeds": {"type": whole(1, 100), "default": 3},
    "pieces": {"type": whole(1, 100), "default": 8},
    "set": {"nargs": "+", "default": [], "dest": "changes"},
}
"""By the names of arguments, of all tables."""


def add_parser(commands: Subparsers) -> None:
    """Add `reproduce` and its tables to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "reproduce",
        help="make the paper's tables",
        description="Tables of the paper on your clips and models. TABLE --help describes a table.",
    )
    tables = parser.add_subparsers(dest="table", metavar="TABLE", required=True)
    for name, (summary, description, parts) in TABLES.items():
        rows = "\n".join(part.strip() for part in parts)
        used = set(re.findall(r"--([a-z]+)", rows))
        add_arguments(
            tables.add_parser(name, help=summary, description=description),
            rows,
            clips=Path,
            **{option: setting for option, setting in SETTINGS.items() if option in used},
        )


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate reproduce` command line. Raises SonimateError."""
    from sonimate.media.folders import locked

    make = {"table1": _table1, "table3": _table3, "table4": _table4}[args.table]
    with locked(args.output), extra_needed("eval"), Watch(args.started) as watch:
        make(args, watch)


def _table1(args: Namespace, watch: Watch) -> None:
    from sonimate.evaluate.control_videos import make_videos
    from sonimate.evaluate.evaluation_report import write_evaluation
    from sonimate.evaluate.metric_table import all_metrics, metrics_named
    from sonimate.evaluate.protocol import read_protocol
    from sonimate.evaluate.suite import evaluate_folders, in_processes
    from sonimate.evaluate.video_pairs import Paired, find_videos
    from sonimate.evaluate.viewing import View

    protocol = read_protocol(args.protocol) if args.protocol else None
    view = protocol.view if protocol else View()
    metrics = metrics_named(args.metrics) if args.metrics else all_metrics()
    found = find_videos(args.clips)
    names = (protocol.draw(list(found)) if protocol else sorted(found))[: args.limit]
    real = {name: found[name] for name in names}
    pipeline, sampling, facts = _model(args)
    facts |= {"protocol": protocol.sha256 if protocol else "none", "clips": names}
    _claim(args.output, facts)
    row = Path(args.model).name
    videos, seconds = make_videos(
        pipeline, row, real, args.output, view=view, sampling=sampling, progress=watch
    )
    evaluation = evaluate_folders(
        {name: Paired(paths, ()) for name, paths in videos.items()},
        real,
        metrics,
        view=view,
        cache=(args.cache or args.output / "cache").absolute(),
        run=in_processes(args.jobs),
        asked_for=bool(args.metrics),
        progress=lambda done, total: watch("watch", done, total),
    )
    write_evaluation(args.output, evaluation, facts=facts, run_times={row: seconds}, videos=videos, view=view)
    print(f"{args.output / 'report.html'} and report.md have the table")
    for name, reason in evaluation.absent.items():
        say(f"sonimate: {name} is absent: {reason}")
    if evaluation.skipped:
        listed = "\n".join(f"  {name}: {reason}" for name, reason in evaluation.skipped.items())
        raise ClipsSkipped(f"The figures are written without {len(evaluation.skipped)} videos:\n{listed}")


def _table3(args: Namespace, watch: Watch) -> None:
    with extra_needed("train"):
        from sonimate.train.ablations import (
            PIECE,
            AblationPlan,
            AblationRun,
            ablation_clips,
            ablation_figures,
            ablation_report,
        )
        from sonimate.train.config import read_changes, read_recipe
    from sonimate.configs import COMPACT
    from sonimate.face.mesh import FaceMesh
    from sonimate.features.motion_samples import load_samples
    from sonimate.footage.clip_reading import read_usable_clips, tracked, unseen_names
    from sonimate.media.folders import fingerprint

    changes = read_changes(args.changes)
    read_recipe(args.recipe, **{**PIECE, **changes})
    samples = load_samples(args.data / "samples")
    seen = {sample.clip_id.source for sample in samples if sample.kind == "real"}
    names = unseen_names(args.clips, seen)[: args.limit]
    settings = {**PIECE, **changes}
    facts = {"recipe": str(args.recipe), "settings": settings, "clips": names}
    _claim(args.output, facts | {"data": fingerprint(*(str(sample.clip_id) for sample in samples))})
    kept = args.landmarks or args.output / "landmarks"
    clips = read_usable_clips(args.clips, names, kept)
    mesh = FaceMesh(num_threads=1)
    landmarks = [tracked(args.clips / clip.name, mesh, kept) for clip in clips]
    held_out = ablation_clips(clips, landmarks)
    seeds = tuple(range(args.seeds))
    plan = AblationPlan(data=args.data, recipe=args.recipe, changes=changes, seeds=seeds, pieces=args.pieces)
    rows, pieces = AblationRun(plan, held_out, args.output, watch).rows()
    real = {
        one.clip.name: ablation_figures(seen, one, COMPACT.window_frames)
        for one, seen in zip(held_out, landmarks, strict=True)
    }
    said = [f"{len(clips)} clips, {len(seeds)} seeds, {pieces} pieces of {settings['steps']} steps"]
    _write_table(args.output / "table3.md", ablation_report(rows, real, said))


def _table4(args: Namespace, watch: Watch) -> None:
    from sonimate.evaluate.window_strategies import measure_strategies, strategies_report
    from sonimate.footage.clip_reading import read_usable_clips
    from sonimate.footage.sources import find_footage

    names = [path.relative_to(args.clips).as_posix() for path in find_footage(args.clips)][: args.limit]
    pipeline, sampling, facts = _model(args)
    _claim(args.output, facts | {"clips": names})
    clips = read_usable_clips(args.clips, names, args.landmarks or args.output / "landmarks")
    rows = measure_strategies(pipeline, clips, args.output, sampling=sampling, progress=watch)
    said = [f"{len(clips)} clips", f"{sampling.steps} steps", f"windows of {sampling.window_frames} latents"]
    _write_table(args.output / "table4.md", strategies_report(rows, [f"model {args.model}", *said]))


def _model(args: Namespace) -> tuple[SonicPipeline, SamplingOptions, dict[str, Any]]:
    """The model, how it samples, and what identifies both."""
    from sonimate.checkpoints.registry import model_folder
    from sonimate.media.folders import files_fingerprint
    from sonimate.pipeline import SonicPipeline

    pipeline = SonicPipeline.from_pretrained(args.model)
    sampling = replace(pipeline.sampling, seed=args.seed, steps=args.steps or pipeline.sampling.steps)
    weights = files_fingerprint(model_folder(args.model), "**/*.safetensors")
    return pipeline, sampling, {"model": weights, "steps": sampling.steps, "seed": args.seed}


def _claim(out: Path, facts: dict[str, Any]) -> None:
    """Make OUT belong to this table. Raises FolderOfAnotherRun."""
    from sonimate.media.folders import FolderRecord

    record = FolderRecord(out / "table.json")
    if record.read() is None:
        record.write(facts)
    record.check(facts)


def _write_table(path: Path, text: str) -> None:
    from sonimate.media.files import replacing, write_errors

    with replacing(path) as partial, write_errors(path):
        partial.write_text(text, encoding="utf-8")
    print(text)
    print(f"{path} has the table")
