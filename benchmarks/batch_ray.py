"""40 jobs and two bad ones on a Ray cluster of this machine, two workers killed; then the same list again.

Prints outputs that are right, jobs done twice, reasons of failures, model loads, and the time of the second
run. Exit code 1 if one of these is not as it must be.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from sonimate.media.video import read_frames

ROOT = Path(__file__).parents[1]
JOBS, BAD, SECONDS, FPS = 40, 2, 0.4, 25


def main(argv: list[str] | None = None) -> int:
    """Run the batch twice and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args(argv)
    with TemporaryDirectory(prefix="sonimate-batch-") as name:
        folder = Path(name)
        jobs = [make_job(index) for index in range(JOBS)]
        jobs += [{**jobs[0], "output": "bad1.mp4", "portrait": jobs[0]["audio"]}]
        jobs += [{**jobs[0], "output": "bad2.mp4", "steps": 0}]
        (folder / "jobs.jsonl").write_text("\n".join(map(json.dumps, jobs)))
        out = folder / "out"
        command = [sys.executable, "-m", "sonimate", "batch", str(folder / "jobs.jsonl"), "-o", str(out)]
        command += ["--ray", "local", "--jobs", str(args.workers)]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        killed = [kill_worker(process, out, done) for done in (8, 20)]
        code = process.wait()
        first_seconds = time.perf_counter() - started
        results = [json.loads(line) for line in (out / "state.jsonl").read_text().split("\n") if line]
        times_done = Counter(each["output"] for each in results if each["status"] == "succeeded")
        right = sum(len(list(read_frames(out / f"{index}.mp4"))) == SECONDS * FPS for index in range(JOBS))
        loads = sum(each.get("model_loads", 0) for each in results)
        workers = {each["worker"] for each in results if each["status"] == "succeeded"}
        started = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        second_seconds = time.perf_counter() - started
        made_again = json.loads((out / "report.json").read_text())["made_by_this_run"]
        twice = sum(count > 1 for count in times_done.values())
        print(f"killed: {killed}; exit code {code}; {first_seconds:.0f} s")
        print(f"right videos: {right} of {JOBS}; done twice: {twice}")
        print(f"models loaded: {loads}, by {len(workers)} worker processes")
        print(f"the same list again: {second_seconds:.1f} s, {made_again} videos made")
        print((out / "report.txt").read_text())
        good = right == JOBS and not twice and code == 1 and loads == len(workers) and not made_again
        return not (good and (out / "report.txt").read_text().count("\nbad") == BAD)


def make_job(index: int) -> dict[str, object]:
    """A tiny job."""
    return {
        "portrait": str(ROOT / "examples/portraits/obama.jpg"),
        "audio": str(ROOT / "examples/speech/librivox_ss_0890.wav"),
        "output": f"{index}.mp4",
        "size": 256,
        "steps": 2,
        "start": index / 10,
        "duration": SECONDS,
    }


def kill_worker(process: subprocess.Popen[bytes], out: Path, done: int) -> int:
    """Kill a worker process of the batch when that many jobs have ended; returns its number."""
    state = out / "state.jsonl"
    while process.poll() is None:
        if state.exists() and state.read_text().count('"key"') >= done:
            for each in psutil.Process(process.pid).children(recursive=True):
                if "sonimate.apps.jobs.job_loop" in each.cmdline():
                    os.kill(each.pid, signal.SIGKILL)
                    return each.pid
        time.sleep(0.05)
    raise RuntimeError("The batch ended before a worker could be killed.")


if __name__ == "__main__":
    sys.exit(main())
