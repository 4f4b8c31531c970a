"""For which versions of Python and which systems there are wheels of all packages that pyproject.toml names.
It asks the package index and downloads no package.

python benchmarks/python_versions.py
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable

from lib.command import REPOSITORY, benchmark_parser
from lib.report import publish

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
GLIBC = (17, 24, 26, 27, 28, 31, 34, 35)
SYSTEMS = {
    "Linux x86-64": [f"manylinux_2_{minor}_x86_64" for minor in GLIBC] + ["manylinux2014_x86_64"],
    "Linux aarch64": [f"manylinux_2_{minor}_aarch64" for minor in GLIBC] + ["manylinux2014_aarch64"],
    "macOS arm64": ["macosx_15_0_arm64"],
    "Windows x86-64": ["win_amd64"],
}
"""The tags of wheels that a system of 2025 accepts; pip adds those of earlier macOS."""


def main(argv: list[str] | None = None) -> None:
    arguments = benchmark_parser(__doc__).parse_args(argv)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    always: list[str] = project["dependencies"]
    groups: dict[str, list[str]] = {"always": always, **project["optional-dependencies"]}
    rows = []
    for version in VERSIONS:
        for system, tags in SYSTEMS.items():
            lacking = without_wheel({line for lines in groups.values() for line in lines}, version, tags)
            names = {group: sorted(lacking & set(lines)) for group, lines in groups.items()}
            said = [f"{group}: {', '.join(lines)}" for group, lines in names.items() if lines]
            rows.append({"Python": version, "system": system, "without a wheel": "; ".join(said) or "none"})
    publish("python_versions", arguments.out, rows=rows)


def without_wheel(requirements: Iterable[str], version: str, tags: list[str]) -> set[str]:
    """Those requirements for which the index has no wheel."""
    wanted, lacking = set(requirements), set[str]()
    options = ["--quiet", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary", ":all:"]
    options += ["--python-version", version, *(word for tag in tags for word in ("--platform", tag))]
    while wanted:
        with tempfile.TemporaryDirectory() as target:
            line = [sys.executable, "-m", "pip", "install", *options, "--target", target, *sorted(wanted)]
            done = subprocess.run(line, capture_output=True, text=True)
        if not done.returncode:
            return lacking
        (refused,) = re.findall(r"No matching distribution found for (.+)", done.stderr)[:1] or [done.stderr]
        (requirement,) = [line for line in wanted if same_package(line, refused)]
        wanted.remove(requirement)
        lacking.add(requirement)
    return lacking


def same_package(requirement: str, other: str) -> bool:
    first, second = (re.split(r"[^\w.-]", text)[0].lower().replace("_", "-") for text in (requirement, other))
    return first == second


if __name__ == "__main__":
    main()
