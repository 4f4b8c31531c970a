"""The service whose workers are on a Ray cluster, here this machine: a killed actor loses no job."""

import os
import signal
import time

import pytest
import ray
from test_service import ANN, client, post, wait

from sonimate.apps.jobs.ray_actors import ray_runners
from sonimate.apps.jobs.workers import Limits

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_jobs_on_ray_outlive_their_actor_and_can_be_cancelled(words, tmp_path):
    with ray_runners("local", 1, Limits()) as runners, client(tmp_path, runners, upload_mb=1.0) as http:

        def moving(job: dict) -> str:
            """The address of a job, when its progress has come from the cluster."""
            path = f"/v1/animations/{job['id']}"
            while http.get(path, headers=ANN).json()["progress"]["stage"] != "move":
                time.sleep(0.05)
            return path

        long, short = post(http, words, steps=1000).json(), post(http, words).json()
        path = moving(long)
        actor, worker = ray.get(runners[0].actor.pids.remote())
        os.kill(actor, signal.SIGKILL)
        while ray.get(runners[0].actor.pids.options(max_task_retries=-1).remote())[1] in (0, worker):
            time.sleep(0.05)
        assert http.get(path, headers=ANN).json()["status"] == "running"
        assert http.post(f"{path}/cancel", headers=ANN).json()["status"] == "cancelled"
        assert wait(http, short)["status"] == "succeeded"
        assert sorted(path.name for path in (tmp_path / "jobs" / long["id"]).iterdir()) == []
