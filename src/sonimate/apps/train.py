"""`sonimate train`: recipe and data -> a model, on one process or, by `accelerate launch`, on many."""

from __future__ import annotations

import argparse
from argparse import Namespace
from pathlib import Path
from typing import Any

from sonimate.errors import ExtraMissing, OptionOutOfRange


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `train` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "train",
        help="train a model",
        description="Train by a recipe of configs/. A run that was stopped goes on from its last checkpoint.",
    )
    add = parser.add_argument
    add("config", type=Path, metavar="CONFIG.yaml", help="the recipe")
    add(
        "--data",
        type=Path,
        required=True,
        metavar="DATA",
        help="folder of python -m sonimate.data.compact or sonimate.data.latents",
    )
    add("-o", "--out", type=Path, required=True, metavar="RUN", help="run folder; the model is in RUN/model")
    add("--init", metavar="MODEL", help="model or run folder to start from; the full size needs one")
    add("--hold-out", metavar="SPEAKER,...", help="speakers to leave out of training and to validate on")
    add(
        "--set",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        dest="changes",
        help="settings that differ from the recipe, such as steps=260 temporal_audio=false",
    )


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate train` command line. Raises SonimateError."""
    try:
        import yaml

        from sonimate.train.run import train
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith("sonimate"):
            raise
        raise ExtraMissing(
            f"The package {error.name} is not installed. Install it with: pip install 'sonimate[train]'"
        ) from error

    changes: dict[str, Any] = {}
    for change in args.changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise OptionOutOfRange(f"--set {change!r} is not KEY=VALUE.")
        changes[key] = yaml.safe_load(value)
    if args.hold_out:
        changes["held_out"] = tuple(args.hold_out.split(","))
    model = train(args.config, args.data, args.out, init=args.init, changes=changes)
    print(f"The model is {model}")
