"""Malformed requests to the service: each is refused with 4xx, and neither memory nor files grow.

service_malformed.py
service_malformed.py --cases 100

Pictures, sounds, forms, ids, headers, options, idempotency keys and sizes are made wrong by a fixed seed. A
damaged picture or sound that can still be read makes a job, which then must succeed. A request that ends too
early, or is no HTTP, may be closed without an answer. The exit code is 1 after anything else.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx

from lib.malformed_requests import KEY, KINDS, UPLOAD_MB, Malformed, is_whole, kind, send
from lib.service_process import UNLIMITED, ServiceProcess

MAX_GROWTH_MB = 30
"""Of a process, from when the first fifth of the cases has been answered to the end."""
MAY_BE_READABLE = ("picture", "sound")


def main(argv: list[str] | None = None) -> int:
    """Send the requests and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1000, help="number of requests (default: 1000)")
    cases = parser.parse_args(argv).cases
    with tempfile.TemporaryDirectory(prefix="sonimate-malformed-") as name:
        folder = Path(name)
        requests = Malformed(folder)
        (folder / "keys").write_text(KEY)
        words = ["--keys", str(folder / "keys"), "--upload-mb", str(UPLOAD_MB)]
        server = ServiceProcess(folder, *words, *UNLIMITED, "--jobs", "1")
        try:
            wrong = try_all(server, requests, cases)
        finally:
            server.stop()
        for line in server.log.read_text().splitlines() if wrong else ():
            if "exception" in line or '"status": 5' in line:
                print(line)
    return bool(wrong)


def try_all(server: ServiceProcess, requests: Malformed, cases: int) -> list[str]:
    """Send the cases and print what came of them; what is wrong."""
    wrong: list[str] = []
    jobs = [make(server, requests.good())]
    wait(server, jobs)
    before, early = state(server), memory_mb(server)
    answers: dict[str, Counter[int]] = {name: Counter() for name in KINDS}
    started, slowest = time.perf_counter(), 0.0
    for case in range(cases):
        request, sent = requests.request(case), time.perf_counter()
        status, body = send(server.port, request)
        slowest = max(slowest, time.perf_counter() - sent)
        answers[kind(case)][status] += 1
        if status == 202 and kind(case) in MAY_BE_READABLE:
            jobs.append(json.loads(body)["id"])
        elif not (400 <= status < 500 or (status == 0 and not is_whole(request))):
            wrong.append(f"case {case} ({kind(case)}) was answered with {status}: {body[:300]!r}")
        if case == cases // 5:
            early = memory_mb(server)
    seconds, late = time.perf_counter() - started, memory_mb(server)
    ended = wait(server, jobs)
    wrong += [f"job {job['id']} {job['status']}: {job['error']}" for job in ended if job["error"]]
    for job in jobs[1:]:
        httpx.delete(f"{server.url}/v1/animations/{job}", headers={"X-API-Key": KEY}).raise_for_status()
    after = state(server)
    for name, counts in answers.items():
        print(f"{name:8} " + ", ".join(f"{status}: {count}" for status, count in sorted(counts.items())))
    total = sum(answers.values(), Counter())
    refused = sum(count for status, count in total.items() if 400 <= status < 500)
    made = sum(job["status"] == "succeeded" for job in ended[1:])
    print(
        f"{cases} requests in {seconds:.0f} s: {refused} refused with 4xx, {total[0]} without an end closed, "
        f"{len(jobs) - 1} readable, of which {made} became videos; slowest {slowest:.1f} s"
    )
    for name in late:
        print(f"memory of the {name}: {early[name]:.0f} MB after a fifth, {late[name]:.0f} MB at the end")
        if late[name] > early[name] + MAX_GROWTH_MB:
            wrong.append(f"the memory of the {name} grew")
    print(f"before: {before}; after: {after}")
    if after != before:
        wrong.append("files are left")
    print("\n".join(wrong) or "nothing wrong")
    return wrong


def make(server: ServiceProcess, request: bytes) -> str:
    status, body = send(server.port, request)
    assert status == 202, (status, body)
    return json.loads(body)["id"]


def wait(server: ServiceProcess, jobs: list[str]) -> list[dict]:
    """The jobs at their ends."""
    ended: list[dict] = []
    for job in jobs:
        while True:
            shown = httpx.get(f"{server.url}/v1/animations/{job}", headers={"X-API-Key": KEY}).json()
            if shown["status"] not in ("queued", "running"):
                break
            time.sleep(0.1)
        ended.append(shown)
    return ended


def memory_mb(server: ServiceProcess) -> dict[str, float]:
    """Resident memory of the server and of the largest of its other processes."""
    return {
        "server": server.server().memory_info().rss / 1e6,
        "largest worker": max(each.memory_info().rss for each in server.workers()) / 1e6,
    }


def state(server: ServiceProcess) -> dict[str, int]:
    """Files that the server keeps, and those that it has open, sockets and the database left out."""
    opened = [file.path for file in server.server().open_files()]
    return {
        "files": sum(path.is_file() for path in server.folder.rglob("jobs/**/*")),
        "folders": len(list(server.folder.glob("jobs/*"))),
        "open files": sum("jobs.db" not in path for path in opened),
    }


if __name__ == "__main__":
    sys.exit(main())
