"""The command line of `sonimate animate`. Options that are not given are the model's own."""

from __future__ import annotations

import argparse
from typing import get_args

from sonimate.apps.arguments import Subparsers, face_box, frame_rate, interval, mask_box, number, whole
from sonimate.configs import (
    COMPACT,
    FULL,
    MAX_BUCKET,
    MAX_SIZE_PX,
    MIN_SIZE_PX,
    Precision,
    SamplingOptions,
)

MAX_SEED = 2**63 - 1
OMIT = argparse.SUPPRESS


def add_parser(commands: Subparsers) -> None:
    """Add `animate` to the command line."""
    parser = commands.add_parser(
        "animate",
        help="make a portrait speak",
        description="Animate the face in PORTRAIT to the sound of AUDIO.",
    )
    parser.add_argument("portrait", metavar="PORTRAIT", help="a picture with a face: jpg, png, webp, ...")
    parser.add_argument("audio", metavar="AUDIO", help="a recording, or a video with sound; 0.2 s or longer")
    _add_picture_options(parser)
    _add_output_options(parser)
    _add_sampling_options(parser)
    _add_motion_options(parser)
    _add_machine_options(parser)


def _add_picture_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("picture")
    add = group.add_argument
    add(
        "--size",
        type=whole(MIN_SIZE_PX, MAX_SIZE_PX),
        metavar="PX",
        help="compact model: limit of the longer side (default: 1024); full model: approximate shorter "
        "side, both sides in multiples of 64 (default: 512)",
    )
    add("--crop", action="store_true", help="animate the face and its surroundings only")
    add(
        "--paste-back",
        action="store_true",
        help="put the frames back into the whole picture, at its own size",
    )
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--face",
        type=whole(1, 10_000),
        metavar="N",
        default=OMIT,
        help="the Nth face from the left (default: the largest)",
    )
    which.add_argument(
        "--face-box",
        type=face_box,
        metavar="X0,Y0,X1,Y1",
        default=OMIT,
        help="the face in this box of the picture, in pixels",
    )
    add(
        "--mask-box",
        type=mask_box,
        metavar="SCALE|X0,Y0,X1,Y1",
        default=OMIT,
        help="full model: the box for the face mask and --crop; SCALE times the box of the landmarks "
        "(default: 1), or a box in pixels of the picture",
    )


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("output").add_argument
    add("-o", "--output", required=True, metavar="OUT.mp4", help="the video to write")
    add("--fps", type=frame_rate, default=25.0, help="25 (default), or 12.5 without interpolated frames")
    add("--json", action="store_true", help="print one JSON object about the run to standard output")
    add(
        "--dry-run",
        action="store_true",
        help="check everything, print the plan with the predicted time and memory, write nothing",
    )


def _add_sampling_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("model and sampling").add_argument
    add(
        "--model",
        default="compact",
        metavar="NAME|DIR",
        help="a bundled model or the folder of a model (default: %(default)s)",
    )
    add(
        "--seed",
        type=whole(0, MAX_SEED),
        default=OMIT,
        metavar="N",
        help="another seed gives other motion (default: derived from picture and sound; see the report)",
    )
    add("--steps", type=whole(1, 1000), default=OMIT, metavar="N", help=f"denoising steps ({_both('steps')})")
    add(
        "--image-guidance",
        type=number(),
        default=OMIT,
        metavar="X",
        help=f"guidance scale of the portrait; every value except 1 costs time ({_both('image_guidance')})",
    )
    add(
        "--audio-guidance",
        type=number(),
        default=OMIT,
        metavar="X",
        help=f"guidance scale of the voice; higher values open the mouth wider ({_both('audio_guidance')})",
    )
    add(
        "--guidance-interval",
        type=interval,
        default=OMIT,
        metavar="LOW,HIGH",
        help="guidance only at noise levels between these: faster, but the video differs (default: at all)",
    )
    add(
        "--shift",
        dest="shift_offset",
        type=whole(0, 1_000_000),
        default=OMIT,
        metavar="N",
        help=f"frames by which the windows move from step to step ({_both('shift_offset')})",
    )
    add(
        "--reuse",
        type=whole(1, 100),
        default=OMIT,
        metavar="N",
        help="compute the deep layers only in every Nth step: faster, but the video differs (default: 1)",
    )
    add(
        "--as-reference",
        action="store_true",
        help="sound, number of frames, noise and decoding as in the authors' implementation",
    )


def _add_motion_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("motion").add_argument
    add(
        "--dynamic-scale",
        type=number(0.5, 2),
        default=COMPACT.dynamic_scale,
        metavar="X",
        help="0.5 mild, 1 moderate, 2 intense (default: %(default)s)",
    )
    for name, what in (("head-motion", "the head moves"), ("expression", "the face moves")):
        add(
            f"--{name}",
            type=number(0, MAX_BUCKET),
            default=OMIT,
            metavar="X",
            help=f"how much {what}, 0 to 128 (default: predicted from the voice)",
        )


def _add_machine_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("machine").add_argument
    add("--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda, cuda:1, ... or mps")
    add(
        "--dtype",
        choices=get_args(Precision),
        default="auto",
        help="numbers of the large networks (default: float16 for the full model on a GPU, else float32)",
    )
    add(
        "--sequential-guidance",
        action="store_true",
        help="compute one guidance branch at a time: less memory",
    )
    add(
        "--decode-chunk",
        type=whole(1, 1000),
        default=OMIT,
        metavar="FRAMES",
        help="full model: frames decoded at once; fewer need less memory (default: 16, --as-reference: 8)",
    )
    add("--offload", action="store_true", help="keep each network out of the GPU's memory until it is needed")
    add(
        "--compile", action="store_true", help="compile the UNet by torch.compile: slow to start, then faster"
    )


def _both(name: str) -> str:
    compact, full = getattr(COMPACT, name), getattr(FULL, name)
    return f"default: {compact:g}" if compact == full else f"default: {compact:g}, full model {full:g}"


def changed_sampling(args: argparse.Namespace, defaults: SamplingOptions) -> SamplingOptions:
    """`defaults` with the command line's changes."""
    from dataclasses import fields, replace

    given = {field.name: vars(args)[field.name] for field in fields(defaults) if field.name in args}
    return replace(defaults, batch_branches=not args.sequential_guidance, **given)
