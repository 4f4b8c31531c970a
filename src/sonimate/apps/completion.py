"""`sonimate completion`: a script with which a shell completes commands, options, values and file names."""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from sonimate.apps.arguments import Subparsers, add_arguments

SHELLS = ("bash", "fish", "powershell", "tcsh", "zsh")


def add_parser(commands: Subparsers) -> None:
    """Add `completion` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "completion",
        help="print a script that completes commands in your shell",
        description="Print a script for SHELL. In bash, for this session: source <(sonimate completion bash)",
    )
    add_arguments(parser, f"SHELL  {', '.join(SHELLS)}", shell={"choices": SHELLS})


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate completion` command line."""
    import shtab

    from sonimate.apps.cli import build_parser

    parser = build_parser()
    for action in _actions(parser):
        if action.type in (None, str, Path) and action.choices is None and action.nargs != 0:
            setattr(action, "complete", shtab.FILE)  # noqa: B010  where shtab looks for it
    print(shtab.complete(parser, shell=args.shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a parser and of its commands."""
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage]
        if isinstance(action, argparse._SubParsersAction):  # pyright: ignore[reportPrivateUsage]
            for command in action.choices.values():  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
                yield from _actions(command)  # pyright: ignore[reportUnknownArgumentType]
        else:
            yield action
