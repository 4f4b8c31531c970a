"""How a face speaks, of several models side by side: every figure that has a target, in one table.

face_report.py compact runs/cleared runs/all --clips CLIPS --portraits PORTRAITS PORTRAITS/styles
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import controls
import effort
import held_out
import portraits
import silence
from lib.clips import add_landmarks
from lib.command import EXAMPLES, benchmark_parser
from lib.report import Check, cell_text, markdown_table

FACES = [str(EXAMPLES / "portraits" / name) for name in ("obama.jpg", "mona_lisa.jpg")]
BY = "clips), opening_r"
"""Part of the names of the figures that are shown by source."""
Part = Callable[[list[str]], None]


@dataclass(frozen=True)
class Figure:
    """A cell of the table; target: in words, empty where there is none."""

    text: str
    target: str = ""


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__, out="out/face_report")
    parser.add_argument("models", nargs="+", help="bundled names or model folders")
    parser.add_argument("--clips", type=Path, required=True, help="folder of real clips")
    parser.add_argument(
        "--without", nargs="+", default=[], help="sources of clips that models were trained on"
    )
    parser.add_argument("--portraits", type=Path, nargs="+", required=True, help="folders of pictures")
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2], help="for the clips")
    parser.add_argument("--draw", action="store_true", help="also what only pictures show")
    add_landmarks(parser)
    arguments = parser.parse_args(argv)
    tables: dict[str, dict[str, Figure]] = {}
    for model in arguments.models:
        out = arguments.out / Path(model).name
        tables[model] = {}
        for name, (run, options) in parts(arguments).items():
            run([*options, "--model", model, "--out", str(out)])
            tables[model] |= figures(name, json.loads((out / f"{name}.json").read_text()))
    text = markdown_table(side_by_side(tables))
    (arguments.out / "face_report.md").write_text(text + "\n")
    print(f"\n{text}\nwritten to {arguments.out / 'face_report.md'}")


def parts(arguments: argparse.Namespace) -> dict[str, tuple[Part, list[str]]]:
    """The benchmarks by the names of their reports, each with its options."""
    clips = [str(arguments.clips), "--landmarks", str(arguments.landmarks), "--seed"]
    clips += [str(seed) for seed in arguments.seed]
    if arguments.without:
        clips += ["--without", *arguments.without]
    pictures = [str(folder) for folder in arguments.portraits] + ["--no-draw"] * (not arguments.draw)
    return {
        "held_out": (held_out.main, clips),
        "silence": (silence.main, FACES),
        "portraits": (portraits.main, pictures),
        "effort": (effort.main, FACES),
        "controls": (controls.main, [*FACES, "--seeds", "1"]),
    }


def figures(part: str, report: dict[str, Any]) -> dict[str, Figure]:
    """The checks of a report, and of held-out clips the main correlations with intervals, by source."""
    found: dict[str, Figure] = {}
    for entry in report["checks"]:
        check = Check(entry["name"], entry["value"], low=entry.get("low", -inf), high=entry.get("high", inf))
        missed = "" if check.met else " (missed)"
        found[f"{part}: {check.name}"] = Figure(cell_text(check.value) + missed, check.target)
    if part == "held_out":
        found |= {f"{part}: {name}": Figure(text) for name, text in report["summary"].items() if BY in name}
    return found


def side_by_side(tables: dict[str, dict[str, Figure]]) -> list[dict[str, str]]:
    """A row for each figure, with its target and a column for each model."""
    targets = {name: figure.target for of_model in tables.values() for name, figure in of_model.items()}
    return [
        {"figure": name, "target": target}
        | {model: of_model[name].text if name in of_model else "" for model, of_model in tables.items()}
        for name, target in targets.items()
    ]


if __name__ == "__main__":
    main()
