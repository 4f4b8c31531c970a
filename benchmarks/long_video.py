"""Does memory grow with a video's length? A long and a short one, drawn by the full model's codec and RIFE
and written to mp4 with as long a sound, which is streamed from its file as `animate` does, each in a process
of its own. The networks are random; the codec's is narrow.
"""

from __future__ import annotations

import json
import tempfile
import time
import wave
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder

from lib.command import benchmark_parser, run_json
from lib.report import Check, publish
from sonimate.apps.progress import peak_memory_mb
from sonimate.clock import VIDEO_FPS
from sonimate.codecs.svd.autoencoder import SVDCodec
from sonimate.codecs.svd.interpolation import RifeMiddle
from sonimate.media.audio import stream_sound
from sonimate.media.video_writer import VideoWriter
from sonimate.models.rife import IFNet, IFNetConfig

SIDE_PX = 64
SOUND_RATE_HZ = 44_100
MAX_GROWTH_MB = 150.0
LEVELS = 4


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--minutes", type=float, nargs=2, default=(1.0, 10.0), metavar=("SHORT", "LONG"))
    parser.add_argument("--draw", type=float, metavar="MINUTES", help="draw one video here, and tell as JSON")
    arguments = parser.parse_args(argv)
    if arguments.draw is not None:
        print(json.dumps(draw(arguments.draw)))
        return
    rows = [run_json(__file__, "--draw", minutes) for minutes in arguments.minutes]
    growth_mb = rows[1]["peak memory, MB"] - rows[0]["peak memory, MB"]
    check = Check("growth of peak memory, MB", growth_mb, high=MAX_GROWTH_MB)
    publish("long_video", arguments.out, rows=rows, checks=[check])


def draw(minutes: float) -> dict:
    """Latents to mp4 at 25 frames a second."""
    torch.manual_seed(0)
    vae = AutoencoderKLTemporalDecoder(
        down_block_types=("DownEncoderBlock2D",) * LEVELS,  # pyright: ignore[reportArgumentType]
        block_out_channels=(32,) * LEVELS,  # pyright: ignore[reportArgumentType]
    )
    codec = SVDCodec(vae.eval(), middle=RifeMiddle(IFNet(IFNetConfig()).eval()))
    side = SIDE_PX >> (LEVELS - 1)
    latents = torch.randn(round(minutes * 60 * codec.latent_fps), 4, side, side)
    start, frames = time.perf_counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "long.mp4"
        sound = stream_sound(write_sound(Path(folder) / "long.wav", minutes))
        with VideoWriter(video, width=SIDE_PX, height=SIDE_PX, fps=VIDEO_FPS, sound=sound) as writer:
            for frame in codec.decode(latents):
                writer.write(frame)
                frames += 1
        heard = sum(map(len, stream_sound(video).blocks)) / SOUND_RATE_HZ
    return {
        "minutes": minutes,
        "frames": frames,
        "sound, s": heard,
        "seconds": time.perf_counter() - start,
        "peak memory, MB": peak_memory_mb(),
    }


def write_sound(path: Path, minutes: float) -> Path:
    """Noise as a stereo wav file, second by second."""
    random = np.random.default_rng(0)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(SOUND_RATE_HZ)
        for _ in range(round(minutes * 60)):
            file.writeframes(random.integers(-3000, 3000, (SOUND_RATE_HZ, 2), dtype=np.int16).tobytes())
    return path


if __name__ == "__main__":
    main()
