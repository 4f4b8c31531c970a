"""`sonimate footage`: footage to train on, what was made of it, and the mouth reader that judges it."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from sonimate.apps.arguments import REQUIRED_PATH, Subparsers, add_arguments
from sonimate.apps.progress import Watch
from sonimate.errors import extra_needed


def add_parser(commands: Subparsers) -> None:
    """Add `footage` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "footage",
        help="fetch public footage; describe training data; fit the mouth reader that `prepare` uses",
        description="Steps before and after `sonimate prepare`. STEP --help describes each.",
    )
    steps = parser.add_subparsers(dest="step", metavar="STEP", required=True)
    fetch = steps.add_parser(
        "fetch",
        help="download public clips",
        description="Download the public clips whose terms let anybody train on them (GRID corpus, CC BY "
        "4.0), and write their MANIFEST.tsv. Every file is checked by its SHA-256; complete files are kept. "
        "The clips are not part of this project: their terms are printed.",
    )
    add_arguments(
        fetch,
        """
        CLIPS        the folder to write
        --uncleared  also demonstration clips whose rights are not stated
        """,
        clips=Path,
    )
    card = steps.add_parser(
        "data-card",
        help="list training data with its terms",
        description="Write what a model learns from: every clip of SHARDS by speaker, with terms, lag and "
        "decision, and the voices of SPEECH with theirs.",
    )
    add_arguments(
        card,
        """
        SHARDS  folder that `sonimate prepare` wrote
        --speech SPEECH
                folder that `sonimate speech` wrote
        -o, --output FILE.md
                the file to write
        """,
        shards=Path,
        speech=Path,
        output=REQUIRED_PATH,
    )
    reader = steps.add_parser(
        "mouth-reader",
        help="fit the mouth reader on prepared shards, and judge it",
        description="Fit the mouth reader, which predicts the mouth opening from the sound, and with which "
        "`sonimate prepare` re-times clips and rejects wrong sounds. SHARDS must be of footage that is known "
        "to be in sync, prepared with --keep-timing. Print how readers that were fitted without a clip's "
        "speaker judge the clip: with its own sound, with that sound shifted, and with the sounds of others. "
        "FILE's name with .json gets the results with the clips' own sounds.",
    )
    add_arguments(
        reader,
        """
        SHARDS  folder that `sonimate prepare` wrote
        -o, --output FILE.safetensors
                the file to write
        """,
        shards=Path,
        output=REQUIRED_PATH,
    )


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate footage` command line. Raises SonimateError."""
    if args.step == "fetch":
        from sonimate.footage.public_clips import fetch_clips

        with Watch(args.started) as watch:
            fetch_clips(args.clips, uncleared=args.uncleared, progress=watch)
        print(f"The clips are in {args.clips}")
    elif args.step == "data-card":
        with extra_needed("train"):
            from sonimate.footage.data_card import write_data_card

        write_data_card(args.output, args.shards, args.speech)
        print(f"{args.output} lists the data")
    else:
        _fit_mouth_reader(args.shards, args.output)


def _fit_mouth_reader(shards: Path, output: Path) -> None:
    with extra_needed("prepare"):
        from sonimate.footage.mouth_reader import fit_and_judge, own_sound_table, summaries, write_reader
        from sonimate.footage.shards import read_shards
        from sonimate.footage.sync import lag_text

    clips = list(read_shards(shards))
    weights, trials = fit_and_judge(clips)
    table = own_sound_table(clips, trials)
    for row in table:
        verdict = "passes" if row["passes"] else "FAILS"
        print(f"{row['source']} from {row['start_seconds']:.2f} s: {lag_text(row)}, {verdict}")
    for kind, summary in summaries(clips, trials).items():
        print(f"{kind}: {summary}")
    write_reader(weights, table, output)
