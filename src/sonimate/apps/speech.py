"""`sonimate speech`: a corpus of synthetic speech with the motion of the mouth and head that goes with it.

Heavy modules are imported when the command runs.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from sonimate.apps.arguments import Subparsers, number, whole
from sonimate.apps.progress import Watch
from sonimate.errors import ExtraMissing


def add_parser(commands: Subparsers) -> None:
    """Add `speech` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "speech",
        help="make synthetic speech for training",
        description="Write synthetic utterances and the motion of mouth, lids, brows and head that goes with "
        "them, to train the compact model on. The voices are speech engines and recordings from Debian's "
        "packages; an error names the packages that are missing. A stopped run continues when it is "
        "repeated; a run with more minutes adds utterances.",
    )
    add = parser.add_argument
    add("-o", "--output", type=Path, required=True, metavar="SPEECH", help="the folder to write")
    add(
        "--minutes",
        type=number(0.1, 1e6),
        default=90.0,
        metavar="N",
        help="length of all utterances together (default: %(default)g)",
    )
    add(
        "--seed",
        type=whole(0, 2**31 - 1),
        default=0,
        metavar="N",
        help="another seed gives another corpus (default: %(default)s)",
    )
    add(
        "--jobs",
        type=whole(1, 1024),
        default=1,
        metavar="N",
        help="number of processes (default: %(default)s)",
    )
    add(
        "--recordings",
        type=Path,
        metavar="DIR",
        default=Path("/usr/share/asterisk/sounds"),
        help="folder of the packages asterisk-core-sounds-* (default: %(default)s)",
    )
    add(
        "--transcripts",
        type=Path,
        metavar="DIR",
        default=Path("/usr/share/doc"),
        help="folder with the texts of these packages (default: %(default)s)",
    )
    add(
        "--testdata",
        type=Path,
        metavar="DIR",
        default=Path("/usr/share/pocketsphinx/test/data"),
        help="folder of the package pocketsphinx-testdata (default: %(default)s)",
    )


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate speech` command line. Raises SonimateError."""
    try:
        from sonimate.speech.corpus import CorpusOptions, make_corpus
    except ModuleNotFoundError as error:
        raise ExtraMissing.of("train", error) from error

    options = CorpusOptions(
        minutes=args.minutes,
        seed=args.seed,
        jobs=args.jobs,
        recordings=args.recordings,
        transcripts=args.transcripts,
        testdata=args.testdata,
    )
    with Watch(args.started) as watch:
        manifest = make_corpus(args.output, options, progress=watch)
    rejected = sum(manifest["rejected_sentences"].values())
    print(
        f"{len(manifest['utterances'])} utterances ({manifest['minutes']:.1f} min), {rejected} sentences "
        f"rejected; {args.output / 'manifest.json'} has the reasons"
    )
