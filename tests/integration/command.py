"""The command line, run within the test's own process, and the videos it writes."""

from pathlib import Path

import numpy as np
from media_samples import EXAMPLES, encode_sound

from sonimate.apps.cli import main

PORTRAIT = EXAMPLES / "portraits/obama.jpg"
SPEECH = EXAMPLES / "speech/librivox_ss_0890.wav"
QUICK = ("--size", "256", "--steps", "2")


def animate(*arguments: object) -> int:
    """Run the command in this process; returns its exit code."""
    try:
        return main(["animate", *map(str, arguments)])
    except SystemExit as end:
        return int(end.code or 0)


def wav(path: Path, samples: np.ndarray) -> Path:
    return encode_sound(path, samples.astype(np.float32), codec="pcm_f32le", rate_hz=16_000)
