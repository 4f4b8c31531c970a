"""What users brought: each line of cases.tsv is a command that once fell short, with what it does now.

The commands run in a folder of inputs; $S is the command sonimate, $NOBODY the same by a user who owns none
of the files, $LEAN without the packages of an extra, $FOLDER the folder, $T an empty one. Most run in this
process; those with a shell's own words in a shell. Numbers from 40 on are abilities that users asked for, not
cases.
"""

import csv
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import av
import numpy as np
import pytest
from case_inputs import make_inputs
from faces import mesh
from media_samples import frame_rate
from ordinary_user import an_ordinary_user

from sonimate.apps.cli import main
from sonimate.face.mesh import select_face
from sonimate.face.regions import mouth_opening
from sonimate.media.audio import read_audio
from sonimate.media.video import read_frames

with open(Path(__file__).with_name("cases.tsv"), encoding="utf-8") as file:
    CASES = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
SHELL = re.compile(r"[|;<>]|\w+=\S+ \$S|\$LEAN")
LONG = "测" * 80
"""With ".mp4", 244 bytes of the 255 that a name may have."""
AAC_BLOCK_SECONDS = 1024 / 16_000
MAX_CLOSED = 0.02
"""Opening of closed lips in face heights; at commit 77ee5c3 they opened to 0.071 in silence."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """The inputs, in a folder that every user may enter; those of pytest are closed to others."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    make_inputs(path)
    (path / "closed.jpg").chmod(0)
    (path / "closed").chmod(0o555)
    code = "import sys; sys.modules['scenedetect'] = None; from sonimate.apps.cli import *; run_process()"
    lean = path / "lean"
    lean.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{code}" "$@"\n')
    lean.chmod(stat.S_IRWXU)
    yield path
    (path / "closed").chmod(0o755)
    shutil.rmtree(path)


def second_face(folder: Path, capfd: pytest.CaptureFixture[str]) -> str:
    """The box of the second face, as it is listed for --face-box."""
    assert main(["faces", str(folder / "two2400.jpg"), "--json"]) == 0
    found = json.loads(capfd.readouterr().out)["faces"][1]["face_box"]
    return ",".join(map(str, found))


@pytest.mark.parametrize("case", CASES, ids=[f"{case['id']} {case['kind']}" for case in CASES])
def test_case(
    case: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    with tempfile.TemporaryDirectory() as empty:
        os.chmod(empty, 0o777)
        line = case["command"]
        values = {"T": empty, "LONG": LONG, "LEAN": str(folder / "lean"), "FOLDER": str(folder)}
        if "$FACE_2" in line:
            values["FACE_2"] = second_face(folder, capfd)
        if SHELL.search(line):
            values["S"] = f"{shlex.quote(sys.executable)} -m sonimate"
            code = subprocess.run(["bash", "-c", line], env={**os.environ, **values}, timeout=250).returncode
        else:
            words = [re.sub(r"\$(\w+)", lambda name: values[name[1]], word) for word in line.split()[1:]]
            with an_ordinary_user() if line.startswith("$NOBODY") else nullcontext():
                code = main(words)
        printed = "\n".join(capfd.readouterr())
        assert code == int(case["code"]), printed
        assert case["words"] in printed
        assert "Traceback" not in printed
        left = [path for path in Path(empty).iterdir() if not path.is_symlink()]
        assert len(left) == bool(case["video"])
        for video in left:
            check_video(video, case["video"])


def check_video(path: Path, wanted: str) -> None:
    """`wanted`: seconds of the sound, longer side in px, frames a second, perhaps what lips do."""
    seconds, longer_px, fps = (float(part.split()[0]) for part in wanted.split(", ")[:3])
    with av.open(str(path)) as container:
        assert frame_rate(container) == fps
    frames = list(read_frames(path, fps=None))
    assert abs(len(frames) / fps - seconds) <= 1 / fps
    if "without sound" not in wanted:
        assert abs(read_audio(path).seconds - seconds) < AAC_BLOCK_SECONDS
    assert max(frames[0].shape) == longer_px
    assert max(frame.std() for frame in frames) > 20
    if "lips" in wanted:
        landmarks = np.stack([select_face(mesh().find(frame)).landmarks for frame in frames[::5]])
        opening = mouth_opening(landmarks)
        assert (opening.max() < MAX_CLOSED) if "lips closed" in wanted else (np.ptp(opening) > MAX_CLOSED)


def test_the_table_holds_all_cases_of_the_field() -> None:
    numbers = {int(case["id"][:2]) for case in CASES}
    of_users = {1, 2, 4, 6, 8, 9, 11, 13, 14, 16, 17, 18, 20, 24, 25, 26, 27, 28, 30, 31}
    assert numbers & set(range(40)) == of_users
    assert all(case["wanted"] and case["words"] for case in CASES)
