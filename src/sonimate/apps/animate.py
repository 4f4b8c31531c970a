"""`sonimate animate`: files in, video out, and an account of it. Bad input is refused before torch loads."""

from __future__ import annotations

import gc
import json
import os
from argparse import Namespace
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonimate.apps.animate_options import add_parser, changed_sampling
from sonimate.apps.progress import Watch, peak_memory_mb
from sonimate.checkpoints.registry import is_full, model_folder
from sonimate.configs import COMPACT, FULL, MotionOptions, SamplingOptions
from sonimate.errors import OptionOutOfRange, OutputNotWritable

if TYPE_CHECKING:
    from sonimate.apps.forecast import Outline
    from sonimate.inputs import Inputs

__all__ = ["add_parser", "run"]


def run(args: Namespace) -> None:
    """Carry out a parsed command line. Raises SonimateError."""
    from sonimate.face.mesh import FaceMesh
    from sonimate.inputs import DEFAULT_SIZE_PX, read_inputs, with_seed

    check_output(args.output, args.portrait, args.audio)
    folder = model_folder(args.model)
    full = is_full(folder)
    if "decode_chunk" in args and not full:
        raise OptionOutOfRange(
            "--decode-chunk is for the full model; the compact one draws every frame alone. Leave it out."
        )
    with native_messages_hidden():
        mesh = FaceMesh(num_threads=1)
    with Watch(args.started) as watch:
        watch("read", 0, 1)
        which = {name: vars(args)[name] for name in ("face", "face_box", "mask_box") if name in args}
        size = None if full else args.size or DEFAULT_SIZE_PX
        inputs = read_inputs(
            args.portrait,
            args.audio,
            **which,
            size=size,
            crop=args.crop,
            paste_back=args.paste_back,
            mesh=mesh,
        )
        watch("read", 1, 1)
        sampling = changed_sampling(args, FULL if full else COMPACT)
        sampling = with_seed(sampling, inputs.portrait, inputs.waveform)
        if not args.dry_run:
            watch("load", 0, 1)
        prepare_threads()
        with garbage_ignored():
            from sonimate.apps.forecast import forecast, outline

            made = outline(args, inputs, sampling, full=full)
            account = described(args, made, inputs, sampling)
        if args.dry_run:
            account |= forecast(args, folder, inputs, sampling, made, full=full)
        else:
            account |= animate(args, inputs, sampling, watch)
            account |= measurements(watch, account["seconds"])
    account["warnings"] = watch.warnings
    if args.json:
        print(json.dumps(account))
    else:
        print(plan_text(account) if args.dry_run else summary_text(account))


def animate(args: Namespace, inputs: Inputs, sampling: SamplingOptions, watch: Watch) -> dict[str, Any]:
    """Make the video; returns what is known of it only now."""
    with garbage_ignored():
        from sonimate.pipeline import SonicPipeline

        pipeline = SonicPipeline.from_pretrained(
            args.model,
            device=args.device,
            dtype=args.dtype,
            offload=args.offload,
            compile_unet=args.compile,
        )
    watch("load", 1, 1)
    animation = pipeline.animate_inputs(
        inputs,
        sampling=sampling,
        motion=motion_options(args),
        size=args.size,
        fps=args.fps,
        progress=watch,
    )
    animation.save(args.output, progress=watch)
    return {"device": str(pipeline.device), "interpolation": animation.interpolation}


def prepare_threads() -> None:
    """By default OpenMP's threads spin while they wait: beside other busy programs "move" took 3 to 20 times
    as long. Read once, when torch loads."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def check_output(output: str, *inputs: str) -> None:
    """Raise OutputNotWritable if `output` cannot be written, or is one of the inputs."""
    from sonimate.media.mp4 import require_writable_mp4

    require_writable_mp4(output)
    for file in inputs:
        if os.path.exists(output) and os.path.exists(file) and os.path.samefile(output, file):
            raise OutputNotWritable(f"{output} is the input {file}. Choose another name for the video.")


def motion_options(args: Namespace) -> MotionOptions:
    """Motion buckets that the command line fixes."""
    return MotionOptions(**{name: vars(args)[name] for name in ("head_motion", "expression") if name in args})


def described(args: Namespace, made: Outline, inputs: Inputs, sampling: SamplingOptions) -> dict[str, Any]:
    """What the run makes, ready for JSON. windows: that the UNet sees in each step."""
    reported_apart = ("command", "portrait", "audio", "output", "model", "json", "dry_run", "started")
    options = {name: value for name, value in vars(args).items() if name not in reported_apart}
    return {
        "output": str(Path(args.output).absolute()),
        "seconds": made.frames / args.fps,
        "frames": made.frames,
        "width": made.width,
        "height": made.height,
        "face_box": [round(side, 1) for side in inputs.face_box],
        "windows": made.windows,
        "model": args.model,
        "seed": sampling.seed,
        "options": options | asdict(sampling),
    }


def measurements(watch: Watch, seconds: float) -> dict[str, Any]:
    """What the run took, ready for JSON. realtime_factor: wall time over the video's duration."""
    return {
        "wall_seconds": round(watch.wall_seconds, 3),
        "realtime_factor": round(watch.wall_seconds / seconds, 3),
        "peak_memory_mb": peak_memory_mb(),
        "stages": {stage: round(value, 3) for stage, value in watch.seconds.items()},
    }


def plan_text(account: dict[str, Any]) -> str:
    """The plan for people."""
    options = account["options"]
    box = ", ".join(f"{side:.0f}" for side in account["face_box"])
    return (
        f"{account['output']} would hold {account['seconds']:.2f} s: {account['frames']} frames of "
        f"{account['width']} x {account['height']} px at {options['fps']:g} fps.\n"
        f"Model {account['model']} on {account['device']}, windows: {account['windows']}, steps: "
        f"{options['steps']}, seed: {account['seed']}, face at {box} in the frame.\n"
        f"It would take about {account['predicted_seconds']:.0f} s and {account['predicted_memory_mb']} MB."
    )


def summary_text(account: dict[str, Any]) -> str:
    """The account for people, on one line."""
    peak = account["peak_memory_mb"]
    memory = "" if peak is None else f", {peak:.0f} MB peak"
    between = f" (frames between by {account['interpolation']})" if account["interpolation"] else ""
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in account["stages"].items())
    return (
        f"{account['output']}: {account['seconds']:.2f} s of {account['width']} x {account['height']} px"
        f"{between} in {account['wall_seconds']:.1f} s, {account['realtime_factor']:.2f} x real time{memory} "
        f"({stages}); seed {account['seed']}"
    )


@contextmanager
def garbage_ignored() -> Generator[None]:
    """Collect no garbage within the block, and never what it made: importing 3,000 modules, which last to the
    end, takes 0.6 s less, and so does leaving them."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


@contextmanager
def native_messages_hidden() -> Generator[None]:
    """Drop what native code writes to file descriptor 2: LiteRT greets there, whatever its log level."""
    try:
        kept = os.dup(2)
    except OSError:  # closed: nothing to hide
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
