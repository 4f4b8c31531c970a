"""`sonimate train`: recipe and data -> a model, on one process or, by `accelerate launch`, on many."""

from __future__ import annotations

import argparse
import sys
from argparse import Namespace
from pathlib import Path
from typing import NoReturn

from sonimate.apps.arguments import Subparsers
from sonimate.apps.progress import Watch
from sonimate.errors import FileMissing, extra_needed


def add_parser(commands: Subparsers) -> None:
    """Add `train` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "train",
        help="train a model",
        description="Train a model by a recipe. A stopped run, when repeated, continues from its checkpoint.",
    )
    add = parser.add_argument
    add("recipe", metavar="RECIPE", help='a YAML file, or "compact" or "full", which the package holds')
    add("--data", type=Path, required=True, metavar="DATA", help="folder that `sonimate features` wrote")
    run = "run folder; the model is in RUN/model"
    add("-o", "--output", type=Path, required=True, metavar="RUN", help=run)
    add("--init", metavar="MODEL", help="model or run folder to start from; the full size needs one")
    add("--hold-out", metavar="SPEAKER,...", help="speakers that are not trained on, but validated on")
    changes = "settings that differ from the recipe, such as steps=260 temporal_audio=false"
    add("--set", nargs="+", default=[], metavar="KEY=VALUE", dest="changes", help=changes)
    shown = (
        "print the path of a file that the package holds (compact, full; cpu2, fsdp, zero2 for accelerate "
        "launch --config_file) and exit"
    )
    add("--show-path", type=show_path, metavar="NAME", help=shown)


def show_path(name: str) -> NoReturn:
    """Print the path of a recipe and exit, as --help does."""
    from sonimate.train.recipes import find_recipe

    try:
        print(find_recipe(name))
    except FileMissing as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    sys.exit(0)


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate train` command line. Raises SonimateError."""
    with extra_needed("train"):
        from sonimate.train.config import read_changes
        from sonimate.train.run import is_first_process, train

    changes = read_changes(args.changes)
    if args.hold_out is not None:
        changes["held_out"] = args.hold_out.split(",")
    with Watch(args.started, silent=not is_first_process()) as watch:
        model = train(args.recipe, args.data, args.output, init=args.init, changes=changes, progress=watch)
    print(f"The model is {model}")
