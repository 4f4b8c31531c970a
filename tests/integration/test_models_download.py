"""`sonimate models download`, run as users run it, against a hub on localhost."""

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_hub import FakeHub, fake_hub

from sonimate.apps.cli import build_parser
from sonimate.checkpoints.download import SOURCES
from sonimate.checkpoints.release import Release

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub() as served:
        yield served


@pytest.fixture
def run(hub: FakeHub, tmp_path: Path) -> Run:
    """Runs the command with arguments and further environment variables."""

    def command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        private = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "*"}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        line = [sys.executable, "-W", "error", "-m", "sonimate", "models", "download", *map(str, arguments)]
        return subprocess.run(
            line, env=kept | private | environment, capture_output=True, text=True, timeout=120, check=False
        )

    return command


def test_all_files_then_the_next_command(run: Run, hub: FakeHub, tmp_path: Path) -> None:
    folder = tmp_path / "my files"
    done = run("-o", folder, "--accept-licences")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert all(source.licence in done.stderr for source in SOURCES)
    program, *line = shlex.split(done.stdout)
    assert program == "sonimate"
    asked = build_parser().parse_args(line)
    assert (asked.command, asked.action) == ("models", "convert")
    release = Release(sonic=asked.sonic, svd=asked.svd, whisper=asked.whisper)
    assert len(release.files()) == 7
    assert len(release.configs()) == 4
    hub.transfers()
    assert run("-o", folder, "--accept-licences").returncode == 0
    assert hub.transfers() == []


def test_without_accepted_licences_nothing_is_asked_of_the_hub(
    run: Run, hub: FakeHub, tmp_path: Path
) -> None:
    refused = run("-o", tmp_path / "files")
    assert refused.returncode == 2
    assert refused.stderr.startswith("sonimate: error: Nothing was downloaded.")
    assert "--accept-licences" in refused.stderr
    for source in SOURCES:
        assert f"({source.repo_id}): {source.licence}, {source.licence_url}" in refused.stderr
    assert refused.stdout == ""
    assert hub.requests == []
    assert not (tmp_path / "files").exists()


def test_failures_end_in_one_line_that_says_what_to_do(run: Run, hub: FakeHub, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        cases = {
            "cannot be reached": {"HF_ENDPOINT": nobody},
            "HF_HUB_OFFLINE is set": {"HF_HUB_OFFLINE": "1"},
            "is gated (401)": {},
        }
        hub.refusal[SOURCES[0].repo_id] = (401, "GatedRepo", "You must be authenticated to access it.")
        for message, environment in cases.items():
            failed = run("-o", tmp_path / "files", "--accept-licences", **environment)
            assert failed.returncode == 2
            assert "Traceback" not in failed.stderr
            last = failed.stderr.splitlines()[-1]
            assert last.startswith("sonimate: error: ")
            assert message in last
            assert not [path for path in tmp_path.rglob("*") if path.is_file() and "home" not in path.parts]
