"""How much memory does the length of a sound cost the compact model? A short and a long sound are read and
become conditions, or with --motion the latents of a video, each in a process of its own. Nothing is drawn.

long_sound.py --minutes 10 60
long_sound.py --minutes 2 10 --motion
"""

from __future__ import annotations

import json
import tempfile
import time
from itertools import repeat
from pathlib import Path
from typing import Any

from lib.command import EXAMPLES, benchmark_parser, run_json
from lib.report import Check, publish
from sonimate.apps.progress import peak_memory_mb
from sonimate.conditioning import listen
from sonimate.configs import AUTOMATIC, COMPACT
from sonimate.inputs import read_portrait
from sonimate.media.audio import read_audio
from sonimate.media.wav import write_wav_blocks
from sonimate.pipeline import SonicPipeline

MAX_MB_A_MINUTE = 20.0
"""Twice the samples at 16 kHz, 3.8 MB each, the spectrum, 1.9 MB, and the audio tokens, 1.5 MB."""
MAX_MOTION_MB_A_MINUTE = 65.0
"""With latents, of which the sampler holds several sets, 6.9 MB each."""


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--minutes", type=float, nargs=2, default=(10.0, 60.0), metavar=("SHORT", "LONG"))
    parser.add_argument("--hear", type=float, metavar="MINUTES", help="hear one sound here, and tell as JSON")
    parser.add_argument("--motion", action="store_true", help="generate the motion, too")
    arguments = parser.parse_args(argv)
    if arguments.hear is not None:
        print(json.dumps(hear(arguments.hear, motion=arguments.motion)))
        return
    more = ["--motion"] if arguments.motion else []
    rows = [run_json(__file__, "--hear", minutes, *more) for minutes in arguments.minutes]
    short, long = rows
    growth = (long["peak memory, MB"] - short["peak memory, MB"]) / (long["minutes"] - short["minutes"])
    high = MAX_MOTION_MB_A_MINUTE if arguments.motion else MAX_MB_A_MINUTE
    check = Check("growth of peak memory, MB a minute", growth, high=high)
    publish("long_sound", arguments.out, rows=rows, checks=[check])


def hear(minutes: float, *, motion: bool) -> dict[str, Any]:
    """Repeated speech, from a file to conditions or latents."""
    speech = read_audio(EXAMPLES / "speech/librivox_ss_0890.wav")
    with tempfile.TemporaryDirectory() as folder:
        path, repeats = Path(folder) / "long.wav", round(60 * minutes / speech.seconds)
        write_wav_blocks(path, repeat(speech.samples[:, None], repeats), speech.rate_hz, 1)
        waveform = read_audio(path)
    pipeline = SonicPipeline.from_pretrained("compact", device="cpu")
    portrait = read_portrait(EXAMPLES / "portraits/obama.jpg", size=256)
    before, start = peak_memory_mb(), time.perf_counter()
    if motion:
        pipeline.generate(portrait, waveform)
    else:
        parts = pipeline.components
        listen(parts, waveform, parts.codec.encode_reference(portrait), COMPACT, AUTOMATIC, pipeline.device)
    return {
        "minutes": minutes,
        "seconds": time.perf_counter() - start,
        "peak memory before, MB": before,
        "peak memory, MB": peak_memory_mb(),
    }


if __name__ == "__main__":
    main()
