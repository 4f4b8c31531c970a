"""`sonimate animate`: reads the files, writes the video, and reports the run."""

from __future__ import annotations

import argparse
import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from sonimate import importing
from sonimate.apps.animate_inputs import check_options, given, read_files
from sonimate.apps.animate_report import plan_text, summary_text, video_report
from sonimate.apps.arguments import (
    SoundOfFace,
    Subparsers,
    add_arguments,
    face_box,
    frame_rate,
    gaze,
    interval,
    mask_box,
    number,
    speaker,
    whole,
)
from sonimate.apps.outputs import check_output, default_output
from sonimate.apps.progress import Watch
from sonimate.apps.starting import prepare_threads, start_loading_torch
from sonimate.apps.streams import publish
from sonimate.checkpoints.registry import is_full, model_folder
from sonimate.configs import (
    COMPACT,
    FULL,
    KEEP,
    MAX_BLINKS,
    MAX_BUCKET,
    MAX_GUIDANCE,
    MAX_SIZE_PX,
    MIN_SIZE_PX,
    TRANSPARENT,
    EyeOptions,
    MotionOptions,
    Precision,
    SamplingOptions,
)

if TYPE_CHECKING:
    from sonimate.face.mesh import FaceMesh
    from sonimate.inputs import Inputs
    from sonimate.pipeline import SonicPipeline

MAX_SOUND_SECONDS = 1e6
"""Eleven days: more than any file that is read."""

PIPELINE_OPTIONS = ("model", "device", "dtype", "offload", "compile")
"""What `load_pipeline` takes: runs that agree in these can share one pipeline."""


def _both(name: str) -> str:
    """The default of a sampling option, of both model sizes where they differ."""
    compact, full = getattr(COMPACT, name), getattr(FULL, name)
    return f"default: {compact:g}" if compact == full else f"default: {compact:g}, full model {full:g}"


FACE = """
--face N                the Nth face from the left (default: the largest)
--face-box X0,Y0,X1,Y1  the face in this box, in pixels of the picture as it is shown upright
"""
SPEAKER = """
--speaker N=SOUND       in place of AUDIO: the sound of the Nth face from the left (see sonimate faces);
                        once for each face that speaks; the others stay as they are
"""
OPTIONS = f"""
picture:
--frame SECONDS
              of a video as PORTRAIT: the frame to animate (default: the first that shows a face well)
--size PX     compact model: limit of the longer side (default: 1024); a picture whose face would become too
              small is cropped; full model: approximate shorter side, both sides in multiples of 64
              (default: 512)
--crop        animate the face and its surroundings only
--paste-back  put the frames back into the whole picture, at its own size
--background keep|transparent|COLOUR|IMAGE
              compact model: behind the person is the picture's own background (default: keep), nothing (in a
              .webm, .mov or folder of PNG files), a colour, such as green or #00b140, or a picture file
--force       animate a face whose mouth is covered, too
--mask-box SCALE|X0,Y0,X1,Y1
              full model: the box for the face mask and --crop; SCALE times the box of the landmarks (default:
              1), or a box in pixels of the picture
sound:
--track N     the Nth sound track (default: the one that the file marks as default, else the first)
--start SECONDS
              begin here in the sound (default: 0)
--duration SECONDS
              use no more of the sound (default: all)
output:
-o, --output OUT.mp4
              the video to write: .mp4, .mov, .webm, .mkv or .gif, or a folder of PNG files as in -o frames/
              (default: PORTRAIT-AUDIO.mp4, .webm if transparent, beside the sound; of a pipe, in this folder)
-y, --overwrite
              replace a video of that name; else a terminal is asked, and elsewhere the run is refused
--fps FPS     25 (default), 12.5; compact model: 24, 30, 50 or 60, too
--c2pa CERT KEY
              sign a C2PA manifest that says how the video was made; CERT is a chain of certificates, both PEM
--json        print one JSON object about the run to standard output
--dry-run     check everything, print the plan with the predicted time and memory, write nothing
model and sampling:
--model NAME|DIR
              a bundled model or the folder of a model (default: %(default)s)
--seed N      another seed gives other motion (default: derived from picture and sound; see the report)
--steps N     denoising steps ({_both("steps")})
--image-guidance X
              guidance scale of the portrait; every value except 1 costs time ({_both("image_guidance")})
--audio-guidance X
              guidance scale of the voice; higher values open the mouth wider ({_both("audio_guidance")})
--guidance-interval LOW,HIGH
              guidance only at noise levels between these: faster, but the video differs; noise falls to 0
              from {COMPACT.sigma_max:g}, full model {FULL.sigma_max:g} (default: at all noise levels)
              [0 to {FULL.sigma_max:g}]
--shift N     frames by which the windows move from step to step ({_both("shift_offset")})
--reuse N     compute the deep layers only in every Nth step: faster, but the video differs (default: 1)
--as-reference
              sound, number of frames, noise and decoding as in the authors' implementation
motion:
--dynamic-scale X
              0.5 mild, 1 moderate, 2 intense (default: %(default)g)
--head-motion X
              how much the head moves (default: predicted from the voice)
--expression X
              how much the face moves (default: predicted from the voice)
--blinks N    compact model: blinks a minute (default: 16)
--gaze natural|steady|X,Y
              compact model: natural (default) glances around; steady looks as in the picture; X,Y looks
              X degrees to the viewer's right of that (-12 to 12) and Y up (-6 to 2), as in --gaze=-8,0
machine:
--device NAME
              auto (default), cpu, cuda, cuda:1, ... or mps
--dtype       type of the numbers in the large networks; auto (default): float16 for the full model on a GPU,
              else float32
--sequential-guidance
              compute one guidance branch at a time: less memory
--decode-chunk FRAMES
              full model: frames decoded at once; fewer need less memory (default: 16, --as-reference: 8)
--offload     keep each network out of the GPU's memory until it is needed
--compile     compile the UNet by torch.compile: slow to start, then faster
"""


def add_parser(commands: Subparsers) -> None:
    """Add `animate` to the command line. Options without a default here are parsed only if they are given:
    the model has defaults for them."""
    parser = commands.add_parser(
        "animate",
        help="make a portrait speak",
        description="Animate the face in PORTRAIT to the sound of AUDIO.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("portrait", metavar="PORTRAIT", help="a picture with a face: jpg, png, webp, ...")
    audio = parser.add_argument(
        "audio",
        metavar="AUDIO",
        help="a recording, or a video with sound; 0.2 s or longer; - reads it from a pipe",
    )
    scale = COMPACT.dynamic_scale
    parser.set_defaults(
        audio=None,
        output=None,
        speaker=None,
        size=None,
        background=KEEP,
        fps=25.0,
        model="compact",
        dynamic_scale=scale,
        device="auto",
        dtype="auto",
    )
    one_of = parser.add_argument_group("face").add_mutually_exclusive_group()
    add_arguments(one_of, FACE, face=whole(1, 10_000), face_box=face_box)
    sound_of_face = {"type": speaker, "action": SoundOfFace, "sound_of_one": audio}
    add_arguments(one_of, SPEAKER, speaker=sound_of_face)
    add_arguments(
        parser,
        OPTIONS,
        size=whole(MIN_SIZE_PX, MAX_SIZE_PX),
        frame={"type": number(0, MAX_SOUND_SECONDS), "dest": "frame_seconds"},
        mask_box=mask_box,
        track=whole(1, 1000),
        start={"type": number(0, MAX_SOUND_SECONDS), "dest": "start_seconds"},
        duration={"type": number(0.2, MAX_SOUND_SECONDS), "dest": "duration_seconds"},
        c2pa={"nargs": 2},
        fps=frame_rate,
        seed=whole(0, 2**63 - 1),
        steps=whole(1, 1000),
        image_guidance=number(0, MAX_GUIDANCE),
        audio_guidance=number(0, MAX_GUIDANCE),
        guidance_interval=interval,
        shift={"type": whole(0, 1_000_000), "dest": "shift_offset"},
        reuse=whole(1, 100),
        dynamic_scale=number(0.5, 2),
        head_motion=number(0, MAX_BUCKET),
        expression=number(0, MAX_BUCKET),
        blinks=number(0, MAX_BLINKS),
        gaze=gaze,
        dtype={"choices": get_args(Precision)},
        decode_chunk=whole(1, 1000),
    )


def run(args: Namespace) -> None:
    """Run a parsed command line. Raises SonimateError."""
    sounds: list[str] = list((args.speaker or {1: args.audio}).values())
    suffix = ".webm" if args.background == TRANSPARENT else ".mp4"
    args.output = args.output or default_output(args.portrait, sounds[0], suffix)
    check_output(args.output, args.portrait, *sounds, overwrite=args.overwrite, ask=not args.dry_run)
    with Watch(args.started) as watch:
        report = make_video(args, watch)
    text = plan_text if args.dry_run else summary_text
    publish(json.dumps(report) if args.json else text(report))


def load_pipeline(
    *, model: str, device: str, dtype: Precision, offload: bool, compile: bool
) -> SonicPipeline:
    """The pipeline of these options of the command line."""
    with importing():
        from sonimate.pipeline import SonicPipeline

        return SonicPipeline.from_pretrained(
            model, device=device, dtype=dtype, offload=offload, compile_unet=compile
        )


def make_video(
    args: Namespace,
    watch: Watch,
    *,
    load: Callable[..., SonicPipeline] = load_pipeline,
    mesh: FaceMesh | None = None,
) -> dict[str, Any]:
    """Write the video of a parsed command line, or only predict it, and return the report of the run.

    load: `load_pipeline`, or what keeps the pipelines that it loaded. mesh: a face mesh that is already
    loaded. Raises SonimateError.
    """
    from sonimate.face.mesh import FaceMesh
    from sonimate.inputs import with_seed
    from sonimate.media.files import kept_from_pipe
    from sonimate.media.provenance import read_signature

    check_options(args)
    signature = None
    if "c2pa" in args:
        signature = read_signature(*args.c2pa)
    with ExitStack() as pipes:
        watch("read", 0, 1)
        sounds = (args.speaker or {1: args.audio}).items()
        kept = {number: pipes.enter_context(kept_from_pipe(sound)) for number, sound in sounds}
        mesh = mesh or FaceMesh(num_threads=1, on_likely_face=start_loading_torch)
        inputs = read_files(args, kept, mesh)
        watch("read", 1, 1)
        folder = model_folder(args.model)
        full = is_full(folder)
        changes = given(args, *(field.name for field in fields(SamplingOptions)))
        sampling = replace(FULL if full else COMPACT, batch_branches=not args.sequential_guidance, **changes)
        sampling = with_seed(sampling, inputs[0].portrait, inputs[0].waveform)
        if not args.dry_run:
            watch("load", 0, 1)
        prepare_threads()
        with importing():
            from sonimate.apps.forecast import forecast, plan_video

            planned = plan_video(args, inputs, sampling, full)
            report = video_report(args, planned, inputs, sampling)
        if args.dry_run:
            report |= forecast(args, folder, inputs, sampling, planned, full)
        else:
            report |= animate(args, inputs, sampling, watch, load)
            if signature is not None:
                signature.sign(Path(args.output).resolve(), title=Path(args.output).name)
            report |= watch.measurements()
            report["realtime_factor"] = round(report["wall_seconds"] / report["seconds"], 3)
    report["warnings"] = watch.warnings
    return report


def animate(
    args: Namespace,
    inputs: Sequence[Inputs],
    sampling: SamplingOptions,
    watch: Watch,
    load: Callable[..., SonicPipeline],
) -> dict[str, Any]:
    """Write the video. Returns the part of the report that only the pipeline knows."""
    pipeline = load(**{name: getattr(args, name) for name in PIPELINE_OPTIONS})
    watch("load", 1, 1)
    eyes = EyeOptions(**given(args, "blinks", "gaze"))
    motion = MotionOptions(**given(args, "head_motion", "expression"), eyes=eyes)
    animation = pipeline.animate_inputs(
        inputs, sampling=sampling, motion=motion, size=args.size, fps=args.fps, progress=watch
    )
    animation.save(args.output, progress=watch)
    return {"device": str(pipeline.device), "interpolation": animation.interpolation}
