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
from sonimate.errors import InstallationBroken, SonimateError, install_lines, packages_of_extras

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
    findings = [finding for check in CHECKS for finding in _guarded(check)]
    report = without_names("\n".join(f"{it.name}: {it.state}, {it.detail}" for it in findings))
    account = {"findings": [asdict(finding) for finding in findings], "report": report}
    if not args.json:
        for it in findings:
            print(f"{it.state:<8} {it.name:<14} {it.detail}{f', in {it.path}' if it.path else ''}")
            if it.advice:
                print(f"{'':<23} -> {it.advice}")
        print(f"\nFor a bug report:\n{report}")
    if problems := [finding.name for finding in findings if finding.state == "problem"]:
        error = InstallationBroken(
            f"sonimate does not work on this machine: {', '.join(problems)}. The report says what to do."
        )
        error.report = account
        raise error
    if args.json:
        print(json.dumps(account))


def without_names(text: str) -> str:
    """Text without the folders in its paths, which may hold names of users."""
    folders = {Path(sonimate.__file__).parent, Path(sys.prefix), Path.cwd(), Path.home()} - {Path("/")}
    for folder in sorted(map(str, folders), key=len, reverse=True):
        text = text.replace(folder, "...")
    return re.sub(r"(?:[~.]|[A-Za-z]:)*[\\/](?:[^\\/\s'\":,;]+[\\/])+", ".../", text)


def _guarded(check: Callable[[], list[Finding]]) -> list[Finding]:
    name = check.__name__.removeprefix("check_").replace("_", " ")
    try:
        return check()
    except SonimateError as error:
        return [Finding(name, "problem", str(error))]
    except Exception as error:  # a broken library can raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return [Finding(name, "problem", reason, "Install sonimate again in a new virtual environment.")]


def check_python() -> list[Finding]:
    """The versions of sonimate, Python and the system."""
    python = f"{platform.python_version()} ({platform.python_implementation()})"
    return [
        Finding("sonimate", "ok", sonimate.__version__, path=str(Path(sonimate.__file__).parent)),
        Finding("python", "ok", python, path=sys.prefix),
        Finding("system", "ok", f"{platform.system()} {platform.release()}, {platform.machine()}"),
    ]


def check_torch() -> list[Finding]:
    """torch and the devices that it can compute on."""
    import torch

    cuda = torch.cuda
    devices = [
        f"cuda ({cuda.get_device_name(index)}, {cuda.mem_get_info(index)[1] / BYTES_PER_GB:.0f} GB)"
        for index in range(cuda.device_count())
    ]
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
    """For each extra in the metadata of this installation, the packages that are not installed."""
    try:
        extras = packages_of_extras()
    except metadata.PackageNotFoundError:
        advice = "Install it by pip install -e . in a clone of the repository."
        return [Finding("extras", "missing", "unknown: sonimate is not installed as a package", advice)]
    return [
        _needed(
            f"extra {extra}",
            [re.split(r"[^\w.-]", line)[0] for line in lines],
            _installed,
            install_lines(extra),
        )
        for extra, lines in extras.items()
    ]


def check_speech_engines() -> list[Finding]:
    """The speech engines of `sonimate speech`."""
    from sonimate.speech.voices import PACKAGES

    absent = " ".join(package for program, package in PACKAGES.items() if shutil.which(program) is None)
    advice = f"Only `sonimate speech` needs them: apt install {absent}"
    return [_needed("speech engines", list(PACKAGES), lambda program: bool(shutil.which(program)), advice)]


def check_space() -> list[Finding]:
    """Free memory, and free disk in the working directory."""
    import psutil

    def finding(name: str, free: float, total: float, remedy: str) -> Finding:
        detail = f"{free / BYTES_PER_GB:.1f} of {total / BYTES_PER_GB:.1f} GB free"
        if free < MIN_FREE_GB * BYTES_PER_GB:
            return Finding(name, "missing", detail, f"This may be too little: {remedy}")
        return Finding(name, "ok", detail)

    memory, disk = psutil.virtual_memory(), shutil.disk_usage(Path.cwd())
    return [
        finding("memory", memory.available, memory.total, "close programs, or use a smaller --size."),
        finding("disk", disk.free, disk.total, "make room on this disk."),
    ]


def _needed(name: str, needed: list[str], is_there: Callable[[str], bool], advice: str) -> Finding:
    """Whether all packages or programs that a part of sonimate needs are installed."""
    absent = [item for item in needed if not is_there(item)]
    if absent:
        return Finding(name, "missing", f"not installed: {', '.join(absent)}", advice)
    return Finding(name, "ok", ", ".join(needed))


def _installed(package: str) -> bool:
    return any(metadata.distributions(name=package))


CHECKS = (
    check_python,
    check_torch,
    check_media,
    check_model,
    check_extras,
    check_speech_engines,
    check_space,
)
"""In the order of the report."""
