"""`sonimate folds`: cross-validation of the compact model over groups of speakers."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from sonimate.apps.arguments import Subparsers, add_settings, whole
from sonimate.errors import extra_needed

STAGES = ("real", "student")


def add_parser(commands: Subparsers) -> None:
    """Add `folds` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "folds",
        help="cross-validate the compact model over speakers",
        description="Divide the speakers of DATA into folds and train a model for each fold, without its "
        "speakers, from a run that saw synthetic speech only. OUT/STAGE.json lists the models and their "
        "held-out clips, for benchmarks/lip_sync.py --folds. A stopped run continues.",
    )
    add = parser.add_argument
    add("recipe", metavar="RECIPE", help='a YAML file, or "compact", which the package holds')
    add("--data", type=Path, required=True, metavar="DATA", help="folder that `sonimate features` wrote")
    add("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for all runs")
    add("--init", required=True, metavar="RUN", help="model or run folder that has seen none of the speakers")
    add_settings(
        parser,
        ("--folds", int, 4, "N", "number of folds"),
        ("--seed", whole(0, 2**31 - 1), 0, "N", "seed of training"),
    )
    add("--stages", nargs="+", default=list(STAGES), choices=STAGES, help="stages to train (default: all)")


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate folds` command line. Raises SonimateError."""
    with extra_needed("train"):
        from sonimate.train.stages import train_folds

    train_folds(
        args.recipe, args.data, args.output, args.init, folds=args.folds, seed=args.seed, stages=args.stages
    )
