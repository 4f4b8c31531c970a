"""Made-up footage whose motion is known: portraits that open their mouths to a voice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sonimate.checkpoints.registry import BUNDLED
from sonimate.checkpoints.store import load_mesh_codec
from sonimate.codecs.mesh.motion import Motion
from sonimate.codecs.mesh.warp import PortraitWarp
from sonimate.footage.mouth_reader import MouthReader
from sonimate.footage.prepare_options import PrepareOptions
from sonimate.inputs import read_portrait
from sonimate.media.audio import read_audio
from sonimate.media.video_writer import VideoWriter
from sonimate.types import Waveform

EXAMPLES = Path(__file__).parents[2] / "examples"
CAST = {
    "collins": ("astronaut_collins", "librivox_ss_0890"),
    "vigee": ("vigee_lebrun", "ljspeech_LJ001-0001"),
}
FRAMES = 60
SIDE_PX = 272
OPTIONS = PrepareOptions(size_px=128, min_face_px=32)


def voice(name: str, frames: int = FRAMES) -> np.ndarray:
    return read_audio(EXAMPLES / "speech" / f"{CAST[name][1]}.wav").samples[: frames * 640]


def loudness(samples: np.ndarray) -> np.ndarray:
    """(n,) in [0, 1] at 25 a second."""
    level = np.convolve(np.abs(samples.reshape(-1, 640)).mean(1), np.ones(3) / 3, "same")
    return np.clip(level / np.percentile(level, 95), 0, 1)


def opening(samples: np.ndarray) -> np.ndarray:
    """(n,) cm by which the made-up faces open their mouths: as the reader predicts from the sound."""
    predicted = MouthReader.load()(samples)
    low, high = np.percentile(predicted, [5, 95])
    return 2.2 * np.clip((predicted - low) / (high - low), 0, 1)


def pictures(name: str, gap: np.ndarray) -> list[np.ndarray]:
    """A portrait that opens its mouth by `gap` (n,) cm and sways: uint8 (SIDE_PX, SIDE_PX, 3) each."""
    codec = load_mesh_codec(BUNDLED / "compact" / "codec")
    lips = codec.basis[:, 13, 1] - codec.basis[:, 14, 1]
    sway = np.sin(np.arange(len(gap)) / 10)[:, None] * np.array([0.02, 0.04, 0.01, 0.1, 0.05, 0.0])
    picture = read_portrait(EXAMPLES / "portraits" / f"{CAST[name][0]}.jpg", size=384)
    frames = codec.render(Motion(np.outer(gap, lips / (lips @ lips)), sway), PortraitWarp(picture))
    return [np.ascontiguousarray(frame[:SIDE_PX, :SIDE_PX]) for frame in frames]


def film(path: Path, frames: Sequence[np.ndarray], samples: np.ndarray | None) -> None:
    height, width = frames[0].shape[:2]
    sound = None if samples is None else Waveform(samples, 16_000)
    with VideoWriter(path, width=width, height=height, fps=25, sound=sound) as writer:
        for frame in frames:
            writer.write(frame)


def make_footage(folder: Path) -> None:
    """two.mp4: two talking shots. still.mp4: a mouth that does not move. brief.mp4: too short. mute.mp4: no
    sound. torn.mp4: no video."""
    voices = {name: voice(name) for name in CAST}
    acted = {name: pictures(name, opening(samples)) for name, samples in voices.items()}
    film(folder / "two.mp4", acted["collins"] + acted["vigee"], np.concatenate(list(voices.values())))
    film(folder / "still.mp4", pictures("collins", np.zeros(FRAMES)), voices["collins"])
    film(folder / "brief.mp4", acted["collins"][:25], voices["collins"][:16_000])
    film(folder / "mute.mp4", acted["collins"], None)
    (folder / "torn.mp4").write_bytes(b"no video")
    (folder / "MANIFEST.tsv").write_text("file\tspeaker\ntwo.mp4\tactor\n")
