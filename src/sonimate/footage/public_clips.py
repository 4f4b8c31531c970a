"""Fetch the public clips that the bundled model learned from: `python -m sonimate.footage.public_clips DIR`.

`public_clips.tsv` names each file's repository, commit, path, SHA-256 and terms. Nothing of them is part of
this project: whoever fetches them does so under these terms.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

from sonimate.errors import DownloadCorrupted, FileMissing, SonimateError
from sonimate.media.files import replacing

HOST = "https://raw.githubusercontent.com"
TIMEOUT_SECONDS = 60


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sonimate.footage.public_clips", description=__doc__)
    parser.add_argument("clips", type=Path, help="folder to fetch them to")
    arguments = parser.parse_args(argv)
    try:
        fetch_clips(arguments.clips)
    except SonimateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def public_clips() -> list[dict[str, str]]:
    """The rows of public_clips.tsv."""
    text = (files("sonimate") / "footage" / "public_clips.tsv").read_text()
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))


def fetch_clips(folder: Path, host: str = HOST) -> None:
    """Put all clips into `folder`, with a MANIFEST.tsv that names their speakers. Those that are there and
    whole are kept.

    Raises FileMissing when one cannot be had, DownloadCorrupted when it is another file than it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clips = public_clips()
    for terms in sorted({f"{clip['repository']}: {clip['terms']}" for clip in clips}):
        print(terms, flush=True)
    for clip in clips:
        path = folder / clip["file"]
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != clip["sha256"]:
            fetch(f"{host}/{clip['repository']}/{clip['commit']}/{quote(clip['path'])}", path, clip["sha256"])
    lines = ["file\tspeaker\n", *(f"{clip['file']}\t{clip['speaker']}\n" for clip in clips)]
    (folder / "MANIFEST.tsv").write_text("".join(lines))


def fetch(url: str, path: Path, sha256: str) -> None:
    """Download a file whole or not at all. Raises FileMissing or DownloadCorrupted."""
    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            content = answer.read()
    except OSError as error:
        raise FileMissing(
            f"{url} cannot be fetched ({error}). Get the file elsewhere, put it at {path}, and repeat this."
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DownloadCorrupted(
            f"{url} is not the file that the model learned from. Get that one (SHA-256 {sha256}) elsewhere, "
            f"put it at {path}, and repeat this."
        )
    with replacing(path) as partial:
        partial.write_bytes(content)


if __name__ == "__main__":
    sys.exit(main())
