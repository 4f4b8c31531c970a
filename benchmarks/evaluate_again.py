"""Does `sonimate evaluate` go on, and give the same figures each time? Makes short clips from the examples,
one of them broken, and evaluates them four times: twice with the same cache, once killed half-way and started
again, and once on a local Ray cluster of two workers.

Removes the folders clips, here, killed and ray of OUT first.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lib.command import benchmark_parser
from lib.report import Check, publish
from lib.short_clips import break_video, make_short_clips
from sonimate.apps.arguments import whole

WORKERS = 2
LIGHT = ("lip-r", "lip-r-width", "cadence")
"""Metrics of one detector, the face tracker."""


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__, out="out/evaluate_again")
    parser.add_argument("--clips", type=whole(4, 10_000), default=200, help="default 200")
    parser.add_argument("--frames", type=whole(12, 1000), default=30, help="of a clip; default 30")
    parser.add_argument("--metrics", nargs="+", default=LIGHT, help=f"default {' '.join(LIGHT)}")
    arguments = parser.parse_args(argv)
    out = arguments.out.absolute()
    for name in ("clips", "here", "killed", "ray"):
        if (out / name).exists():
            shutil.rmtree(out / name)
    results, real = make_short_clips(out / "clips", arguments.clips, frames=arguments.frames, size_px=256)
    broken = results / f"clip_{arguments.clips // 2:03}.mp4"
    break_video(broken)
    command = evaluate_command(results, real, arguments.metrics)
    rows = [timed("first", command, out / "here")]
    first = figures(out / "here")
    rows.append(timed("again, from the cache", command, out / "here"))
    again = figures(out / "here")
    seen = kill_half_way([*command, "-o", str(out / "killed")], out / "killed/cache", arguments.clips)
    rows.append(timed("the rest after SIGKILL", command, out / "killed"))
    on_ray = [*command, "--jobs", str(WORKERS), "--ray", "local"]
    rows.append(timed(f"{WORKERS} Ray workers", on_ray, out / "ray"))
    checks = [
        Check("first run over second, in time", rows[0]["seconds"] / rows[1]["seconds"], low=10),
        Check("second run: same figures", again == first, low=1),
        Check("killed half-way: same figures", figures(out / "killed") == first, low=1),
        Check("Ray workers: same figures", figures(out / "ray") == first, low=1),
        Check("runs with exit code 1", sum(row["exit code"] == 1 for row in rows), low=4),
        Check("runs that name the broken video", sum(broken.name in row["said"] for row in rows), low=4),
    ]
    summary = {
        "clips": arguments.clips,
        "metrics": " ".join(arguments.metrics),
        "videos seen when killed": seen,
        "said at the end": rows[1]["said"].strip().rpartition("\n")[2].replace(str(out), "OUT"),
    }
    shown = [{name: row[name] for name in ("run", "seconds", "exit code")} for row in rows]
    publish("evaluate_again", out, rows=shown, checks=checks, summary=summary)


def evaluate_command(results: Path, real: Path, metrics: Sequence[str]) -> list[str]:
    """Without -o."""
    command = [sys.executable, "-m", "sonimate", "evaluate", str(results), "--reference", str(real)]
    return [*command, "--metrics", *metrics]


def timed(name: str, command: Sequence[str], out: Path) -> dict:
    """Run it in a process of its own, as a user does."""
    started = time.perf_counter()
    done = subprocess.run([*command, "-o", str(out)], stderr=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - started
    print(f"{name}: {seconds:.1f} s, exit code {done.returncode}", flush=True)
    return {"run": name, "seconds": seconds, "exit code": done.returncode, "said": done.stderr}


def kill_half_way(command: Sequence[str], cache: Path, videos: int) -> int:
    """Start it, and kill it when `videos` are in the cache; returns how many are. Raises RuntimeError if it
    ended before."""
    process = subprocess.Popen(command)
    try:
        while len(list(cache.rglob("*.safetensors"))) < videos:
            if process.poll() is not None:
                raise RuntimeError("The evaluation ended before it could be killed. Take more clips.")
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    return len(list(cache.rglob("*.safetensors")))


def figures(report: Path) -> tuple[bytes, bytes]:
    """All that is measured, with every digit."""
    return (report / "report.json").read_bytes(), (report / "report.csv").read_bytes()


if __name__ == "__main__":
    main()
