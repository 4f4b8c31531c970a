"""The service under load: requests of many clients while workers run, a worker and the server are killed.

Prints lost, duplicated and stuck jobs, and the time of status calls. Exit code 1 if a job was lost, made
twice or ended wrong.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from lib.service_process import UNLIMITED, ServiceProcess

ROOT = Path(__file__).parents[1]
PORTRAIT = (ROOT / "examples/portraits/obama.jpg").read_bytes()
SOUND = (ROOT / "examples/speech/librivox_ss_0890.wav").read_bytes()
OPTIONS = {"size": 256, "steps": 2, "duration": 0.2}


def main(argv: list[str] | None = None) -> int:
    """Run the load and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--no-kill", action="store_true", help="kill neither a worker nor the server")
    parser.add_argument("--ray", metavar="ADDRESS", help='of `sonimate serve`, such as "local"')
    args = parser.parse_args(argv)
    with TemporaryDirectory(prefix="sonimate-load-") as name:
        ray = ["--ray", args.ray] if args.ray else []
        server = ServiceProcess(Path(name), *UNLIMITED, "--jobs", str(args.workers), *ray)
        status_ms: list[float] = []
        started = time.perf_counter()
        if not args.no_kill:
            threading.Thread(target=disturb, args=(server, Path(name), args.requests)).start()

        def one(number: int) -> tuple[str, str]:
            return make(server.url, number, status_ms)

        with ThreadPoolExecutor(args.clients) as pool:
            ended = list(pool.map(one, range(args.requests)))
        seconds = time.perf_counter() - started
        server.stop()
        rows = sqlite3.connect(Path(name) / "jobs.db").execute("select id, status from animations").fetchall()
    status_ms.sort()
    statuses = Counter(status for _, status in ended)
    twice = len(ended) - len({job for job, _ in ended})
    print(f"{args.requests} requests of {args.clients} clients, {args.workers} workers: {seconds:.0f} s")
    print(f"ended: {dict(statuses)}; jobs in the database: {len(rows)}; duplicated: {twice}")
    p99 = status_ms[int(0.99 * len(status_ms))]
    print(f"status calls: {len(status_ms)}, median {status_ms[len(status_ms) // 2]:.0f} ms, p99 {p99:.0f} ms")
    return not (statuses == {"succeeded": args.requests} and not twice and len(rows) == args.requests)


def make(url: str, number: int, status_ms: list[float]) -> tuple[str, str]:
    """Have a video made, as a client that tries again while the server is away; returns id and status."""
    files = {"portrait": ("p.jpg", PORTRAIT), "audio": ("a.wav", SOUND)}
    data = {"options": json.dumps({**OPTIONS, "seed": number})}
    job = ""
    with httpx.Client(base_url=url, timeout=60) as http:
        while True:
            try:
                if not job:
                    headers = {"Idempotency-Key": str(number)}
                    answer = http.post("/v1/animations", files=files, data=data, headers=headers)
                    job = answer.raise_for_status().json()["id"]
                started = time.perf_counter()
                state = http.get(f"/v1/animations/{job}").raise_for_status().json()
                status_ms.append(1e3 * (time.perf_counter() - started))
                if state["status"] == "succeeded":
                    assert http.get(f"/v1/animations/{job}/video").content[4:8] == b"ftyp"
                if state["status"] in ("succeeded", "failed", "cancelled"):
                    return job, state["status"]
            except httpx.TransportError:
                pass
            time.sleep(0.3)


def disturb(server: ServiceProcess, folder: Path, requests: int) -> None:
    """Kill a worker when a fifth of the jobs is done, and the server when two fifths are."""
    for share, kill in ((0.2, server.kill_worker), (0.4, server.kill)):
        while len(list(folder.glob("jobs/*/video.mp4"))) < share * requests:
            time.sleep(0.05)
        kill()
    server.start()


if __name__ == "__main__":
    sys.exit(main())
