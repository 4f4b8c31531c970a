"""What users bring, one command each: does it make a video, or with which words is it refused?

inputs.py
inputs.py --only environment

Pictures, sounds, names, outputs and environments are made of the examples. A kind is as wanted if it makes a
video that plays or, where none can be made, is refused in one line with exit code 2; if there is no
traceback; and if nothing else is left, neither beside the inputs nor in the folder for temporary files.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import av

from lib.command import benchmark_parser
from lib.kinds_of_input import Kind, make_kinds
from lib.report import Check, publish

OPTIONS = ("--size", "256", "--steps", "1")
ENDS = {0: "works", 2: "refused"}


def try_kind(kind: Kind, folder: Path) -> dict[str, Any]:
    """Run the command of a kind in `folder`. Returns the row of the table."""
    with tempfile.TemporaryDirectory() as temporary:
        words = [sys.executable, "-m", "sonimate", "animate", kind.portrait, kind.audio, "-o", kind.output]
        line = kind.shell.replace("{command}", shlex.join([*words, *OPTIONS]))
        before = contents(folder)
        run = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=folder,
            env={**os.environ, "TMPDIR": temporary},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
        said = run.stderr.decode(errors="replace")
        file = os.path.realpath(folder / kind.output)
        video = file not in before and os.path.isfile(file) and plays(file)
        if video:
            os.remove(file)
        changes = dict(contents(folder).items() ^ before.items())
        left = [*changes, *os.listdir(temporary)]
    errors, warnings = (
        [text.removeprefix(start) for text in said.splitlines() if text.startswith(start)]
        for start in ("sonimate: error: ", "sonimate: warning: ")
    )
    traceback = "Traceback" in said
    as_wanted = video == kind.video and run.returncode in kind.codes and not traceback and not left
    if run.returncode == 2:
        as_wanted &= len(errors) == 1
    return {
        "group": kind.group,
        "kind": kind.name,
        "ends": "works" if video else ENDS.get(run.returncode, f"code {run.returncode}"),
        "words": "TRACEBACK" if traceback else shown(" ".join(errors or warnings), folder),
        "left behind": " ".join(left) or "nothing",
        "as wanted": "yes" if as_wanted else "NO",
    }


def contents(folder: Path) -> dict[str, int]:
    """What is in a folder and below: paths, and sizes of files in bytes."""
    return {
        os.path.join(place, name): os.lstat(os.path.join(place, name)).st_size if name in files else 0
        for place, folders, files in os.walk(os.path.realpath(folder))
        for name in (*folders, *files)
    }


def shown(words: str, folder: Path) -> str:
    """Words for a cell of a table: without the folder, and long names shortened."""
    words = words.replace(f"{os.path.realpath(folder)}/", "").replace("|", "/")
    return " ".join(word if len(word) < 60 else f"{word[:20]}..." for word in words.split())


def plays(video: str) -> bool:
    """Whether pictures and sound can be decoded."""
    with av.open(video) as container:
        frames = sum(1 for _ in container.decode(video=0))
    with av.open(video) as container:
        return frames > 0 and sum(1 for _ in container.decode(audio=0)) > 0


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--only", help="one group: picture, sound, name, output or environment")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = [kind for kind in make_kinds(folder) if options.only in (None, kind.group)]
        rows = [try_kind(kind, folder) for kind in kinds]
    checks = [
        Check("kinds that do not end as wanted", sum(row["as wanted"] == "NO" for row in rows), high=0),
        Check("tracebacks", sum(row["words"] == "TRACEBACK" for row in rows), high=0),
        Check(
            "kinds that left something behind", sum(row["left behind"] != "nothing" for row in rows), high=0
        ),
    ]
    summary = {"kinds": len(rows), "works": sum(row["ends"] == "works" for row in rows)}
    publish("inputs", options.out, rows=rows, checks=checks, summary=summary)
    sys.exit(not all(check.met for check in checks))


if __name__ == "__main__":
    main()
