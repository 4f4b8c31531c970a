"""Build the wheel, install it in an empty environment outside of the repository, and animate an example there
without a network.

python benchmarks/wheel.py
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lib.command import EXAMPLES, REPOSITORY, benchmark_parser
from lib.report import publish

NO_NETWORK = ("unshare", "--map-root-user", "--net")
"""A program in a network namespace of its own, which holds nothing (Linux)."""
PORTRAIT, SPEECH = EXAMPLES / "portraits/astronaut_collins.jpg", EXAMPLES / "speech/librivox_ss_0890.wav"


def main(argv: list[str] | None = None) -> None:
    arguments = benchmark_parser(__doc__).parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        row = measure(Path(name))
    publish("wheel", arguments.out, rows=[row])


def measure(folder: Path) -> dict[str, float | str]:
    """Sizes, seconds and frames, of what is done in an empty folder."""
    call(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, REPOSITORY, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    call(sys.executable, "-m", "venv", environment, cwd=folder)
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    started = time.perf_counter()
    call(programs / "python", "-m", "pip", "install", "--quiet", tested_torch(), wheel, cwd=folder)
    installed = time.perf_counter() - started
    for file in (PORTRAIT, SPEECH):
        shutil.copy(file, folder)
    offline = NO_NETWORK if works_without_network() else ()
    animate = (programs / "sonimate", "animate", PORTRAIT.name, SPEECH.name, "-o", "out.mp4", "--json")
    report = json.loads(call(*offline, *animate, cwd=folder))
    return {
        "wheel, MB": round(wheel.stat().st_size / 1e6, 1),
        "environment, MB": round(size_of(environment) / 1e6),
        "installation, s": round(installed),
        "network": "off" if offline else "could not be switched off here",
        "video, MB": (folder / "out.mp4").stat().st_size / 1e6,
        **{key: report[key] for key in ("frames", "elapsed_seconds") if key in report},
    }


def tested_torch() -> str:
    """The requirement that the Makefile installs."""
    (requirement,) = re.findall(
        r"^TORCH := (\S+)$", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.M
    )
    return requirement


def works_without_network() -> bool:
    return (
        bool(shutil.which(NO_NETWORK[0]))
        and not subprocess.run([*NO_NETWORK, "true"], capture_output=True).returncode
    )


def call(*line: object, cwd: Path) -> str:
    """Standard output of a program that sees neither the repository nor this environment's settings."""
    hidden = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, line)), cwd=cwd, env=hidden, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


if __name__ == "__main__":
    main()
