"""A worker process: makes one video after another and keeps the model that it loaded.

Its owner (`workers.Worker`) writes JSON lines to its standard input: {"job": {...}, "number": N} and
{"cancel": N}. Its answers on standard output are {"stage", "done", "total"} while it works, and {"report"}
or {"error"} at the end. Everything else that is printed goes to standard error, the log. When its input ends,
its owner is gone: it removes what is unfinished and ends.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, TextIO

from sonimate.apps.animate import load_pipeline, make_video
from sonimate.apps.animate_inputs import check_options, read_files
from sonimate.apps.jobs.job_options import Job, job_arguments
from sonimate.apps.outputs import check_output
from sonimate.apps.progress import Lines, Watch
from sonimate.apps.streams import say
from sonimate.errors import JobCancelled, SonimateError
from sonimate.face.mesh import FaceMesh

SECONDS_TO_CLEAN_UP = 5.0


class Loop:
    """Takes jobs from `requests` and answers to `answers`."""

    def __init__(self, requests: TextIO, answers: TextIO) -> None:
        self._requests, self._answers = requests, answers
        self._jobs: SimpleQueue[tuple[Job, int] | None] = SimpleQueue()
        self._cancelled: set[int] = set()
        self._orphaned = False
        self._load = lru_cache(maxsize=1)(load_pipeline)
        self._mesh = FaceMesh(num_threads=1)

    def run(self) -> None:
        """Work until the requests end."""
        threading.Thread(target=self._listen, daemon=True).start()
        while request := self._jobs.get():
            self.answer(**self._outcome(*request))

    def answer(self, **message: Any) -> None:
        print(json.dumps(message), file=self._answers, flush=True)

    def check(self, number: int) -> None:
        """Raise JobCancelled if the job of this number is not wanted any more."""
        if self._orphaned or number in self._cancelled:
            raise JobCancelled("The job was cancelled. Give it again to have its video.")

    def _listen(self) -> None:
        for line in self._requests:
            message = json.loads(line)
            if "job" in message:
                self._jobs.put((Job(**message["job"]), message["number"]))
            else:
                self._cancelled.add(message["cancel"])
        self._orphaned = True
        self._jobs.put(None)
        threading.Timer(SECONDS_TO_CLEAN_UP, os._exit, [1]).start()

    def _outcome(self, job: Job, number: int) -> dict[str, Any]:
        try:
            os.chdir(job.folder)
            _print_to(job.log or os.devnull)
            args = job_arguments(job)
            check_output(args.output, *job.inputs, overwrite=True, ask=False)
            if job.only_check:
                check_options(args)
                read_files(args, {1: args.audio}, self._mesh)
                return {"report": {}}
            with Watch(args.started, view=Answers(self, number)) as watch:
                loads = self._load.cache_info().misses
                report = make_video(args, watch, load=self._load, mesh=self._mesh)
            return {"report": report | {"model_loads": self._load.cache_info().misses - loads}}
        except SonimateError as error:
            return {"error": {"code": error.code, "message": str(error)}}
        except Exception as error:
            traceback.print_exc()
            kind = f"{type(error).__name__}: {error}"
            return {"error": {"code": "defect", "message": f"A defect of sonimate ({kind}). See the log."}}


class Answers(Lines):
    """Shows the progress of a job to the owner of the worker, and asks at every step whether to go on."""

    def __init__(self, loop: Loop, number: int) -> None:
        super().__init__()
        self._loop, self._number = loop, number

    def update(self, stage: str, done: int, total: int, seconds: float) -> None:
        self._loop.check(self._number)
        self._loop.answer(stage=stage, done=done, total=total)

    def say(self, text: str) -> None:
        say(text)


def _print_to(path: str) -> None:
    """Add what this process prints, in Python and in libraries, to a file."""
    with open(path, "a", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdin.reconfigure(encoding="utf-8")  # pyright: ignore
    Loop(sys.stdin, answers).run()
    os._exit(0)
