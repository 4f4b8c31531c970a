"""Worker processes keep their model, and nothing that happens to one is lost on its owner."""

import os
import signal
import threading
from pathlib import Path

import pytest
from command import PORTRAIT

from sonimate.apps.jobs.job_options import Job
from sonimate.apps.jobs.workers import Limits, Worker

QUICK = {"size": 256, "steps": 2}


@pytest.fixture(scope="module")
def worker():
    worker = Worker()
    yield worker
    worker.close()


def job(folder: Path, sound: Path, name: str = "out.mp4", **options: object) -> Job:
    return Job(
        portrait=str(PORTRAIT), audio=str(sound), output=name, folder=str(folder),
        options=QUICK | options,
    )  # fmt: skip


def test_the_second_job_of_a_worker_loads_no_model(worker, words, tmp_path):
    stages = []
    first = worker.run(job(tmp_path, words, "1.mp4"), lambda *step: stages.append(step))
    second = worker.run(job(tmp_path, words, "2.mp4", steps=3))
    assert first.error is None
    assert {"read", "load", "listen", "move", "draw"} <= {stage for stage, _, _ in stages}
    assert (first.report["model_loads"], second.report["model_loads"]) == (1, 0)
    assert first.pid == second.pid
    assert sorted(os.listdir(tmp_path)) == ["1.mp4", "2.mp4"]


def test_bad_input_is_an_outcome_that_names_the_file_as_given(worker, words, tmp_path):
    (tmp_path / "portrait").write_bytes(b"no picture")
    bad = Job(portrait="portrait", audio=str(words), output="out.mp4", folder=str(tmp_path))
    outcome = worker.run(bad)
    assert (outcome.status, outcome.error["code"]) == ("failed", "unreadable_image")
    assert str(tmp_path) not in outcome.error["message"]
    assert not outcome.worth_another_try


def test_a_cancelled_job_leaves_nothing_and_the_worker_goes_on(worker, words, tmp_path):
    cancelled = threading.Event()
    outcome = worker.run(job(tmp_path, words, steps=1000), lambda *_: cancelled.set(), cancelled)
    pid = worker.pid
    assert outcome.status == "cancelled"
    assert os.listdir(tmp_path) == []
    assert worker.run(job(tmp_path, words)).status == "succeeded"
    assert worker.pid == pid


def test_a_killed_worker_leaves_nothing_and_starts_again(worker, words, tmp_path):
    def kill_while_it_draws(stage: str, done: int, _: int) -> None:
        if (stage, done) == ("draw", 3):
            os.kill(worker.pid, signal.SIGKILL)

    outcome = worker.run(job(tmp_path, words), kill_while_it_draws)
    assert outcome.error["code"] == "worker_died"
    assert outcome.worth_another_try
    assert os.listdir(tmp_path) == []
    assert worker.run(job(tmp_path, words)).status == "succeeded"


@pytest.mark.parametrize(
    ("limits", "code"),
    [(Limits(seconds=0.0), "time_limit_reached"), (Limits(memory_mb=1), "memory_limit_reached")],
)
def test_limits_end_a_job(words, tmp_path, limits, code):
    worker = Worker(limits=limits)
    outcome = worker.run(job(tmp_path, words))
    assert outcome.error
    assert outcome.error["code"] == code
    assert not worker.pid
    assert os.listdir(tmp_path) == []
