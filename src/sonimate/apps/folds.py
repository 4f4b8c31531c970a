"""`sonimate folds`: cross-validation of the compact model over groups of speakers."""

from __future__ import annotations

from argparse import Namespace

from sonimate.apps.arguments import REQUIRED_PATH, Subparsers, add_arguments, whole
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
    add_arguments(
        parser,
        """
        RECIPE       a YAML file, or "compact", which the package holds
        --data DATA  folder that `sonimate features` wrote
        -o, --output OUT
                     folder for all runs
        --init RUN   model or run folder that has seen none of the speakers
        --folds N    number of folds (default: %(default)s)
        --seed N     seed of training (default: %(default)s)
        --stages     stages to train (default: all)
        """,
        data=REQUIRED_PATH,
        output=REQUIRED_PATH,
        init={"required": True},
        folds={"type": whole(2, 1000), "default": 4},
        seed={"type": whole(0, 2**31 - 1), "default": 0},
        stages={"nargs": "+", "default": list(STAGES), "choices": STAGES},
    )


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate folds` command line. Raises SonimateError."""
    with extra_needed("train"):
        from sonimate.train.stages import train_folds

    train_folds(
        args.recipe, args.data, args.output, args.init, folds=args.folds, seed=args.seed, stages=args.stages
    )
