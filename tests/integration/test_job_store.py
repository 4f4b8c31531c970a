"""The job store behaves the same on SQLite and on PostgreSQL, also for several callers at once."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from pathlib import Path

import pytest

from sonimate.apps.service.job_store import JobStore


def postgres() -> Generator[str]:
    """The address of a PostgreSQL of the test's own, which listens at a socket in its folder alone."""
    programs = glob("/usr/lib/postgresql/*/bin")
    if not programs:
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    as_user: list[str] = []
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = ["runuser", "-u", "postgres", "--"]
    data = folder / "data"

    def run(program: str, *words: str) -> None:
        command = [*as_user, f"{programs[-1]}/{program}", "-D", str(data), *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    try:
        run("initdb", "-U", "tester", "-A", "trust", "--no-sync")
        run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", f"-k {folder} -c listen_addresses=''", "start")
        try:
            yield f"postgresql+psycopg://tester@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[JobStore]:
    if request.param == "sqlite":
        made = JobStore(f"sqlite:///{tmp_path / 'jobs.db'}")
        yield made
        made.close()
    else:
        for url in postgres():
            made = JobStore(url)
            yield made
            made.close()


def queue(store: JobStore, key: str | None = None, owner: str = "ann") -> str:
    return store.add(uuid.uuid4().hex, owner, {}, "request", key)[0]["id"]


def test_many_callers_claim_every_job_once(store):
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: queue(store), range(40)))
        claimed = list(pool.map(lambda _: store.claim()["id"], range(40)))
    assert sorted(claimed) == sorted(added)
    assert store.claim() is None
    assert store.counts()["running"] == 40


def test_an_idempotency_key_makes_one_job_for_each_owner(store):
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda number: store.add(f"{number}", "ann", {}, "request", "key"), range(16)))
    assert len({job["id"] for job, _ in jobs}) == 1
    assert sum(new for _, new in jobs) == 1
    made = jobs[0][0]["id"]
    assert store.made_by("ann", "key")["id"] == made
    assert store.made_by("bob", "key") is None
    assert queue(store, "key", "bob") != made
    assert store.get(made, "bob") is None


def test_what_nobody_makes_any_more_is_queued_again(store):
    lost, kept = queue(store), queue(store)
    assert {store.claim()["id"], store.claim()["id"]} == {lost, kept}
    store.recover(in_hand=[kept])
    assert store.claim()["id"] == lost
    assert store.claim() is None
    store.recover()
    assert {store.claim()["id"], store.claim()["id"]} == {lost, kept}


def test_an_ended_job_stays_as_it_ended(store):
    job = queue(store)
    assert store.change(job, only_from=("queued",), status="cancelled", ended=1.0)
    assert not store.change(job, only_from=("running",), status="succeeded")
    assert store.claim() is None
    assert store.ended_before(2.0) == [job]
