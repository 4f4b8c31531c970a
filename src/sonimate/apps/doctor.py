"""`sonimate doctor`: what works on this machine, what is missing, and how to get it.

Each check returns findings. If it raises an error, the error becomes a finding, so that this command always
ends in a report.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import sonimate
from sonimate.apps.arguments import Subparsers
from sonimate.errors import InstallationBroken, SonimateError, install_lines

BYTES_PER_GB = 1e9
MIN_FREE_GB = 2.0
"""Free memory and disk that the compact model needs at 1024 px, with room to spare."""


@dataclass(frozen=True)
class Finding:
    """The result of a check. advice: what to do about it. path: a folder, left out of the bug report.

    state: "missing" is something that only some commands need; "problem" prevents the default model.
    """

    name: str
    state: Literal["ok", "missing", "problem"]
    detail: str
    advice: str = ""
    path: str = ""


def add_parser(commands: Subparsers) -> None:
    """Add `doctor` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "doctor",
        help="show what works on this machine and what is missing",
        description="Check this installation: Python, torch, devices, media libraries, bundled model, "
        "packages of each extra, speech engines, memory and disk. You can copy the last block of the output "
        "into a bug report: it holds no paths and no names of users.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON to standard output")


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate doctor` command line. Raises InstallationBroken after the report."""
    findings = examine()
    if args.json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings], "report": report(findings)}))
    else:
        print(f"{full_text(findings)}\n\nFor a bug report:\n{report(findings)}")
    if problems := [finding.name for finding in findings if finding.state == "problem"]:
        raise InstallationBroken(
            f"sonimate does not work on this machine: {', '.join(problems)}. The report says what to do."
        )


def examine() -> list[Finding]:
    """Findings of all checks, in order."""
    return [finding for name, check in CHECKS.items() for finding in _guarded(name, check)]


def full_text(findings: list[Finding]) -> str:
    """A line for each finding, with paths, and a line of advice where there is some."""
    lines: list[str] = []
    for finding in findings:
        path = f", in {finding.path}" if finding.path else ""
        lines.append(f"{finding.state:<8} {finding.name:<14} {finding.detail}{path}")
        if finding.advice:
            lines.append(f"{'':<23} -> {finding.advice}")
    return "\n".join(lines)


def report(findings: list[Finding]) -> str:
    """A line for each finding, without paths."""
    return without_names("\n".join(f"{it.name}: {it.state}, {it.detail}" for it in findings))


def without_names(text: str) -> str:
    """Text without the folders in its paths, which may hold names of users."""
    folders = {Path(sonimate.__file__).parent, Path(sys.prefix), Path.cwd(), Path.home()} - {Path("/")}
    for folder in sorted(map(str, folders), key=len, reverse=True):
        text = text.replace(folder, "...")
    return re.sub(r"(?:[~.]|[A-Za-z]:)*[\\/](?:[^\\/\s'\":,;]+[\\/])+", ".../", text)


def _guarded(name: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return check()
    except SonimateError as error:
        return [Finding(name, "problem", str(error))]
    except Exception as error:  # a broken library can raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return [Finding(name, "problem", reason, "Install sonimate again in a new virtual environment.")]


def check_python() -> list[Finding]:
    """The versions of sonimate, Python and the system."""
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    python = f"{platform.python_version()} ({platform.python_implementation()})"
    return [
        Finding("sonimate", "ok", sonimate.__version__, path=str(Path(sonimate.__file__).parent)),
        Finding("python", "ok", python, path=sys.prefix),
        Finding("system", "ok", system),
    ]


def check_torch() -> list[Finding]:
    """torch and the devices that it can compute on."""
    import torch

    devices: list[str] = []
    for index in range(torch.cuda.device_count()):
        memory = torch.cuda.mem_get_info(index)[1]
        devices.append(f"cuda ({torch.cuda.get_device_name(index)}, {memory / BYTES_PER_GB:.0f} GB)")
    devices += ["mps"] * torch.backends.mps.is_available()
    devices.append(f"cpu ({torch.get_num_threads()} threads)")
    return [Finding("torch", "ok", torch.__version__), Finding("devices", "ok", ", ".join(devices))]


def check_media() -> list[Finding]:
    """FFmpeg's libraries and the encoders of the mp4; the face networks' runtime; image libraries."""
    import av
    import av.codec
    import cv2
    import PIL

    encoders = [name for name in ("libx264", "aac") if name not in av.codec.codecs_available]
    if encoders:
        advice = "Install the package av from its wheel: pip install --force-reinstall av"
        return [Finding("media", "problem", f"FFmpeg lacks the encoders {', '.join(encoders)}", advice)]
    libraries = (
        f"FFmpeg {av.ffmpeg_version_info} (av {av.__version__}), opencv {cv2.__version__}, "
        f"pillow {PIL.__version__}, ai-edge-litert {metadata.version('ai-edge-litert')}"
    )
    return [Finding("media", "ok", libraries)]


def check_model() -> list[Finding]:
    """Whether the bundled model loads and agrees with its checksums."""
    from sonimate.checkpoints.convert import verify_model
    from sonimate.checkpoints.registry import BUNDLED, describe
    from sonimate.checkpoints.store import load_components

    folder = BUNDLED / "compact"
    checked = sum(verify_model(folder).values())
    load_components(folder)
    parameters = sum(part.parameters for part in describe(folder))
    detail = f"compact, {parameters:,} parameters, {checked} checksums agree"
    return [Finding("model", "ok", detail, path=str(BUNDLED))]


def check_extras() -> list[Finding]:
    """For each extra, the packages that are not installed."""
    try:
        extras = packages_of_extras()
    except metadata.PackageNotFoundError:
        advice = "Install it by pip install -e . in a clone of the repository."
        return [Finding("extras", "missing", "unknown: sonimate is not installed as a package", advice)]
    findings: list[Finding] = []
    for extra, packages in extras.items():
        absent = [name for name in packages if not _installed(name)]
        if absent:
            detail = f"not installed: {', '.join(absent)}"
            findings.append(Finding(f"extra {extra}", "missing", detail, install_lines(extra)))
        else:
            findings.append(Finding(f"extra {extra}", "ok", ", ".join(packages)))
    return findings


def packages_of_extras() -> dict[str, list[str]]:
    """The packages of each extra, as this installation's metadata state them."""
    extras: dict[str, list[str]] = {}
    for line in metadata.requires("sonimate") or []:
        requirement = re.match(r"([\w.-]+).*;.*extra == ['\"]([\w-]+)['\"]", line)
        if requirement:
            extras.setdefault(requirement[2], []).append(requirement[1])
    return extras


def check_speech() -> list[Finding]:
    """The speech engines of `sonimate speech`."""
    from sonimate.speech.voices import PACKAGES

    absent = [program for program in PACKAGES if shutil.which(program) is None]
    if not absent:
        return [Finding("speech engines", "ok", ", ".join(PACKAGES))]
    advice = f"Only `sonimate speech` needs them: apt install {' '.join(PACKAGES[name] for name in absent)}"
    return [Finding("speech engines", "missing", f"not installed: {', '.join(absent)}", advice)]


def check_space() -> list[Finding]:
    """Free memory, and free disk in the working directory."""
    import psutil

    memory = psutil.virtual_memory()
    free = {"memory": memory.available, "disk": shutil.disk_usage(Path.cwd()).free}
    totals = {"memory": memory.total, "disk": shutil.disk_usage(Path.cwd()).total}
    findings: list[Finding] = []
    for name, size_bytes in free.items():
        little = size_bytes < MIN_FREE_GB * BYTES_PER_GB
        detail = f"{size_bytes / BYTES_PER_GB:.1f} of {totals[name] / BYTES_PER_GB:.1f} GB free"
        advice = (
            "This may be too little: close programs, or use a smaller --size." if name == "memory" else ""
        )
        advice = advice or "This may be too little for longer videos: make room."
        findings.append(Finding(name, "missing" if little else "ok", detail, advice if little else ""))
    return findings


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


CHECKS: dict[str, Callable[[], list[Finding]]] = {
    "python": check_python,
    "torch": check_torch,
    "media": check_media,
    "model": check_model,
    "extras": check_extras,
    "speech engines": check_speech,
    "space": check_space,
}
"""In the order of the report."""
