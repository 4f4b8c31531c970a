"""`sonimate train`: recipe and data -> a model, on one process or, by `accelerate launch`, on many."""

from __future__ import annotations

import argparse
import os
from argparse import Namespace
from pathlib import Path

from sonimate.apps.progress import Watch
from sonimate.errors import ExtraMissing


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
        help="folder of python -m sonimate.features or sonimate.features.latents",
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
        from sonimate.train.config import read_changes
        from sonimate.train.run import train
    except ModuleNotFoundError as error:
        raise ExtraMissing.of("train", error) from error

    changes = read_changes(args.changes)
    if args.hold_out is not None:
        changes["held_out"] = args.hold_out.split(",")
    first_process = os.environ.get("RANK", "0") == "0"  # as torchrun and accelerate launch set it
    with Watch(args.started, silent=not first_process) as watch:
        model = train(args.config, args.data, args.out, init=args.init, changes=changes, progress=watch)
    print(f"The model is {model}")
