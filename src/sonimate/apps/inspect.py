"""`sonimate inspect`: what a media file states about itself: length, streams, metadata, C2PA manifest."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from sonimate.apps.arguments import Subparsers, add_arguments
from sonimate.apps.streams import publish
from sonimate.errors import ExtraMissing


def add_parser(commands: Subparsers) -> None:
    """Add `inspect` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "inspect",
        help="show what a video states about how it was made",
        description="Show length, streams and metadata of a media file, whether it states that it is "
        "synthetic, and its C2PA manifest with the state of its signature.",
    )
    add_arguments(
        parser,
        """
        FILE    a video, sound or animated picture
        --json  print one JSON object to standard output
        """,
    )


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate inspect` command line. Raises SonimateError."""
    account = inspected(args.file)
    publish(json.dumps(account) if args.json else text(account))


def inspected(path: str) -> dict[str, Any]:
    """What the file at `path` states, ready for JSON.

    Raises FileMissing, FileNotReadable, UnreadableVideo.
    """
    from sonimate.media.container import file_account
    from sonimate.media.provenance import read_manifest

    account: dict[str, Any] = {"file": path, "bytes": Path(path).stat().st_size, **file_account(path)}
    try:
        account["c2pa"] = read_manifest(path)
    except ExtraMissing as error:
        account["c2pa"] = {"state": "not checked", "problems": [str(error)]}
    return account


def text(account: dict[str, Any]) -> str:
    """The report as lines."""
    lines = [
        f"{account['file']}: {account['format']}, {account['seconds']:.2f} s, {account['bytes']:,} bytes"
    ]
    lines += [f"  {stream}" for stream in account["streams"]]
    lines.append(
        "  states that it is synthetic" if account["synthetic"] else "  states nothing about being synthetic"
    )
    lines += [f"  {name}: {value}" for name, value in account["metadata"].items()]
    manifest = account["c2pa"]
    if manifest is None:
        return "\n".join([*lines, "  no C2PA manifest"])
    lines.append(f"  C2PA manifest: {manifest['state']}")
    shown = {name: value for name, value in manifest.items() if name != "state" and value}
    for name, value in shown.items():
        lines += [f"    {name}: {text}" for text in ([value] if isinstance(value, str) else value)]
    return "\n".join(lines)
