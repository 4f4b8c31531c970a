"""Command-line options that several benchmarks share."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"


def benchmark_parser(description: str | None, *, out: str = "out") -> argparse.ArgumentParser:
    """A parser with the option --out, the folder for results."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(out), help=f"folder for results; default {out}")
    return parser


def add_speech(parser: argparse.ArgumentParser, *, seconds: float) -> None:
    """The options --speech and --seconds: recordings, and how much of them to use."""
    recordings = sorted((EXAMPLES / "speech").glob("*.wav"))
    parser.add_argument("--speech", type=Path, nargs="+", default=recordings, help="default: the examples")
    parser.add_argument("--seconds", type=float, default=seconds, help=f"of speech; default {seconds:g}")


def add_model(parser: argparse._ActionsContainer) -> None:
    """The option --model."""
    parser.add_argument("--model", default="compact", help="bundled name or model folder; default compact")


def run_json(*arguments: object) -> dict[str, Any]:
    """What Python, run with these arguments in a process of its own, prints as JSON."""
    line = [sys.executable, *map(str, arguments)]
    return json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout)
