"""`sonimate train`: recipe and data -> a model, on one process or, by `accelerate launch`, on many."""

from __future__ import annotations

import argparse
import os
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sonimate.apps.arguments import Subparsers
from sonimate.apps.progress import Watch
from sonimate.errors import ExtraMissing


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
    add(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="RUN",
        help="run folder; the model is in RUN/model",
    )
    add("--init", metavar="MODEL", help="model or run folder to start from; the full size needs one")
    add("--hold-out", metavar="SPEAKER,...", help="speakers that are not trained on, but validated on")
    add(
        "--set",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        dest="changes",
        help="settings that differ from the recipe, such as steps=260 temporal_audio=false",
    )
    add(
        "--show-path",
        action=ShowPath,
        metavar="NAME",
        help="print the path of a file that the package holds (compact, full; cpu2, fsdp, zero2 for "
        "accelerate launch --config_file) and exit",
    )


class ShowPath(argparse.Action):
    """Prints the path of a recipe and exits, as --help does."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        from sonimate.errors import FileMissing
        from sonimate.train.recipes import find_recipe

        try:
            print(find_recipe(str(values)))
        except FileMissing as error:
            parser.error(str(error))
        parser.exit()


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate train` command line. Raises SonimateError."""
    try:
        from sonimate.train.config import read_changes
        from sonimate.train.run import train
    except ModuleNotFoundError as error:
        raise ExtraMissing.of("train", error) from error

    changes = read_changes(args.changes)
    if args.hold_out is not None:
        changes["held_out"] = args.hold_out.split(",")
    first_process = os.environ.get("RANK", "0") == "0"  # as torchrun and accelerate launch set it
    with Watch(args.started, silent=not first_process) as watch:
        model = train(args.recipe, args.data, args.output, init=args.init, changes=changes, progress=watch)
    print(f"The model is {model}")
