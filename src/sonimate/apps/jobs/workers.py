"""The owner's side of worker processes: gives them jobs, watches their time and memory, restarts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from queue import Empty, SimpleQueue
from typing import IO, Any, Protocol

import psutil

from sonimate.apps.jobs.job_options import Job
from sonimate.errors import JobCancelled, MemoryLimitReached, SonimateError, TimeLimitReached, WorkerDied
from sonimate.media.files import remove_partials

SECONDS_BETWEEN_CHECKS = 0.2
SECONDS_TO_CANCEL = 10.0
"""A worker that does not stop a job within this time is ended, and its model with it."""

NICENESS = 10
"""Of workers where priorities are numbers: their owner, who answers people, comes first."""

RETRIED = frozenset({"worker_died", "defect"})
"""Codes of errors that another try may not meet again."""

JobProgress = Callable[[str, int, int], None]
"""Called with stage, done and total, as in `types.Progress`."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of a job. memory_mb: resident memory of the worker process in 10^6 bytes, the model included."""

    seconds: float = 3600.0
    memory_mb: float = 8000.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a job ended. report: that of `sonimate animate --json`, with "model_loads"; or error: "code" and
    "message". pid: of the worker process."""

    report: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    pid: int = 0

    @property
    def status(self) -> str:
        """succeeded, failed or cancelled."""
        if self.error is None:
            return "succeeded"
        return "cancelled" if self.error["code"] == "job_cancelled" else "failed"

    @property
    def worth_another_try(self) -> bool:
        return self.error is not None and self.error["code"] in RETRIED


class JobRunner(Protocol):
    """Makes videos, one job at a time: a worker process here, or one on a Ray cluster."""

    def run(
        self, job: Job, progress: JobProgress | None = None, cancelled: threading.Event | None = None
    ) -> Outcome:
        """Make the video of a job and return when it ended. Raises nothing that the job causes."""
        ...


class Worker:
    """A worker process, started with its first job and again whenever it has died. One job at a time.

    threads: of the networks' arithmetic.
    """

    def __init__(self, *, limits: Limits = Limits(), threads: int = 1) -> None:
        self.limits, self._threads = limits, threads
        self._number = 0
        self._process: subprocess.Popen[str] | None = None
        self._answers: SimpleQueue[dict[str, Any] | None] = SimpleQueue()

    @property
    def pid(self) -> int:
        """Of the process; 0 while none runs."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def run(
        self, job: Job, progress: JobProgress | None = None, cancelled: threading.Event | None = None
    ) -> Outcome:
        """See `JobRunner.run`."""
        pid = 0
        try:
            pid = self._send_job(job)
            return Outcome(pid=pid, **self._wait(progress, cancelled or threading.Event()))
        except SonimateError as error:
            self.close()
            remove_partials(job.output_path.parent, pid)
            return Outcome(error={"code": error.code, "message": str(error)}, pid=pid)
        except BaseException:
            self.close()  # else its answers to this job would be taken for those to the next one
            raise

    def close(self) -> None:
        """End the process at once."""
        process, self._process = self._process, None
        if process:
            process.kill()
            if process.stdin:
                with suppress(OSError):
                    process.stdin.close()
            process.wait()

    def _send_job(self, job: Job) -> int:
        if not self.pid:
            self.close()
            self._start(job.log or os.devnull)
        self._number += 1
        self._send({"number": self._number, "job": asdict(job) | {"folder": os.path.abspath(job.folder)}})
        return self.pid

    def _start(self, log_path: str) -> None:
        variables = {"OMP_NUM_THREADS": str(self._threads), "PYTHONPATH": os.pathsep.join(sys.path)}
        with open(log_path, "a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sonimate.apps.jobs.job_loop"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                env=os.environ | variables,
                # Ctrl-C on a terminal is for the owner alone. In a session of its own Linux would compare the
                # priority of a worker with nothing else.
                process_group=0 if os.name == "posix" else None,
            )
        if not psutil.WINDOWS:
            with suppress(psutil.Error):
                process = psutil.Process(self._process.pid)
                process.nice(max(NICENESS, process.nice()))
        self._answers = SimpleQueue()
        threading.Thread(target=_collect, args=(self._process.stdout, self._answers), daemon=True).start()

    def _send(self, message: dict[str, Any]) -> None:
        if self._process is None or self._process.stdin is None:
            raise _died()
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise _died() from error

    def _wait(self, progress: JobProgress | None, cancelled: threading.Event) -> dict[str, Any]:
        deadline, told = time.monotonic() + self.limits.seconds, False
        while True:
            with suppress(Empty):
                answer = self._answers.get(timeout=SECONDS_BETWEEN_CHECKS)
                if answer is None:
                    raise _died()
                if "report" in answer or "error" in answer:
                    return answer
                if progress and "stage" in answer:
                    progress(answer["stage"], answer["done"], answer["total"])
            now = time.monotonic()
            if cancelled.is_set() and not told:
                told, deadline = True, now + SECONDS_TO_CANCEL
                self._send({"cancel": self._number})
            if now > deadline:
                raise (
                    JobCancelled("The job was cancelled. Give it again to have its video.")
                    if told
                    else TimeLimitReached(
                        f"The job took longer than {self.limits.seconds:g} s. Use a shorter sound, fewer "
                        "steps or a smaller size, or raise the limit."
                    )
                )
            self._check_memory()

    def _check_memory(self) -> None:
        with suppress(psutil.Error):
            held_mb = psutil.Process(self.pid).memory_info().rss / 1e6 if self.pid else 0.0
            if held_mb > self.limits.memory_mb:
                raise MemoryLimitReached(
                    f"The job needs more than {self.limits.memory_mb:g} MB of memory. Use a smaller picture "
                    "or a shorter sound, or raise the limit."
                )


def _collect(lines: IO[str], answers: SimpleQueue[dict[str, Any] | None]) -> None:
    """Put the answers of a process into a queue; None at their end."""
    with suppress(ValueError, OSError):  # closed, or a line that a kill cut short
        for line in lines:
            answers.put(json.loads(line))
    answers.put(None)
    lines.close()


def _died() -> WorkerDied:
    return WorkerDied("The worker process ended before the video was done: killed, or crashed. Try again.")
