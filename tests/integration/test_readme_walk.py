"""A newcomer's walk: the README's shell commands one after the other, as they stand, in a clean clone."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from os import environ
from pathlib import Path

import pytest
from test_documented_commands import ROOT, shell_lines

from sonimate.media.video import read_frames

COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    for line in shell_lines(block)
]
INSTALLING = {"sudo", "make", ".venv/bin/pip"}
"""Programs that `.ci/run` covers: it installs by the Makefile."""
PLACEHOLDER = re.compile(r"\b[A-Z]{2,}\b")
"""Commands on files of the reader's train a model; test_documented_commands.py parses them."""


def is_walked(line: str) -> bool:
    return shlex.split(line)[0] not in INSTALLING and not PLACEHOLDER.search(line)


WALKED = [line for line in COMMANDS if is_walked(line)]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The tracked files, and beside them the installed packages, as after `make demo`."""
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name, follow_symlinks=False)
    (folder / ".venv").symlink_to(sys.prefix)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("line", WALKED)
def test_the_command_runs_as_it_stands(line: str, clone: Path) -> None:
    before = set(clone.rglob("*"))
    run = subprocess.run(
        ["sh", "-c", line],
        cwd=clone,
        env={**environ, "PYTHONPATH": str(clone / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout
    assert "Traceback" not in run.stderr
    words = shlex.split(line)
    named = {clone / words[words.index("-o") + 1]} if "-o" in words else set()
    assert set(clone.rglob("*")) - before == named
    for path in named:
        assert path.suffix not in {".mp4", ".mov"} or len(list(read_frames(path))) > 50


def test_the_walk_goes_through_the_readme() -> None:
    """So that the test above cannot pass for want of commands, nor others be left out unseen."""
    verbs = [shlex.split(line)[1] for line in WALKED]
    assert verbs.count("animate") >= 2
    assert {"faces", "doctor", "--help"} <= set(verbs)
    left_out = {" ".join(shlex.split(line)[:2]) for line in COMMANDS if not is_walked(line)}
    training = ("recipe", "animate", "prepare", "speech", "features", "train")
    of_trainers = {f".venv/bin/sonimate {verb}" for verb in training}
    assert left_out <= {"sudo apt", "make demo", ".venv/bin/pip install", *of_trainers}
