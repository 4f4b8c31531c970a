"""`sonimate features`: shards of clips -> what a model is trained on."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from sonimate.apps.arguments import REQUIRED_PATH, Subparsers, add_arguments, whole
from sonimate.apps.progress import Watch
from sonimate.errors import OptionOutOfRange, extra_needed


def add_parser(commands: Subparsers) -> None:
    """Add `features` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "features",
        help="compute what a model is trained on",
        description="Compute training data from SHARDS: motion of faces and audio features for the compact "
        "model, or, with --model, latents and embeddings for a full model.",
    )
    add_arguments(
        parser,
        """
        SHARDS           folder that `sonimate prepare` wrote
        -o, --output DATA
                         the folder to write
        compact model:
        --speech SPEECH  folder that `sonimate speech` wrote
        --seed N         seed of the synthetic faces (default: 0)
        full model:
        --model MODEL    folder of the full model to train from
        --size PX        shorter side of the frames (default: as in the shards)
        --calibrate-buckets
                         convert motion buckets to the unit of MODEL, a converted release, as its
                         audio_to_bucket predicts them for the clips (needs 8 clips or more)
        --device DEVICE  such as cpu, cuda or cuda:1 (default: auto)
        """,
        shards=Path,
        output=REQUIRED_PATH,
        speech=Path,
        seed=whole(0, 2**31 - 1),
        size=whole(64, 4096),
        calibrate_buckets={"action": "store_true", "default": None},
    )


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate features` command line. Raises SonimateError."""
    compact, full = ("speech", "seed"), ("size", "device", "calibrate_buckets")
    given = [name for name in (compact if args.model else full) if getattr(args, name) is not None]
    if given:
        size, switch = ("compact", "without") if args.model else ("full", "with")
        raise OptionOutOfRange(
            f"--{given[0].replace('_', '-')} is an option of the {size} model, whose features are computed "
            f"{switch} --model."
        )
    with Watch(args.started) as watch:
        print(_full(args, watch) if args.model else _compact(args, watch))


def _compact(args: Namespace, watch: Watch) -> str:
    with extra_needed("train"):
        from sonimate.features.compact_features import write_compact_features

    seed = args.seed or 0
    written = write_compact_features(args.shards, args.output, args.speech, seed=seed, progress=watch)
    return f"{len(written.clips)} clips and {written.synthetic} utterances; see {args.output}/derived.json"


def _full(args: Namespace, watch: Watch) -> str:
    with extra_needed("full"):
        from sonimate.checkpoints.registry import model_folder
        from sonimate.devices import choose_device
        from sonimate.features.calibration import calibrate_buckets
        from sonimate.features.latents import write_latents

    device, model = choose_device(args.device or "auto"), model_folder(args.model)
    written = write_latents(args.shards, args.output, model, device=device, size_px=args.size, progress=watch)
    if args.calibrate_buckets:
        calibrate_buckets(args.output, model)
    return f"{written} shards written to {args.output}"
