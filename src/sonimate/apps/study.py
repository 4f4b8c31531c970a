"""`sonimate study`: people rate videos of several systems on a page of this machine -> a table."""

from __future__ import annotations

import socket
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sonimate.apps.arguments import Subparsers, add_arguments, whole
from sonimate.apps.streams import publish, say
from sonimate.errors import FileMissing, OptionOutOfRange, extra_needed

if TYPE_CHECKING:
    from sonimate.apps.user_study.votes import VoteFile

HOST = "127.0.0.1"


def add_parser(commands: Subparsers) -> None:
    """Add `study` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "study",
        help="let people rate videos on a page",
        description="Serve a page on this machine where people rate lip sync, motion diversity, identity "
        "consistency and smoothness of videos from 1 to 5, or choose between two. Which system made a video "
        "is hidden, and each rater has an order of their own. Ctrl-C ends it and prints the table.",
    )
    add_arguments(
        parser,
        """
        VIDEOS            a folder with one folder of videos for each system, of which videos of the same clip
                          have the same name, or one that contains it
        --choose          choose between two videos of the same clip
        --report          print the table of the votes so far, and end
        --votes FILE      the SQLite file of the votes (default: VIDEOS/votes.sqlite)
        --port N          of the page; 0: any free one (default: %(default)s)
        """,
        videos={"type": Path},
        votes={"type": Path},
        port={"type": whole(0, 65535), "default": 8765},
    )


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate study` command line. Raises SonimateError."""
    from sonimate.apps.user_study.study_table import study_table
    from sonimate.apps.user_study.votes import VoteFile

    votes = VoteFile((args.votes or args.videos / "votes.sqlite").absolute())
    if not args.report:
        with suppress(KeyboardInterrupt):
            _serve(args, votes)
    elif not votes.path.is_file():
        raise FileMissing(f"There is no file of votes {votes.path}. Start the study without --report first.")
    publish(study_table(votes.all()))


def _serve(args: Namespace, votes: VoteFile) -> None:
    """Until Ctrl-C, which raises KeyboardInterrupt."""
    with extra_needed("web"):
        import uvicorn

        from sonimate.apps.user_study.study_server import study_app
    from sonimate.apps.user_study.study_plan import plan_study

    plan = plan_study(args.videos, "choose" if args.choose else "rate")
    if plan.left_out:
        say(f"sonimate: {plan.left_out} videos are left out: not every system has one of the same name.")
    votes.all()
    try:
        listening = socket.create_server((HOST, args.port))
    except OSError as error:
        raise OptionOutOfRange(
            f"Port {args.port} is taken ({error.strerror}). Give another by --port."
        ) from error
    with listening:
        address = f"http://{HOST}:{listening.getsockname()[1]}/"
        publish(f"{len(plan.systems)} systems, {len(plan.clips)} clips: open {address} to rate; Ctrl-C ends")
        config = uvicorn.Config(study_app(plan, votes), log_level="warning", timeout_graceful_shutdown=2)
        uvicorn.Server(config).run(sockets=[listening])
