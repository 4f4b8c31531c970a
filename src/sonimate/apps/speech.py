"""`sonimate speech`: a corpus of synthetic speech with the motion of the mouth and head that goes with it."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import fields
from pathlib import Path

from sonimate.apps.arguments import REQUIRED_PATH, Subparsers, add_arguments, number, whole
from sonimate.apps.progress import Watch
from sonimate.errors import extra_needed
from sonimate.speech.corpus_options import CorpusOptions


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
    add_arguments(
        parser,
        """
        -o, --output SPEECH
                     the folder to write
        --minutes N  length of all utterances together (default: %(default)s)
        --seed N     another seed gives another corpus (default: %(default)s)
        --jobs N     number of processes (default: %(default)s)
        --recordings DIR
                     folder of the packages asterisk-core-sounds-* (default: %(default)s)
        --transcripts DIR
                     folder with the texts of these packages (default: %(default)s)
        --testdata DIR
                     folder of the package pocketsphinx-testdata (default: %(default)s)
        """,
        output=REQUIRED_PATH,
        minutes={"type": number(0.1, 1e6), "default": CorpusOptions.minutes},
        seed={"type": whole(0, 2**31 - 1), "default": CorpusOptions.seed},
        jobs={"type": whole(1, 1024), "default": CorpusOptions.jobs},
        recordings={"type": Path, "default": CorpusOptions.recordings},
        transcripts={"type": Path, "default": CorpusOptions.transcripts},
        testdata={"type": Path, "default": CorpusOptions.testdata},
    )


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate speech` command line. Raises SonimateError."""
    with extra_needed("train"):
        from sonimate.speech.corpus import make_corpus

    options = CorpusOptions(**{field.name: getattr(args, field.name) for field in fields(CorpusOptions)})
    with Watch(args.started) as watch:
        manifest = make_corpus(args.output, options, progress=watch)
    rejected = sum(manifest["rejected_sentences"].values())
    print(
        f"{len(manifest['utterances'])} utterances ({manifest['minutes']:.1f} min), {rejected} sentences "
        f"rejected; {args.output / 'manifest.json'} has the reasons"
    )
