"""`sonimate recipe`: from public sources to the bundled model, by one command."""

from __future__ import annotations

from argparse import Namespace
from importlib import import_module
from pathlib import Path

from sonimate.apps.arguments import REQUIRED_PATH, Subparsers, add_arguments, whole
from sonimate.apps.progress import Watch
from sonimate.errors import extra_needed

NEEDED = (
    ("prepare", "sonimate.footage.preparer"),
    ("train", "sonimate.speech.corpus"),
    ("train", "sonimate.train.run"),
)
"""Extras, and modules of the steps that import their packages."""


def add_parser(commands: Subparsers) -> None:
    """Add `recipe` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "recipe",
        help="make the bundled model again, from its sources",
        description="Fetch the public clips of cleared terms (or take FOOTAGE), make speech, prepare clips, "
        "list the data in OUT/DATA_CARD.md, compute features, and train the compact model in three stages: "
        "on synthetic speech alone, with real clips, and as a student that predicts in one call what "
        "guidance predicts in two. A stopped run continues. The model is OUT/student/model.",
    )
    add_arguments(
        parser,
        """
        FOOTAGE          folder of videos of talking people (default: the public clips that anybody may train
                         on, which are fetched)
        -o, --output OUT
                         folder for all results
        --config RECIPE  settings of training (default: %(default)s)
        --seed N         seed of training (default: %(default)s)
        --jobs N         number of processes that make speech (default: %(default)s)
        """,
        footage={"type": Path, "nargs": "?"},
        output=REQUIRED_PATH,
        config={"default": "compact"},
        seed={"type": whole(0, 2**31 - 1), "default": 0},
        jobs={"type": whole(1, 1024), "default": 1},
    )


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate recipe` command line. Raises SonimateError."""
    for extra, module in NEEDED:
        with extra_needed(extra):
            import_module(module)

    from sonimate.footage.public_clips import fetch_clips
    from sonimate.media.folders import locked
    from sonimate.train.stages import check_recipe, recipe_commands, run_commands

    check_recipe(args.footage, args.output, args.config)
    with locked(args.output):
        footage = args.footage or args.output / "clips"
        if args.footage is None:
            with Watch(args.started) as watch:
                fetch_clips(footage, progress=watch)
        run_commands(recipe_commands(footage, args.output, args.config, seed=args.seed, jobs=args.jobs))
    print(f"The model is {args.output / 'student' / 'model'}")
