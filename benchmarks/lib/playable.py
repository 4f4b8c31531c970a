"""Does a video play: H.264 and AAC that decode to the end, 25 fps, as long as the sound it was made for?"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from sonimate.clock import SAMPLE_RATE_HZ, VIDEO_FPS
from sonimate.media.audio import read_audio
from sonimate.media.video_writer import VideoWriter
from sonimate.types import Waveform

ENCODERS = {".mp3": "mp3", ".m4a": "aac"}
PICTURE_PX = 64


def faults(video: Path, sound: Path) -> list[str]:
    """The faults of `video`, made for the sound file `sound`, each with the expected and the found value.

    Every packet is decoded. Raises the errors of `read_audio` when there is no sound to read.
    """
    with av.open(str(video)) as container:
        picture, voice = container.streams.video[0], container.streams.audio[0]
        found = {
            "picture codec": (picture.codec_context.name, "h264"),
            "pixel format": (picture.codec_context.pix_fmt, "yuv420p"),
            "sound codec": (voice.codec_context.name, "aac"),
            "frame rate": (picture.average_rate, Fraction(VIDEO_FPS)),
            "mark as synthetic": (container.metadata.get("synthetic_media"), "true"),
        }
        times = [frame.time for frame in container.decode(picture)]
    expected = read_audio(sound).seconds
    wrong = [f"{name}: {value}, not {wanted}" for name, (value, wanted) in found.items() if value != wanted]
    durations = {"picture": len(times) / VIDEO_FPS, "sound": read_audio(video).seconds}
    for name, seconds in durations.items():
        if abs(seconds - expected) > 1 / VIDEO_FPS:
            wrong.append(f"{name} lasts {seconds:.3f} s, the sound given {expected:.3f} s")
    if not np.allclose(times, np.arange(len(times)) / VIDEO_FPS, atol=1e-3):
        wrong.append("frames are not evenly spaced from 0")
    return wrong


def write_sound(path: Path, waveform: Waveform) -> Path:
    """Encode a sound as its suffix says: .mp3, .m4a (AAC), or .mp4 (AAC with a grey picture); returns
    `path`."""
    if path.suffix == ".mp4":
        grey = np.full((PICTURE_PX, PICTURE_PX, 3), 128, np.uint8)
        with VideoWriter(path, width=PICTURE_PX, height=PICTURE_PX, fps=VIDEO_FPS, sound=waveform) as writer:
            for _ in range(round(waveform.seconds * VIDEO_FPS)):
                writer.write(grey)
        return path
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(ENCODERS[path.suffix], rate=waveform.rate_hz, layout="mono")
        for start in range(0, len(waveform.samples), SAMPLE_RATE_HZ):
            block = waveform.samples[None, start : start + SAMPLE_RATE_HZ]
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = waveform.rate_hz, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
