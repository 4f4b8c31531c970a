"""What `sonimate animate` knows without a model: whether its options go together, and what its files hold."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sonimate.checkpoints.registry import is_full, model_folder
from sonimate.configs import KEEP, TRANSPARENT
from sonimate.errors import OptionOutOfRange, WrongUsage

if TYPE_CHECKING:
    from sonimate.face.mesh import FaceMesh
    from sonimate.inputs import Inputs


def check_options(args: Namespace) -> None:
    """Raise WrongUsage or OptionOutOfRange for options that do not go with the output, the model or each
    other."""
    from sonimate.media.provenance import require_signable
    from sonimate.media.video_formats import check_format

    check_format(args.output, fps=args.fps, transparent=args.background == TRANSPARENT)
    if "c2pa" in args:
        require_signable(args.output)
    full = is_full(model_folder(args.model))
    if "decode_chunk" in args and not full:
        raise OptionOutOfRange(
            "--decode-chunk is for the full model; the compact one draws every frame alone. Leave it out."
        )
    if full and ("blinks" in args or "gaze" in args):
        raise OptionOutOfRange(
            "--blinks and --gaze are for the compact model; the full one moves the eyes by itself. "
            "Leave them out."
        )
    if not args.speaker:
        return
    wrong = [
        (args.audio is not None, "AUDIO: each face has its own sound"),
        (args.crop, "--crop: the whole picture is shown"),
        ("mask_box" in args, "--mask-box: it is the box of one face"),
        (args.background != KEEP, "--background: it is of one person"),
        (list(args.speaker.values()).count("-") > 1, "- more than once: a pipe has one sound"),
    ]
    for given_too, what in wrong:
        if given_too:
            raise WrongUsage(f"--speaker does not go with {what}. Leave one of them out.")


def read_files(args: Namespace, sounds: Mapping[int, str], mesh: FaceMesh) -> list[Inputs]:
    """Read the portrait and the sounds of a parsed command line. Loads no torch.

    sounds: by the number of a face, or that of the only one. Raises SonimateError.
    """
    from sonimate.inputs import DEFAULT_SIZE_PX, read_conversation, read_inputs
    from sonimate.media.audio import SoundChoice

    shared: dict[str, Any] = {
        **given(args, "paste_back", "force", "frame_seconds"),
        "size": None if is_full(model_folder(args.model)) else args.size or DEFAULT_SIZE_PX,
        "mesh": mesh,
        "sound_choice": SoundChoice(**given(args, "track", "start_seconds", "duration_seconds")),
        "forecast": args.dry_run,
    }
    if args.speaker:
        return read_conversation(args.portrait, sounds, **shared)
    one = given(args, "face", "face_box", "mask_box", "crop", "background")
    (sound,) = sounds.values()
    return [read_inputs(args.portrait, sound, **one, **shared)]


def given(args: Namespace, *names: str) -> dict[str, Any]:
    """Those of the options that the command line gives."""
    return {name: value for name, value in vars(args).items() if name in names}
