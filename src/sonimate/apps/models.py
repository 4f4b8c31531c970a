"""`sonimate models`: fetch and convert released files, and list, describe and check models on disk.

Each action has a function that adds its parser and one that carries it out and imports what it needs.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sonimate.apps.arguments import Subparsers
from sonimate.apps.progress import Watch, peak_memory_mb
from sonimate.checkpoints.registry import BUNDLED, ComponentInfo, describe, find_models, model_folder
from sonimate.errors import InvalidCheckpoint, extra_needed

DTYPES = ("float16", "bfloat16", "float32")
BYTES_PER_MB = 1e6


def add_parser(commands: Subparsers) -> None:
    """Add `models` and its actions to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "models",
        help="fetch, convert, list and check models",
        description="Models are folders; the package holds one, compact. ACTION --help describes an action.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_list(actions)
    add_info(actions)
    add_verify(actions)
    add_download(actions)
    add_convert(actions)
    add_initialise(actions)


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate models` command line. Raises SonimateError."""
    with extra_needed("full"):
        args.perform(args)


def add_list(actions: Subparsers) -> None:
    """`models list`: the models on this machine that can be used."""
    parser = actions.add_parser("list", help="list the bundled models, and the models in folders")
    parser.set_defaults(perform=_list_models)
    parser.add_argument(
        "folders", type=Path, nargs="*", metavar="DIR", help="a model's folder, or a folder that holds models"
    )
    _add_json(parser)


def _list_models(args: Namespace) -> None:
    """Carry out `models list`."""
    models = [_listed(folder) for folder in find_models(args.folders)]
    rows = [[model["model"], model.get("problem") or megabytes(model["size_bytes"])] for model in models]
    _print(args, models, table(rows))


def _listed(folder: Path) -> dict[str, Any]:
    """A model's name and its size, or the problem that prevents its use."""
    name = {"model": folder.name if folder.parent == BUNDLED else str(folder)}
    try:
        return name | {"size_bytes": sum(component.size_bytes for component in describe(folder))}
    except InvalidCheckpoint as error:
        return name | {"problem": str(error)}


def add_info(actions: Subparsers) -> None:
    """`models info`: a model's components."""
    parser = actions.add_parser("info", help="show a model's components and their sizes")
    parser.set_defaults(perform=_info)
    _add_model(parser)


def _info(args: Namespace) -> None:
    """Carry out `models info`."""
    folder = model_folder(args.model)
    components = describe(folder)
    _print(args, account_of(folder, components), f"{folder}\n{components_table(components)}")


def add_verify(actions: Subparsers) -> None:
    """`models verify`: whether a model's files are complete and undamaged."""
    parser = actions.add_parser(
        "verify",
        help="check every tensor of a model",
        description="Check that all tensors of a model have the right names and shapes, agree with their "
        "checksums, and hold finite numbers.",
    )
    parser.set_defaults(perform=_verify)
    _add_model(parser)


def _verify(args: Namespace) -> None:
    """Carry out `models verify`."""
    folder = model_folder(args.model)
    with Watch(args.started) as watch:
        from sonimate.checkpoints.convert import verify_model

        checksums = verify_model(folder, watch)
    checked = sum(checksums.values())
    _print(
        args,
        {"model": str(folder), "checksums": checksums},
        f"{folder} is complete and undamaged. "
        f"{f'{checked} checksums agree' if checked else 'It holds no checksums'}.",
    )


def add_convert(actions: Subparsers) -> None:
    """`models convert`: released checkpoints -> a model folder."""
    parser = actions.add_parser(
        "convert",
        help="make a model folder from the released checkpoints",
        description="Check your copies of the released checkpoints and write them as one model folder.",
    )
    parser.set_defaults(perform=_convert)
    parser.add_argument(
        "--sonic", type=Path, required=True, metavar="DIR", help="folder with unet.pth and the audio networks"
    )
    _add_sources(parser, "default: looked for below --sonic, and in the folder RIFE beside it")


def _convert(args: Namespace) -> None:
    """Carry out `models convert`."""
    from sonimate.checkpoints.release import Release

    release = Release(sonic=args.sonic, svd=args.svd, whisper=args.whisper, rife=args.rife)
    release.files()  # a missing file is reported before torch loads
    with Watch(args.started) as watch:
        import torch

        from sonimate.checkpoints.convert import convert

        convert(release, args.output, dtype=getattr(torch, args.dtype), progress=watch)
    _print_written(args, watch)


def add_initialise(actions: Subparsers) -> None:
    """`models initialise`: Stable Video Diffusion XT -> a model folder that training starts from."""
    parser = actions.add_parser(
        "initialise",
        help="make an untrained full model, for training to start from",
        description="Write a full model that training starts from: Stable Video Diffusion XT with new audio "
        "adapters, whisper-tiny, and audio networks with random weights.",
    )
    parser.set_defaults(perform=_initialise)
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the random weights (default: %(default)s)"
    )
    _add_sources(parser, "without it, videos use optical flow")


def _initialise(args: Namespace) -> None:
    """Carry out `models initialise`."""
    with Watch(args.started) as watch:
        import torch

        from sonimate.checkpoints.initialise import initialise

        initialise(
            args.svd,
            args.whisper,
            args.output,
            rife=args.rife,
            dtype=getattr(torch, args.dtype),
            seed=args.seed,
            progress=watch,
        )
    _print_written(args, watch)


def add_download(actions: Subparsers) -> None:
    """`models download`: the released checkpoints, from the Hugging Face hub."""
    parser = actions.add_parser(
        "download",
        help="fetch the released checkpoints of the full model",
        description="Fetch the files that `models convert` needs from the Hugging Face hub, about 10 GB, and "
        "check their hashes. After an interruption, run it again: it continues where it stopped.",
    )
    parser.set_defaults(perform=_download)
    add = parser.add_argument
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="the folder for the files")
    add("--accept-licences", action="store_true", help="say that you have read and accept the licences")


def _download(args: Namespace) -> None:
    """Carry out `models download`."""
    from sonimate.checkpoints import download as hub

    hub.download(args.output, accept_licences=args.accept_licences)
    print(hub.convert_command(args.output))


def account_of(folder: Path, components: list[ComponentInfo]) -> dict[str, Any]:
    """A model's components, ready for JSON."""
    return {"model": str(folder), "components": [asdict(component) for component in components]}


def components_table(components: list[ComponentInfo]) -> str:
    """A model's components, as a table of text."""
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
    """A size as text, in 10^6 bytes."""
    return f"{size_bytes / BYTES_PER_MB:,.1f} MB"


def _add_sources(parser: ArgumentParser, rife: str) -> None:
    """Options of the actions that write a full model. rife: what happens without --rife."""
    add = parser.add_argument
    add(
        "--svd",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of Stable Video Diffusion XT, in diffusers' format",
    )
    add(
        "--whisper",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of whisper-tiny, in transformers' format",
    )
    add("--rife", type=Path, metavar="FILE", help=f"flownet.pkl ({rife})")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="the model folder to write")
    add(
        "--dtype",
        choices=DTYPES,
        default=DTYPES[0],
        help="numbers of UNet, VAE and image encoder (default: %(default)s); the others stay float32",
    )
    _add_json(parser)


def _print_written(args: Namespace, watch: Watch) -> None:
    """Describe a model that was just written."""
    components = describe(args.output)
    peak = peak_memory_mb()
    account = account_of(args.output, components) | {
        "wall_seconds": round(watch.wall_seconds, 3),
        "peak_memory_mb": peak,
        "stages": {stage: round(seconds, 3) for stage, seconds in watch.seconds.items()},
        "warnings": watch.warnings,
    }
    memory = "" if peak is None else f", {peak:.0f} MB peak"
    _print(
        args,
        account,
        f"{components_table(components)}\n"
        f"{args.output} is complete, after {watch.wall_seconds:.1f} s{memory}.",
    )


def _add_model(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a bundled model's name, or a folder")
    _add_json(parser)


def _add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON to standard output")


def _print(args: Namespace, account: object, text: str) -> None:
    print(json.dumps(account) if args.json else text)
