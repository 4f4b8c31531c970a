"""Whether a video may be written under its name, which is found out before anything is computed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sonimate.errors import OutputNotWritable

NAME_BYTES = 255
"""That a name of a file may have on all common systems."""


def default_output(portrait: str, audio: str, suffix: str = ".mp4") -> str:
    """PORTRAIT-AUDIO and `suffix`, in the folder of the sound; in the current one where the sound is no file,
    as a pipe is. Names that are together too long for a file are cut. Raises OutputNotWritable."""
    from sonimate.media.files import require_writable

    folder = Path(audio).parent if os.path.isfile(audio) else Path()
    names = [Path(portrait).stem, "stdin" if audio == "-" else Path(audio).stem]
    room = NAME_BYTES - len(f"-{suffix}")
    if sum(len(os.fsencode(name)) for name in names) > room:
        names = [os.fsencode(name)[: room // 2].decode(errors="ignore") for name in names]
    output = str(folder / f"{'-'.join(names)}{suffix}")
    try:
        require_writable(output)
    except OutputNotWritable as error:
        raise OutputNotWritable(
            f"{error} Without -o, the video goes beside the sound: name another place by -o."
        ) from error
    return output


def check_output(output: str, *inputs: str, overwrite: bool, ask: bool) -> None:
    """Raise OutputNotWritable if `output` cannot be written, is one of the inputs, or is a file that may not
    be replaced. An empty file or folder may always be replaced.

    overwrite: any file may be. ask: a terminal, if there is one, which else is taken to say yes.
    """
    from sonimate.media.video_formats import require_writable_video

    file = require_writable_video(output)
    if not file.exists():
        return
    for name in inputs:
        if os.path.exists(name) and os.path.samefile(file, name):
            raise OutputNotWritable(f"{output} is the input {name}. Choose another name for the video by -o.")
    if overwrite or not (any(file.iterdir()) if file.is_dir() else file.stat().st_size):
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise OutputNotWritable(
            f"{output} exists already. Give --overwrite (or -y) to replace it, or choose another name by -o."
        )
    if ask and not agreed(f"{output} exists already. Replace it? [y/N] "):
        raise OutputNotWritable(f"{output} stays as it is. Choose another name for the video by -o.")


def agreed(question: str) -> bool:
    """Ask on the terminal; only an answer that begins with y is a yes."""
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower().startswith("y")
