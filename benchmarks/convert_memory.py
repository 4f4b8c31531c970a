"""Memory and time of `sonimate models convert` for a UNet of the full size: 1492 float32 tensors of random
numbers, 6.3 GB. The rest of the release is the tests' miniature.

Release and model are deleted afterwards. Another process writes the release, with the UNet in its memory.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

TESTS = Path(__file__).parents[1] / "tests/unit"
UNET = "Sonic/unet.pth"
LIMIT_MB = 3000


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--release", type=Path, help="make the release in this folder (default: temporary)")
    parser.add_argument("--model", type=Path, help="make the model in this folder (default: temporary)")
    arguments = parser.parse_args(argv)
    with (
        TemporaryDirectory(dir=arguments.release) as release,
        TemporaryDirectory(dir=arguments.model) as model,
    ):
        # In a process of its own, whose memory is free again when the conversion begins.
        writer = get_context("spawn").Process(target=write_release, args=(Path(release),))
        started = time.perf_counter()
        writer.start()
        writer.join()
        if writer.exitcode:
            return writer.exitcode
        size_gb = (Path(release) / UNET).stat().st_size / 1e9
        print(f"{UNET}: {size_gb:.2f} GB, written in {time.perf_counter() - started:.0f} s", flush=True)
        account = convert(Path(release), Path(model) / "model")
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in account["stages"].items())
    print(f"convert: {account['peak_memory_mb']:.0f} MB peak, {account['wall_seconds']:.1f} s ({stages})")
    return int(account["peak_memory_mb"] > LIMIT_MB)


def write_release(folder: Path) -> None:
    """Write the release, its UNet with the full model's shape."""
    from sonimate.models.unet import UNetConfig

    sys.path.insert(0, str(TESTS))
    importlib.import_module("fake_release").write_fake_release(folder, UNetConfig())


def convert(release: Path, model: Path) -> dict:
    """Run the command and return its account."""
    folders = {"sonic": "Sonic", "svd": "svd", "whisper": "whisper-tiny"}
    options = [f"--{option}={release / name}" for option, name in folders.items()]
    command = [sys.executable, "-m", "sonimate", "models", "convert", *options, f"--output={model}", "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


if __name__ == "__main__":
    sys.exit(main())
