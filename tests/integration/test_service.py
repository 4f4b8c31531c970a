"""The HTTP service: jobs are made once, survive a restart, and clients see only their own."""

import json
import logging
import logging.config
import os
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from command import PORTRAIT
from fastapi.testclient import TestClient

import service_schema
from sonimate.apps.jobs.batch_run import local_runners
from sonimate.apps.jobs.job_options import Job
from sonimate.apps.jobs.workers import NICENESS, JobRunner, Limits, Worker
from sonimate.apps.service.access import ServiceLimits
from sonimate.apps.service.http_api import create_app
from sonimate.apps.service.job_crew import JobCrew
from sonimate.apps.service.job_store import JobStore
from sonimate.apps.service.observing import LOGGING

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
QUICK = {"size": 256, "steps": 2, "duration": 0.3}
ANN, BOB = {"X-API-Key": "ann"}, {"X-API-Key": "bob"}


@contextmanager
def client(data: Path, runners: Sequence[JobRunner] = (), **limits: Any) -> Generator[TestClient]:
    """The service on a folder; by default with one worker process."""
    store, folder = JobStore(f"sqlite:///{data / 'jobs.db'}"), data / "jobs"
    folder.mkdir(exist_ok=True)
    with local_runners(0 if runners else 1, Limits(), 1) as local:
        crew = JobCrew(store, folder, runners or local, memory_mb=4000, keep_seconds=3600)
        with TestClient(create_app(store, crew, folder, ServiceLimits(**limits), ["ann", "bob"])) as http:
            yield http


def post(
    http: TestClient, sound: Path, portrait: bytes | None = None, key: str | None = None, **options: Any
):
    files = {
        "portrait": ("../../etc/passwd", portrait or PORTRAIT.read_bytes()),
        "audio": ("a", sound.read_bytes()),
    }
    headers = ANN | ({"Idempotency-Key": key} if key else {})
    return http.post(
        "/v1/animations", files=files, data={"options": json.dumps(QUICK | options)}, headers=headers
    )


def wait(http: TestClient, job: dict) -> dict:
    lines = http.get(f"/v1/animations/{job['id']}/events", headers=ANN).text.split("\n\n")
    return json.loads(lines[-2].removeprefix("data: "))


def test_a_job_is_made_once_and_only_its_owner_sees_it(words, tmp_path):
    with client(tmp_path) as http:
        answer = post(http, words, key="once")
        job = answer.json()
        assert (answer.status_code, job["status"]) == (202, "queued")
        assert post(http, words, key="once").json()["id"] == job["id"]
        assert post(http, words, key="once", seed=1).status_code == 409
        assert wait(http, job)["status"] == "succeeded"
        video = http.get(f"/v1/animations/{job['id']}/video", headers=ANN)
        assert video.headers["content-type"] == "video/mp4"
        assert video.content[4:8] == b"ftyp"
        for headers, code in ((BOB, 404), ({}, 401), ({"X-API-Key": "eve"}, 401)):
            for path in ("", "/video", "/events"):
                assert http.get(f"/v1/animations/{job['id']}{path}", headers=headers).status_code == code
        numbers = http.get("/metrics").text
        assert 'sonimate_jobs{status="succeeded"} 1.0' in numbers
        assert 'sonimate_job_seconds_count{status="succeeded"} 1.0' in numbers
        queued = 'sonimate_request_seconds_count{method="POST",route="/v1/animations",status="202"} 2.0'
        assert queued in numbers
        assert [path.name for path in (tmp_path / "jobs" / job["id"]).iterdir()] == ["video.mp4"]
        assert http.delete(f"/v1/animations/{job['id']}", headers=ANN).status_code == 204
        assert list((tmp_path / "jobs").iterdir()) == []


def test_the_log_is_lines_of_json(tmp_path, capsys):
    logging.config.dictConfig(LOGGING)
    try:
        with client(tmp_path) as http:
            http.get("/v1/animations/x%0Ay", headers=ANN)
            logging.getLogger("uvicorn.error").error("bad", exc_info=ValueError("why"))
    finally:
        for name in LOGGING["loggers"]:
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = [], True
    asked, bad = map(json.loads, capsys.readouterr().out.splitlines())
    assert (asked["event"], asked["status"]) == ("request", 422)
    assert asked["route"] == "/v1/animations/{job_id}"
    assert (bad["level"], bad["event"]) == ("error", "bad")
    assert "ValueError: why" in bad["exception"]


@pytest.mark.parametrize("key", ["a\x01", "a\x7f", "x" * 256])
def test_an_idempotency_key_is_short_and_can_be_read(words, tmp_path, key):
    with client(tmp_path) as http:
        assert post(http, words, key=key).status_code == 422


def test_workers_let_the_server_answer_first(tmp_path):
    worker = Worker()
    try:
        worker.run(Job(portrait=str(PORTRAIT), audio="none.wav", output="v.mp4", folder=str(tmp_path)))
        process = psutil.Process(worker.pid)
        assert process.nice() > psutil.Process().nice() or process.nice() >= NICENESS
        assert os.getsid(worker.pid) == os.getsid(0)
        assert os.getpgid(worker.pid) != os.getpgid(0)
    finally:
        worker.close()


def test_a_transparent_video_is_webm_and_no_path_is_a_background(words, tmp_path):
    with client(tmp_path) as http:
        job = post(http, words, background="transparent").json()
        assert wait(http, job)["status"] == "succeeded"
        video = http.get(f"/v1/animations/{job['id']}/video", headers=ANN)
        assert video.headers["content-type"] == "video/webm"
        assert video.content[:4] == b"\x1aE\xdf\xa3"
        for path in ("/etc/passwd", "../jobs.db", "portrait.png"):
            assert post(http, words, background=path).status_code == 422


def test_bad_uploads_and_bad_requests_are_refused_and_leave_nothing(words, tmp_path):
    with client(tmp_path, upload_mb=1.0, queue=5) as http:
        bad: tuple[tuple[bytes | None, dict[str, Any], str], ...] = (
            (b"no picture", {}, "unreadable_image"),
            (None, {"face": 2}, "no_face_found"),
            (words.read_bytes(), {}, "inputs_swapped"),
        )
        for portrait, options, code in bad:
            answer = post(http, words, portrait=portrait, **options)
            assert (answer.status_code, answer.json()["code"]) == (422, code)
            assert str(tmp_path) not in answer.json()["detail"]
        assert list((tmp_path / "jobs").iterdir()) == []
        wrong: tuple[dict[str, Any], ...] = (
            {"steps": 0},
            {"model": "/etc"},
            {"device": "cpu"},
            {"duration": "x"},
        )
        for options in wrong:
            assert post(http, words, **options).status_code == 422
        assert post(http, words, portrait=bytes(2_000_000)).status_code == 413
        assert http.get("/v1/animations/..%2f..%2fjobs.db", headers=ANN).status_code in (404, 422)
        assert http.post("/v1/animations", content=b"--x", headers=ANN).status_code == 422


def test_what_a_stop_interrupts_is_made_after_the_next_start(words, tmp_path):
    with client(tmp_path) as http:
        job = post(http, words, steps=1000, size=256).json()
        while http.get(f"/v1/animations/{job['id']}", headers=ANN).json()["status"] != "running":
            time.sleep(0.05)
        other = post(http, words).json()
    with client(tmp_path) as http:
        assert http.post(f"/v1/animations/{job['id']}/cancel", headers=ANN).json()["status"] == "cancelled"
        assert wait(http, other)["status"] == "succeeded"
        assert http.get(f"/v1/animations/{job['id']}", headers=ANN).json()["status"] == "cancelled"


def test_a_removed_job_leaves_nothing_even_while_it_is_made(words, tmp_path):
    with client(tmp_path) as http:
        job = post(http, words, steps=1000, size=256).json()
        path = f"/v1/animations/{job['id']}"
        while http.get(path, headers=ANN).json()["progress"]["stage"] != "move":
            time.sleep(0.05)
        assert http.delete(path, headers=ANN).status_code == 204
        assert http.get(path, headers=ANN).status_code == 404
        assert wait(http, post(http, words).json())["status"] == "succeeded"
        assert not (tmp_path / "jobs" / job["id"]).exists()


def test_every_method_of_an_address_is_named(tmp_path):
    with client(tmp_path) as http:
        answer = http.put(f"/v1/animations/{'0' * 32}")
        assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET")


def test_the_service_keeps_to_its_openapi_document(capfd):
    assert service_schema.main(["--examples", "3"]) == 0, capfd.readouterr().out
