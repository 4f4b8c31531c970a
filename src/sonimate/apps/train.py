"""`sonimate train`: recipe and data -> a model, on one process or, by `accelerate launch`, on many."""

from __future__ import annotations

import argparse
import sys
from argparse import Namespace
from typing import NoReturn

from sonimate.apps.arguments import REQUIRED_PATH, Subparsers, add_arguments
from sonimate.apps.progress import Watch
from sonimate.errors import FileMissing, extra_needed


def add_parser(commands: Subparsers) -> None:
    """Add `train` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "train",
        help="train a model",
        description="Train a model by a recipe. A stopped run, when repeated, continues from its checkpoint.",
    )
    add_arguments(
        parser,
        """
        RECIPE       a YAML file, or "compact" or "full", which the package holds
        --data DATA  folder that `sonimate features` wrote
        -o, --output RUN
                     run folder; the model is in RUN/model
        --init MODEL
                     model or run folder to start from; the full size needs one
        --hold-out SPEAKER,...
                     speakers that are not trained on, but validated on
        --set KEY=VALUE
                     settings that differ from the recipe, such as steps=260 temporal_audio=false
        --show-path NAME
                     print the path of a file that the package holds (compact, full; cpu2, fsdp, zero2 for
                     accelerate launch --config_file) and exit
        """,
        data=REQUIRED_PATH,
        output=REQUIRED_PATH,
        set={"nargs": "+", "default": [], "dest": "changes"},
        show_path=show_path,
    )


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
