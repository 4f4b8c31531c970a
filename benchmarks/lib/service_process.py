"""`sonimate serve` as a process of its own, on a free port."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

SECONDS_TO_START = 60.0
UNLIMITED = ("--queue", "10000", "--per-minute", "100000")


class ServiceProcess:
    """Serves the jobs of `folder`. Its log, in `folder`/log, says at which port."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder, self._words, self.port = folder, words, 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self) -> None:
        """Start it, or start it again at the same port, and wait until it answers."""
        command = [sys.executable, "-m", "sonimate", "serve", "--data", str(self.folder), *self._words]
        self.folder.mkdir(exist_ok=True)
        self.log.write_text("")
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )
        deadline = time.monotonic() + SECONDS_TO_START
        while not (found := re.search(r"running on http://127\.0\.0\.1:(\d+)", self.log.read_text())):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"sonimate serve did not start:\n{self.log.read_text()}")
            time.sleep(0.05)
        self.port = int(found[1])

    def server(self) -> psutil.Process:
        return psutil.Process(self._process.pid)

    def children(self, words: str) -> list[psutil.Process]:
        """The processes of the server whose command has these words, the oldest first."""
        found = [each for each in self.server().children(recursive=True) if words in " ".join(each.cmdline())]
        return sorted(found, key=psutil.Process.create_time)

    def workers(self) -> list[psutil.Process]:
        """The processes that make videos or check uploads."""
        return self.children("sonimate.apps.jobs.job_loop")

    def kill_worker(self) -> None:
        """Kill a worker process that makes videos, or on Ray the actor that owns one."""
        found = self.children("ray::JobActor") if "--ray" in self._words else self.workers()
        found[-1].kill()  # the first worker only checks uploads

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
