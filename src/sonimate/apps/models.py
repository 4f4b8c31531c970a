"""`sonimate models`: fetch and convert released files, and list, describe and check models on disk."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sonimate.apps.arguments import REQUIRED_PATH, Setting, Subparsers, add_arguments, whole
from sonimate.apps.progress import Watch, memory_text
from sonimate.apps.streams import publish
from sonimate.checkpoints.registry import BUNDLED, ComponentInfo, describe, find_models, model_folder
from sonimate.errors import InvalidCheckpoint, extra_needed

JSON = "--json  print JSON to standard output"
MODEL = f"MODEL  a bundled model's name, or a folder\n{JSON}"
SOURCES = f"""
--svd DIR         folder of Stable Video Diffusion XT, in diffusers' format
--whisper DIR     folder of whisper-tiny, in transformers' format
-o, --output DIR  the model folder to write
--dtype           type of the numbers in UNet, VAE and image encoder (default: %(default)s); the others stay
                  float32
{JSON}"""
ACTIONS = {
    "list": (
        "list the bundled models, and the models in folders",
        "List models with their sizes: the bundled ones, and those in the folders DIR.",
        f"DIR  a model's folder, or a folder that holds models\n{JSON}",
    ),
    "info": (
        "show a model's components and their sizes",
        "Show the class, the number of parameters, their type and the size of each component of a model.",
        MODEL,
    ),
    "verify": (
        "check every tensor of a model",
        "Check that all tensors of a model have the right names and shapes, agree with their checksums, and "
        "hold finite numbers.",
        MODEL,
    ),
    "download": (
        "fetch the released checkpoints of the full model",
        "Fetch the files that `models convert` needs from the Hugging Face hub, about 10 GB, and check their "
        "hashes. After an interruption, run it again: it continues where it stopped.",
        "-o, --output DIR  the folder for the files\n"
        "--accept-licences  say that you have read and accept the licences",
    ),
    "convert": (
        "make a model folder from the released checkpoints",
        "Check your copies of the released checkpoints and write them as one model folder.",
        "--sonic DIR  folder with unet.pth and the audio networks\n"
        "--rife FILE  flownet.pkl (default: looked for below --sonic, and in the folder RIFE beside it)"
        + SOURCES,
    ),
    "initialise": (
        "make an untrained full model, for training to start from",
        "Write a full model that training starts from: Stable Video Diffusion XT with new audio adapters, "
        "whisper-tiny, and audio networks with random weights.",
        "--seed N  seed of the random weights (default: %(default)s)\n"
        "--rife FILE  flownet.pkl (default: none; videos then use optical flow)" + SOURCES,
    ),
}
"""By name: the line of help in the list of actions, the description, and the arguments."""
SETTINGS: dict[str, Setting] = {
    **dict.fromkeys(("sonic", "svd", "whisper", "output"), REQUIRED_PATH),
    "rife": Path,
    "dir": {"type": Path, "nargs": "*"},
    "dtype": {"choices": ("float16", "bfloat16", "float32"), "default": "float16"},
    "seed": {"type": whole(0, 2**63 - 1), "default": 0},
}
"""By the names of arguments, of all actions."""
FLAGS = re.MULTILINE | re.IGNORECASE


def add_parser(commands: Subparsers) -> None:
    """Add `models` and its actions to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "models",
        help="fetch, convert, list and check models",
        description="Models are folders; the package holds one, compact. ACTION --help describes an action.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, (summary, description, table) in ACTIONS.items():
        add_arguments(
            actions.add_parser(action, help=summary, description=description),
            table,
            **{name: x for name, x in SETTINGS.items() if re.search(rf"^(-.*--|--|){name}\b", table, FLAGS)},
        )


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate models` command line. Raises SonimateError."""
    perform = {"list": _list, "info": _info, "verify": _verify, "download": _download}
    with extra_needed("full"):
        perform.get(args.action, _write)(args)


def _list(args: Namespace) -> None:
    models = [_listed(folder) for folder in find_models(args.dir)]
    rows = [[model["model"], model.get("problem") or megabytes(model["size_bytes"])] for model in models]
    _print(args, models, table(rows))


def _listed(folder: Path) -> dict[str, Any]:
    """A model's name and its size, or the problem that prevents its use."""
    name = {"model": folder.name if folder.parent == BUNDLED else str(folder)}
    try:
        return name | {"size_bytes": sum(component.size_bytes for component in describe(folder))}
    except InvalidCheckpoint as error:
        return name | {"problem": str(error)}


def _info(args: Namespace) -> None:
    folder = model_folder(args.model)
    components = describe(folder)
    _print(args, account_of(folder, components), f"{folder}\n{components_table(components)}")


def _verify(args: Namespace) -> None:
    folder = model_folder(args.model)
    with Watch(args.started) as watch:
        from sonimate.checkpoints.convert import verify_model

        checksums = verify_model(folder, watch)
    checked = sum(checksums.values())
    result = f"{checked} checksums agree" if checked else "It holds no checksums"
    account = {"model": str(folder), "checksums": checksums}
    _print(args, account, f"{folder} is complete and undamaged. {result}.")


def _download(args: Namespace) -> None:
    from sonimate.checkpoints import download as hub

    hub.download(args.output, accept_licences=args.accept_licences)
    print(hub.convert_command(args.output))


def _write(args: Namespace) -> None:
    """Carry out `models convert` or `models initialise`, and describe the model that it wrote."""
    release = None
    if args.action == "convert":
        from sonimate.checkpoints.release import Release

        release = Release(sonic=args.sonic, svd=args.svd, whisper=args.whisper, rife=args.rife)
        release.files()  # a missing file is reported before torch loads
    with Watch(args.started) as watch:
        import torch

        from sonimate.checkpoints.convert import convert
        from sonimate.checkpoints.initialise import initialise

        settings: dict[str, Any] = {"dtype": getattr(torch, args.dtype), "progress": watch}
        if release:
            convert(release, args.output, **settings)
        else:
            sources = (args.svd, args.whisper, args.output)
            initialise(*sources, rife=args.rife, seed=args.seed, **settings)
    components = describe(args.output)
    account = account_of(args.output, components) | watch.measurements()
    end = f"{args.output} is complete, after {account['wall_seconds']:.1f} s"
    text = f"{components_table(components)}\n{end}{memory_text(account['peak_memory_mb'])}."
    _print(args, account, text)


def account_of(folder: Path, components: list[ComponentInfo]) -> dict[str, Any]:
    """A model's components, ready for JSON."""
    return {"model": str(folder), "components": [asdict(component) for component in components]}


def components_table(components: list[ComponentInfo]) -> str:
    """A model's components, as a table of text."""
    rows = [["component", "class", "parameters", "type", "size"]]
    for part in components:
        kind = f"{part.library}.{part.class_name}"
        size = megabytes(part.size_bytes)
        rows.append([part.name, kind, f"{part.parameters:,}", ", ".join(part.dtypes), size])
    total = f"{sum(part.parameters for part in components):,}"
    rows.append(["total", "", total, "", megabytes(sum(part.size_bytes for part in components))])
    return table(rows)


def table(rows: list[list[str]]) -> str:
    """Columns of text, aligned on the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def megabytes(size_bytes: float) -> str:
    """A size as text, in 10^6 bytes."""
    return f"{size_bytes / 1e6:,.1f} MB"


def _print(args: Namespace, account: object, text: str) -> None:
    publish(json.dumps(account) if args.json else text)
