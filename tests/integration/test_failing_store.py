"""A database that fails for a while costs no job, whatever is done meanwhile."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from command import PORTRAIT
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from sonimate.apps.jobs.batch_run import local_runners
from sonimate.apps.jobs.job_options import Job
from sonimate.apps.jobs.workers import Limits, Worker
from sonimate.apps.service import job_crew
from sonimate.apps.service.access import ServiceLimits
from sonimate.apps.service.http_api import create_app
from sonimate.apps.service.job_crew import JobCrew
from sonimate.apps.service.job_store import ENDED, JobStore

QUICK = {"size": 256, "steps": 2}


class FailingStore(JobStore):
    """Fails as often as it is told: when progress, an end, or anything is told, or after a claim."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.failures = {"progress": 0, "end": 0, "claimed": 0, "add": 0, "get": 0}

    def _fail(self, what: str) -> None:
        if self.failures[what] > 0:
            self.failures[what] -= 1
            raise OperationalError("SQL", {}, Exception("away"))

    def change(self, job_id: str, **values: Any) -> bool:
        self._fail("end" if values.get("status") in ENDED else "progress" if "stage" in values else "get")
        return super().change(job_id, **values)

    def claim(self) -> dict[str, Any] | None:
        job = super().claim()
        if job:
            self._fail("claimed")
        return job

    def add(self, *values: Any) -> tuple[dict[str, Any], bool]:
        self._fail("add")
        return super().add(*values)

    def get(self, *values: Any) -> dict[str, Any] | None:
        self._fail("get")
        return super().get(*values)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(job_crew, "SECONDS_UNTIL_STORE_IS_ASKED_AGAIN", 0.01)
    monkeypatch.setattr(job_crew, "SECONDS_BETWEEN_CLEANINGS", 0.1)
    (tmp_path / "jobs").mkdir()
    return FailingStore(f"sqlite:///{tmp_path / 'jobs.db'}")


@pytest.fixture
def http(store, tmp_path):
    folder = tmp_path / "jobs"
    with local_runners(1, Limits(), 1) as runners:
        crew = JobCrew(store, folder, runners, memory_mb=4000, keep_seconds=3600)
        with TestClient(create_app(store, crew, folder, ServiceLimits(), [])) as http:
            yield http


def post(http: TestClient, sound: Path, seed: int = 0) -> Any:
    files = {"portrait": PORTRAIT.read_bytes(), "audio": sound.read_bytes()}
    options = json.dumps({**QUICK, "duration": 0.3, "seed": seed})
    return http.post("/v1/animations", files=files, data={"options": options})


def test_jobs_end_right_although_their_database_fails(store, http, words):
    for failures, attempts in (({"progress": 1000, "end": 3}, 1), ({"claimed": 1}, 2)):
        store.failures |= failures
        job = post(http, words, attempts).json()["id"]
        while (row := store.get(job))["status"] not in ENDED:
            time.sleep(0.02)
        assert (row["status"], row["attempts"]) == ("succeeded", attempts)
        store.failures["progress"] = 0


def test_requests_are_told_to_come_again_and_leave_nothing(store, http, words, tmp_path):
    for failing, ask in (
        ("add", lambda: post(http, words)),
        ("get", lambda: http.get(f"/v1/animations/{'0' * 32}")),
    ):
        store.failures[failing] = 1
        answer = ask()
        assert answer.status_code == 503
        assert "Retry-After" in answer.headers
    assert list((tmp_path / "jobs").iterdir()) == []


def test_an_owner_that_fails_leaves_no_answers_to_the_next_job(words, tmp_path):
    worker = Worker()

    def fail(*_: Any) -> None:
        raise OSError("the owner's own")

    def job(output: str, seed: int) -> Job:
        options = QUICK | {"seed": seed}
        return Job(
            portrait=str(PORTRAIT), audio=str(words), output=output, options=options, folder=str(tmp_path)
        )

    try:
        with pytest.raises(OSError, match="own"):
            worker.run(job("1.mp4", 2), fail)
        outcome = worker.run(job("2.mp4", 3))
        assert outcome.report
        assert outcome.report["seed"] == 3
        assert (tmp_path / "2.mp4").exists()
    finally:
        worker.close()
