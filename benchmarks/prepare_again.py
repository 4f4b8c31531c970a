"""Does `sonimate prepare` write the same bytes each time? Prepares footage four times from the start: twice
undisturbed, once killed half-way and started again, and once on a local Ray cluster of two workers.

Removes the folders here, again, killed and ray of OUT first.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from lib.command import benchmark_parser
from lib.report import Check, publish
from sonimate.distributed.prepare_ray import LOCAL, run_on_ray
from sonimate.footage.prepare_options import PrepareOptions
from sonimate.footage.preparer import prepare
from sonimate.footage.sources import find_footage

WORKERS = 2
RUNS = ("here", "again", "killed", "ray")


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__, out="out/prepare")
    parser.add_argument("footage", type=Path)
    arguments = parser.parse_args(argv)
    footage, out = arguments.footage, arguments.out
    for name in RUNS:
        if (out / name).exists():
            shutil.rmtree(out / name)
    run(footage, out / "here")
    run(footage, out / "again")
    finished = killed(footage, out / "killed")
    run(footage, out / "killed")
    on_ray = partial(run_on_ray, address=LOCAL, workers=WORKERS)
    prepare(footage, out / "ray", PrepareOptions(), run=on_ray)
    first = digests(out / "here")
    checks = [Check(f"{name}: same shards", digests(out / name) == first, low=1) for name in RUNS[1:]]
    rows = json.loads((out / "here" / "report.json").read_text())["samples"]
    publish(
        "prepare_again",
        out,
        rows=[{name: row[name] for name in ("source", "decision", "detail")} for row in rows],
        summary={"shards": len(first), "files finished when killed": finished},
        checks=checks,
    )


def command(footage: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "sonimate", "prepare", str(footage), "-o", str(out)]


def run(footage: Path, out: Path) -> None:
    subprocess.run(command(footage, out), check=True)


def killed(footage: Path, out: Path) -> int:
    """Start a run, kill it when half the files are finished; returns how many were."""
    half = len(find_footage(footage)) // 2
    process = subprocess.Popen(command(footage, out))
    while len(finished := [p for p in (out / "cache").glob("*") if not p.name.startswith(".")]) < half:
        if process.poll() is not None:
            raise RuntimeError("The run ended before it could be killed; give more footage.")
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return len(finished)


def digests(shards: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(shards.glob("*.tar"))}


if __name__ == "__main__":
    main()
