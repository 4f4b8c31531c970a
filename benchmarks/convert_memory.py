"""Memory and time of `sonimate models convert` for a UNet of the full size: 1492 float32 tensors of random
numbers, 6.3 GB. The other parts of the release are the small ones of the tests.

Another process writes the release, so that the UNet is not in the memory of the conversion. Release and model
are deleted afterwards.
"""

from __future__ import annotations

import importlib
import sys
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from lib.command import benchmark_parser, run_json
from lib.report import Check, publish

TESTS = Path(__file__).parents[1] / "tests/unit"
UNET = "Sonic/unet.pth"
LEVELS = (1, 2, 4, 4)
LIMIT_MB = 3000.0


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--release", type=Path, help="make the release in this folder (default: temporary)")
    parser.add_argument("--model", type=Path, help="make the model in this folder (default: temporary)")
    parser.add_argument("--channels", type=int, default=320, help="of the first level; 32 to try this out")
    arguments = parser.parse_args(argv)
    with (
        TemporaryDirectory(dir=arguments.release) as release,
        TemporaryDirectory(dir=arguments.model) as model,
    ):
        # In a process of its own, whose memory is free again when the conversion begins.
        writer = get_context("spawn").Process(target=write_release, args=(Path(release), arguments.channels))
        writer.start()
        writer.join()
        if writer.exitcode:
            raise SystemExit(writer.exitcode)
        size_gb = (Path(release) / UNET).stat().st_size / 1e9
        folders = {"sonic": "Sonic", "svd": "svd", "whisper": "whisper-tiny"}
        options = [f"--{option}={Path(release) / name}" for option, name in folders.items()]
        command = ["-m", "sonimate", "models", "convert", *options, f"--output={model}/model", "--json"]
        account = run_json(*command)
    rows = [{"stage": stage, "seconds": seconds} for stage, seconds in account["stages"].items()]
    summary = {"size of unet.pth, GB": size_gb, "seconds in all": account["wall_seconds"]}
    check = Check("peak memory, MB", account["peak_memory_mb"], high=LIMIT_MB)
    publish("convert_memory", arguments.out, rows=rows, summary=summary, checks=[check])
    if not check.met:
        raise SystemExit(1)


def write_release(folder: Path, channels: int) -> None:
    """Write the release, its UNet with the full model's shape if that has 320 channels."""
    from sonimate.models.unet import UNetConfig

    sys.path.insert(0, str(TESTS))
    config = UNetConfig(block_out_channels=tuple(channels * level for level in LEVELS))
    importlib.import_module("fake_release").write_fake_release(folder, config)


if __name__ == "__main__":
    main()
