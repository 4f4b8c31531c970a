"""Fetches public clips, by default those that anybody may train on.

`public_clips.tsv` names each file's repository, commit, path, SHA-256 and terms; `cleared` says whether its
terms let anybody use it and train on it. None of the files is part of this project: you fetch them under
their own terms.
"""

from __future__ import annotations

import csv
import hashlib
import logging
from collections.abc import Callable
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

from sonimate.errors import DownloadCorrupted, FileMissing
from sonimate.footage.sources import MANIFEST
from sonimate.media.files import replacing, write_errors
from sonimate.media.folders import file_sha256

HOST = "https://raw.githubusercontent.com"
TIMEOUT_SECONDS = 60
log = logging.getLogger(__name__)


def public_clips() -> list[dict[str, str]]:
    """All rows of public_clips.tsv."""
    text = (files("sonimate") / "footage" / "public_clips.tsv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))


def fetch_clips(
    folder: Path,
    host: str = HOST,
    *,
    uncleared: bool = False,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> None:
    """Download the clips of cleared terms to `folder`, with a MANIFEST.tsv that names their speakers, sources
    and terms; logs the terms. Files that are there with the right SHA-256 are kept.

    uncleared: also those whose rights are not stated. progress: called with "fetch", the number of clips
    done, and the number of all.
    Raises FileMissing when a clip cannot be downloaded, DownloadCorrupted when its SHA-256 differs, and
    OutputNotWritable.
    """
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    clips = [clip for clip in public_clips() if uncleared or clip["cleared"] == "yes"]
    for terms in sorted({f"{clip['repository']}: {clip['terms']}" for clip in clips}):
        log.info(terms)
    for done, clip in enumerate(clips, start=1):
        path = folder / clip["file"]
        if not path.is_file() or file_sha256(path) != clip["sha256"]:
            fetch_clip(
                f"{host}/{clip['repository']}/{clip['commit']}/{quote(clip['path'])}", path, clip["sha256"]
            )
        progress("fetch", done, len(clips))
    columns = ("file", "speaker", "repository", "terms")
    lines = ["file\tspeaker\tsource\tterms\n"]
    lines += ["\t".join(clip[column] for column in columns) + "\n" for clip in clips]
    with replacing(folder / MANIFEST) as partial:
        partial.write_text("".join(lines), encoding="utf-8")


def fetch_clip(url: str, path: Path, sha256: str) -> None:
    """Download a file, complete or not at all. Raises FileMissing, DownloadCorrupted, OutputNotWritable."""
    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            content = answer.read()
    except (OSError, HTTPException) as error:
        raise FileMissing(
            f"{url} cannot be downloaded ({error}). Put the file at {path} yourself, and repeat the command."
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DownloadCorrupted(
            f"{url} is not the file that this project used: its SHA-256 is not {sha256}. Put that "
            f"file at {path} yourself, and repeat the command."
        )
    with replacing(path) as partial:
        partial.write_bytes(content)
