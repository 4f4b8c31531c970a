"""`sonimate models`: convert released checkpoints, and list, describe and check models on disk.

Each action is a function that adds its parser and one that performs it; heavy modules are imported inside.
"""

from __future__ import annotations

import argparse
import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonimate.apps.progress import Watch, peak_memory_mb
from sonimate.checkpoints.registry import BUNDLED, model_folder
from sonimate.errors import InvalidCheckpoint

if TYPE_CHECKING:
    from sonimate.checkpoints.registry import ComponentInfo

Actions = argparse._SubParsersAction  # argparse has no public name for what add_subparsers returns

DTYPES = ("float16", "bfloat16", "float32")
BYTES_PER_MB = 1e6


def add_parser(commands: Actions[ArgumentParser]) -> None:
    """Add `models` and its actions to the command line. Loads nothing heavy."""
    parser = commands.add_parser("models", help="convert, list and check models")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_list(actions)
    add_info(actions)
    add_verify(actions)
    add_download(actions)
    add_convert(actions)


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate models` command line. Raises SonimateError."""
    args.perform(args)


def add_list(actions: Actions[ArgumentParser]) -> None:
    """`models list`: models at hand."""
    parser = actions.add_parser("list", help="name the bundled models, and those in folders")
    parser.set_defaults(perform=list_models)
    parser.add_argument("folders", type=Path, nargs="*", metavar="DIR", help="a model, or a folder of models")
    _add_json(parser)


def list_models(args: Namespace) -> None:
    """Perform `models list`."""
    from sonimate.checkpoints.registry import find_models

    models = [_listed(folder) for folder in find_models(args.folders)]
    rows = [[model["model"], model.get("problem") or megabytes(model["size_bytes"])] for model in models]
    _print(args, models, table(rows))


def _listed(folder: Path) -> dict[str, Any]:
    """A model's name and size, or the problem because of which it is none."""
    from sonimate.checkpoints.registry import describe

    name = {"model": folder.name if folder.parent == BUNDLED else str(folder)}
    try:
        return name | {"size_bytes": sum(component.size_bytes for component in describe(folder))}
    except InvalidCheckpoint as error:
        return name | {"problem": str(error)}


def add_info(actions: Actions[ArgumentParser]) -> None:
    """`models info`: what a model is made of."""
    parser = actions.add_parser("info", help="say what a model is made of")
    parser.set_defaults(perform=info)
    _add_model(parser)


def info(args: Namespace) -> None:
    """Perform `models info`."""
    from sonimate.checkpoints.registry import describe

    folder = model_folder(args.model)
    components = describe(folder)
    _print(args, account_of(folder, components), f"{folder}\n{components_table(components)}")


def add_verify(actions: Actions[ArgumentParser]) -> None:
    """`models verify`: whether a model is whole."""
    parser = actions.add_parser(
        "verify",
        help="check every tensor of a model",
        description="Check names and shapes against the architecture, checksums, and that values are finite.",
    )
    parser.set_defaults(perform=verify)
    _add_model(parser)


def verify(args: Namespace) -> None:
    """Perform `models verify`."""
    folder = model_folder(args.model)
    with Watch(args.started) as watch:
        from sonimate.checkpoints.convert import verify_model

        checksums = verify_model(folder, watch)
    checked = sum(checksums.values())
    _print(
        args,
        {"model": str(folder), "checksums": checksums},
        f"{folder} is whole. {f'{checked} checksums agree' if checked else 'It holds no checksums'}.",
    )


def add_convert(actions: Actions[ArgumentParser]) -> None:
    """`models convert`: released checkpoints -> a model folder."""
    parser = actions.add_parser(
        "convert",
        help="make a model folder of the released checkpoints",
        description="Check your copies of the released checkpoints and write them as one model folder.",
    )
    parser.set_defaults(perform=convert)
    add = parser.add_argument
    add("--sonic", type=Path, required=True, metavar="DIR", help="with unet.pth and the audio networks")
    add("--svd", type=Path, required=True, metavar="DIR", help="Stable Video Diffusion XT, diffusers' form")
    add("--whisper", type=Path, required=True, metavar="DIR", help="whisper-tiny, transformers' form")
    add("--rife", type=Path, metavar="FILE", help="flownet.pkl (default: as found below --sonic)")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="the model folder to write")
    add(
        "--dtype",
        choices=DTYPES,
        default=DTYPES[0],
        help="of UNet, VAE and image encoder (default: %(default)s); the others stay float32",
    )
    _add_json(parser)


def convert(args: Namespace) -> None:
    """Perform `models convert`."""
    from sonimate.checkpoints.registry import describe
    from sonimate.checkpoints.release import Release

    release = Release(sonic=args.sonic, svd=args.svd, whisper=args.whisper, rife=args.rife)
    release.files()  # what is missing is told before torch loads
    with Watch(args.started) as watch:
        import torch

        from sonimate.checkpoints.convert import convert

        convert(release, args.output, dtype=getattr(torch, args.dtype), progress=watch)
    components = describe(args.output)
    peak = peak_memory_mb()
    account = account_of(args.output, components) | {
        "wall_seconds": round(watch.wall_seconds, 3),
        "peak_memory_mb": peak,
        "stages": {stage: round(seconds, 3) for stage, seconds in watch.seconds.items()},
    }
    memory = "" if peak is None else f", {peak:.0f} MB peak"
    _print(
        args,
        account,
        f"{components_table(components)}\n{args.output} is whole, after {watch.wall_seconds:.1f} s{memory}.",
    )


def add_download(actions: Actions[ArgumentParser]) -> None:
    """`models download`: the released checkpoints, from the Hugging Face hub."""
    parser = actions.add_parser(
        "download",
        help="fetch the released checkpoints of the full model",
        description="Fetch the files that `models convert` needs from the Hugging Face hub, about 10 GB, and "
        "check their hashes. Run it again after an interruption: what is whole is kept.",
    )
    parser.set_defaults(perform=download)
    add = parser.add_argument
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="the folder for the files")
    add("--accept-licences", action="store_true", help="you have read and accept the licences of the files")


def download(args: Namespace) -> None:
    """Perform `models download`."""
    from sonimate.checkpoints import download as hub

    hub.download(args.output, accept_licences=args.accept_licences)
    print(hub.convert_command(args.output))


def account_of(folder: Path, components: list[ComponentInfo]) -> dict[str, Any]:
    """What a model folder holds, ready for JSON."""
    return {"model": str(folder), "components": [asdict(component) for component in components]}


def components_table(components: list[ComponentInfo]) -> str:
    """What a model folder holds, for people."""
    rows = [
        [
            part.name,
            f"{part.library}.{part.class_name}",
            f"{part.parameters:,}",
            ", ".join(part.dtypes),
            megabytes(part.size_bytes),
        ]
        for part in components
    ]
    total = ["total", "", f"{sum(part.parameters for part in components):,}", ""]
    size = megabytes(sum(part.size_bytes for part in components))
    return table([["component", "class", "parameters", "type", "size"], *rows, [*total, size]])


def table(rows: list[list[str]]) -> str:
    """Columns of text, aligned on the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def megabytes(size_bytes: float) -> str:
    """A size for people, in 10^6 bytes."""
    return f"{size_bytes / BYTES_PER_MB:,.1f} MB"


def _add_model(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a bundled model's name, or a folder")
    _add_json(parser)


def _add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON to standard output")


def _print(args: Namespace, account: object, text: str) -> None:
    print(json.dumps(account) if args.json else text)
