"""`sonimate prepare`: footage of talking people -> shards of clips to train on."""

from __future__ import annotations

import argparse
import logging
from argparse import Namespace
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sonimate.apps.arguments import REQUIRED_PATH, Subparsers, add_arguments, whole
from sonimate.apps.progress import Watch
from sonimate.errors import extra_needed
from sonimate.footage.prepare_options import PrepareOptions

BYTES_PER_MB = 1_000_000
_log = logging.getLogger("sonimate")


def add_parser(commands: Subparsers) -> None:
    """Add `prepare` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "prepare",
        help="make training clips from footage",
        description="Find talking faces in all videos of FOOTAGE and write them as WebDataset shards. "
        "A stopped run continues when it is repeated; the same footage gives the same shards.",
    )
    add_arguments(
        parser,
        """
        FOOTAGE        folder of videos; its MANIFEST.tsv, if any, names speakers and sources
        -o, --output SHARDS
                       the folder to write
        --size PX      side of the clips, a multiple of 64 (default: %(default)s)
        --min-face PX  shortest face to accept, forehead to chin (default: %(default)s)
        --keep-timing  leave the sound where it is, for footage that is known to be in sync
        --shard-mb MB  close a shard before it grows larger (default: %(default)s)
        --ray ADDRESS  run on this Ray cluster, or "local" for all cores of this machine; FOOTAGE and SHARDS
                       must be on storage that all its machines share
        """,
        footage=Path,
        output=REQUIRED_PATH,
        size={"type": _side, "default": PrepareOptions.size_px},
        min_face={"type": whole(32, 4096), "default": round(PrepareOptions.min_face_px)},
        shard_mb={"type": whole(1, 1_000_000), "default": PrepareOptions.shard_bytes // BYTES_PER_MB},
    )


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate prepare` command line. Raises SonimateError."""
    with extra_needed("prepare"):
        from sonimate.footage.preparer import prepare, run_here

    runner = run_here
    if args.ray:
        with extra_needed("ray"):
            from sonimate.distributed.prepare_ray import run_on_ray
        runner = partial(run_on_ray, address=args.ray)

    options = PrepareOptions(
        size_px=args.size,
        min_face_px=args.min_face,
        shard_bytes=args.shard_mb * BYTES_PER_MB,
        retime=not args.keep_timing,
    )
    with Watch(args.started) as watch, _one_thread():

        def show(done: int, total: int, name: str) -> None:
            _log.info("%s: done", name)
            watch("prepare", done, total)

        report = prepare(args.footage, args.output, options, run=runner, progress=show)
    print(
        f"{report.clips} clips ({report.seconds:.0f} s) from {report.sources} files; "
        f"{args.output / 'report.md'} has the reasons for the rest"
    )


@contextmanager
def _one_thread() -> Generator[None]:
    """Sums over several threads differ in their last digits: with one, runs and machines agree."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _side(text: str) -> int:
    """An argparse type: a multiple of 64 from 64 to 4096."""
    side = whole(64, 4096)(text)
    if side % 64:
        raise argparse.ArgumentTypeError(f"{side} is not a multiple of 64")
    return side
