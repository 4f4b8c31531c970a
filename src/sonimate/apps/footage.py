"""`sonimate footage`: public footage to train on, and the mouth reader that judges the sound of footage."""

from __future__ import annotations

from argparse import Namespace
from collections import defaultdict
from pathlib import Path

from sonimate.apps.arguments import REQUIRED_PATH, Subparsers, add_arguments
from sonimate.apps.progress import Watch
from sonimate.errors import extra_needed


def add_parser(commands: Subparsers) -> None:
    """Add `footage` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "footage",
        help="fetch public footage; fit the mouth reader that `prepare` uses",
        description="Steps before and after `sonimate prepare`. STEP --help describes each.",
    )
    steps = parser.add_subparsers(dest="step", metavar="STEP", required=True)
    fetch = steps.add_parser(
        "fetch",
        help="download the public clips on which the bundled model was trained",
        description="Download the public clips on which the bundled model was trained, and write their "
        "MANIFEST.tsv. Every file is checked by its SHA-256; complete files are kept. The clips are not part "
        "of this project: their terms are printed.",
    )
    add_arguments(fetch, "CLIPS  the folder to write", clips=Path)
    reader = steps.add_parser(
        "mouth-reader",
        help="fit the mouth reader on prepared shards, and judge it",
        description="Fit the mouth reader, which predicts the mouth opening from the sound, and with which "
        "`sonimate prepare` rejects clips with a wrong sound. Print how readers that were fitted without a "
        "clip's speaker judge the clip: with its own sound, with that sound shifted, and with the sounds of "
        "others. FILE's name with .json gets the results with the clips' own sounds.",
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
            fetch_clips(args.clips, progress=watch)
        print(f"The clips are in {args.clips}")
    else:
        _fit_mouth_reader(args.shards, args.output)


def _fit_mouth_reader(shards: Path, output: Path) -> None:
    with extra_needed("prepare"):
        from sonimate.footage.mouth_reader import fit_and_judge, own_sound_table, write_reader
        from sonimate.footage.shards import read_shards
        from sonimate.footage.sync import lag_text

    clips = list(read_shards(shards))
    weights, trials = fit_and_judge(clips)
    table = own_sound_table(clips, trials)
    for row in table:
        verdict = "passes" if row["passes"] else "FAILS"
        print(f"{row['source']} from {row['start_seconds']:.2f} s: {lag_text(row)}, {verdict}")
    verdicts: dict[str, list[bool]] = defaultdict(list)
    for trial in trials:
        verdicts[trial.sound].append(trial.passes)
    for kind, passed in sorted(verdicts.items()):
        print(f"{kind}: {sum(passed)} of {len(passed)} pass")
    write_reader(weights, table, output)
