"""`sonimate web`: a page in the browser that makes videos on this machine."""

from __future__ import annotations

import os
from argparse import Namespace
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from sonimate.apps.arguments import Subparsers, add_arguments, whole
from sonimate.errors import extra_needed

DEFAULT_PORT = 7860
"""Gradio's own."""


def add_parser(commands: Subparsers) -> None:
    """Add `web` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "web",
        help="open a page in the browser that makes videos",
        description="Serve a page for the browser, in English and Chinese: drop a portrait; drop, record or "
        "type speech; choose a face and the settings; watch the video, compare two. Nothing leaves the "
        "machine. Ctrl-C ends it.",
    )
    add_arguments(
        parser,
        """
        --host ADDRESS  the address to listen at; 127.0.0.1 (default) is reached from this machine only, and
                        0.0.0.0 by everyone on the network, without a password
        --port N        the port to listen at; 0 takes a free one (default: %(default)s)
        --results DIR   the folder that keeps the videos, made if it is missing (default: %(default)s)
        --model NAME|DIR
                        a bundled model or the folder of a model (default: %(default)s)
        --device NAME   auto (default), cpu, cuda, cuda:1, ... or mps
        """,
        host={"default": "127.0.0.1"},
        port={"type": whole(0, 65535), "default": DEFAULT_PORT},
        results={"type": Path, "default": Path("sonimate-videos")},
        model={"default": "compact"},
        device={"default": "auto"},
    )


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate web` command line, until a signal ends it. Raises SonimateError."""
    from sonimate.checkpoints.registry import model_folder

    model_folder(args.model)
    with TemporaryDirectory(prefix="sonimate-") as uploads:
        # Gradio reads these when it is imported.
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": uploads}
        with extra_needed("web"):
            from sonimate.apps.page.layout import build_page
            from sonimate.apps.page.page_server import listening_socket, serve_page
        from sonimate.apps.page.results import Results
        from sonimate.apps.page.studio import Studio

        results = Results(args.results)
        listener = listening_socket(args.host, args.port)
        with closing(Studio(results, {"model": args.model, "device": args.device})) as studio:
            serve_page(build_page(studio), listener, args.host, results.folder)
