"""`sonimate animate`: reads the files, writes the video, and reports the run."""

from __future__ import annotations

import ctypes
import gc
import json
import os
from argparse import Namespace
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from sonimate.apps.animate_options import add_parser, changed_sampling
from sonimate.apps.progress import Watch, peak_memory_mb
from sonimate.checkpoints.registry import is_full, model_folder
from sonimate.configs import COMPACT, FULL, MotionOptions, SamplingOptions
from sonimate.errors import OptionOutOfRange, OutputNotWritable

if TYPE_CHECKING:
    from sonimate.apps.forecast import PlannedVideo
    from sonimate.inputs import Inputs

__all__ = ["add_parser", "run"]


def run(args: Namespace) -> None:
    """Run a parsed command line. Raises SonimateError."""
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
        mesh = FaceMesh(num_threads=1, on_likely_face=start_loading_torch)
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
            from sonimate.apps.forecast import forecast, plan_video

            planned = plan_video(args, inputs, sampling, full=full)
            report = video_report(args, planned, inputs, sampling)
        if args.dry_run:
            report |= forecast(args, folder, inputs, sampling, planned, full=full)
        else:
            report |= animate(args, inputs, sampling, watch)
            report |= measurements(watch, report["seconds"])
    report["warnings"] = watch.warnings
    if args.json:
        print(json.dumps(report))
    else:
        print(plan_text(report) if args.dry_run else summary_text(report))


def animate(args: Namespace, inputs: Inputs, sampling: SamplingOptions, watch: Watch) -> dict[str, Any]:
    """Write the video. Returns the part of the report that only the pipeline knows."""
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
    """Make OpenMP's waiting threads spin for a short time, then sleep. By default they spin for long: with
    other busy programs on the machine, the UNet then took 3 to 20 times as long. Without any spinning it
    takes 1.5 times as long on an idle machine. OpenMP reads these variables once, when torch loads."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


@cache
def start_loading_torch() -> None:
    """Load torch's largest library in a thread, while the face is found: torch's import then takes 0.14 s
    less. The import itself would hold Python's lock while it loads the library; this call does not."""
    prepare_threads()
    torch = find_spec("torch")
    for folder in (torch and torch.submodule_search_locations) or ():
        library = Path(folder, "lib", "libtorch_cpu.so")
        if library.exists():  # on Linux
            load = ctypes.CDLL(None).dlopen
            Thread(target=load, args=(os.fsencode(library), os.RTLD_NOW)).start()


def check_output(output: str, *inputs: str) -> None:
    """Raise OutputNotWritable if `output` cannot be written, or is one of the inputs."""
    from sonimate.media.mp4 import require_writable_mp4

    require_writable_mp4(output)
    for file in inputs:
        if os.path.exists(output) and os.path.exists(file) and os.path.samefile(output, file):
            raise OutputNotWritable(f"{output} is the input {file}. Choose another name for the video.")


def motion_options(args: Namespace) -> MotionOptions:
    """The motion buckets that the command line gives."""
    return MotionOptions(**{name: vars(args)[name] for name in ("head_motion", "expression") if name in args})


def video_report(
    args: Namespace, video: PlannedVideo, inputs: Inputs, sampling: SamplingOptions
) -> dict[str, Any]:
    """The video and the options, ready for JSON. windows: computed by the UNet in each step."""
    reported_elsewhere = ("command", "portrait", "audio", "output", "model", "json", "dry_run", "started")
    options = {name: value for name, value in vars(args).items() if name not in reported_elsewhere}
    return {
        "output": str(Path(args.output).absolute()),
        "seconds": video.frames / args.fps,
        "frames": video.frames,
        "width": video.width,
        "height": video.height,
        "face_box": [round(side, 1) for side in inputs.face_box],
        "windows": video.windows,
        "model": args.model,
        "seed": sampling.seed,
        "options": options | asdict(sampling),
    }


def measurements(watch: Watch, seconds: float) -> dict[str, Any]:
    """Time and memory of the run, ready for JSON. realtime_factor: wall time over the video's duration."""
    return {
        "wall_seconds": round(watch.wall_seconds, 3),
        "realtime_factor": round(watch.wall_seconds / seconds, 3),
        "peak_memory_mb": peak_memory_mb(),
        "stages": {stage: round(value, 3) for stage, value in watch.seconds.items()},
    }


def plan_text(report: dict[str, Any]) -> str:
    """The report of a dry run as text."""
    options = report["options"]
    box = ", ".join(f"{side:.0f}" for side in report["face_box"])
    return (
        f"{report['output']} would hold {report['seconds']:.2f} s: {report['frames']} frames of "
        f"{report['width']} x {report['height']} px at {options['fps']:g} fps.\n"
        f"Model {report['model']} on {report['device']}, windows: {report['windows']}, steps: "
        f"{options['steps']}, seed: {report['seed']}, face at {box} in the frame.\n"
        f"It would take about {report['predicted_seconds']:.0f} s and {report['predicted_memory_mb']} MB."
    )


def summary_text(report: dict[str, Any]) -> str:
    """The report of a run as text, one line."""
    peak = report["peak_memory_mb"]
    memory = "" if peak is None else f", {peak:.0f} MB peak"
    between = f" (frames between by {report['interpolation']})" if report["interpolation"] else ""
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report["stages"].items())
    return (
        f"{report['output']}: {report['seconds']:.2f} s of {report['width']} x {report['height']} px"
        f"{between} in {report['wall_seconds']:.1f} s, {report['realtime_factor']:.2f} x real time{memory} "
        f"({stages}); seed {report['seed']}"
    )


@contextmanager
def garbage_ignored() -> Generator[None]:
    """No garbage collection within the block, and never of objects made in it. They are modules, which are
    never freed: importing 3,000 of them takes 0.6 s less, and so does the program's exit."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


@contextmanager
def native_messages_hidden() -> Generator[None]:
    """Discard what native code writes to file descriptor 2: LiteRT prints a line there at any log level."""
    try:
        kept = os.dup(2)
    except OSError:  # the descriptor is closed
        yield
        return
    try:
        with open(os.devnull, "wb") as discarded:
            os.dup2(discarded.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
