"""`sonimate speech`: a corpus of synthetic speech with the motion of the mouth and head that goes with it."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import fields
from pathlib import Path

from sonimate.apps.arguments import Subparsers, add_settings, number, whole
from sonimate.apps.progress import Watch
from sonimate.errors import extra_needed


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
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="SPEECH", help="the folder to write"
    )
    sounds, texts = Path("/usr/share/asterisk/sounds"), Path("/usr/share/doc")
    testdata = Path("/usr/share/pocketsphinx/test/data")
    add_settings(
        parser,
        ("--minutes", number(0.1, 1e6), 90, "N", "length of all utterances together"),
        ("--seed", whole(0, 2**31 - 1), 0, "N", "another seed gives another corpus"),
        ("--jobs", whole(1, 1024), 1, "N", "number of processes"),
        ("--recordings", Path, sounds, "DIR", "folder of the packages asterisk-core-sounds-*"),
        ("--transcripts", Path, texts, "DIR", "folder with the texts of these packages"),
        ("--testdata", Path, testdata, "DIR", "folder of the package pocketsphinx-testdata"),
    )


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate speech` command line. Raises SonimateError."""
    with extra_needed("train"):
        from sonimate.speech.corpus import CorpusOptions, make_corpus

    options = CorpusOptions(**{field.name: getattr(args, field.name) for field in fields(CorpusOptions)})
    with Watch(args.started) as watch:
        manifest = make_corpus(args.output, options, progress=watch)
    rejected = sum(manifest["rejected_sentences"].values())
    print(
        f"{len(manifest['utterances'])} utterances ({manifest['minutes']:.1f} min), {rejected} sentences "
        f"rejected; {args.output / 'manifest.json'} has the reasons"
    )
