"""The small pictures and sounds of cases.tsv, made of the public-domain examples."""

from __future__ import annotations

import wave
from pathlib import Path

import cv2
import numpy as np
from faces import codec, example
from media_samples import EXAMPLES
from PIL import Image, ImageOps

from lib.covers import covered
from sonimate.codecs.mesh.motion import EyeMotion
from sonimate.codecs.mesh.warp import PortraitWarp
from sonimate.media.audio import read_audio
from sonimate.media.image import write_png
from sonimate.media.video_writer import VideoWriter
from sonimate.types import Portrait

PORTRAITS = EXAMPLES / "portraits"
RATE_HZ = 16_000


def make_inputs(folder: Path) -> None:
    """Write all files that the commands of cases.tsv name into `folder`."""
    face = Image.open(PORTRAITS / "obama.jpg")
    face.resize((160, 200)).save(folder / "face160.png")
    closed_lips = Image.open(PORTRAITS / "mona_lisa.jpg").convert("RGB")
    ImageOps.fit(closed_lips, (512, 640)).save(folder / "face512.jpg")
    photo = Image.new("RGB", (6000, 4000), (120, 130, 140))
    photo.paste(face.resize((400, 500)), (2400, 1500))
    photo.save(folder / "photo24mp.jpg")
    two = Image.new("RGB", (2400, 1500), (120, 130, 140))
    two.paste(face.resize((640, 800)), (200, 300))
    two.paste(ImageOps.fit(closed_lips, (400, 600)), (1500, 300))
    two.save(folder / "two2400.jpg")
    portrait = example("obama")
    write_png(folder / "medmask.png", with_medical_mask(portrait))
    write_png(folder / "foldedmask.png", covered(portrait, "mask", np.random.default_rng(0)))
    write_png(folder / "mouth_wide_open.png", moved(portrait, mouth=2.4))
    write_png(folder / "eyesclosed.png", moved(portrait, closure=1.0))
    with VideoWriter(folder / "clip.mp4", width=160, height=200) as clip:
        for _ in range(10):
            clip.write(np.array(face.convert("RGB").resize((160, 200))))
    (folder / "closed.jpg").write_bytes((folder / "face512.jpg").read_bytes())

    speech = read_audio(EXAMPLES / "speech/librivox_ss_0890.wav").samples[8_000:40_000]
    write_wav(folder / "speech2s.wav", speech)
    write_wav(folder / "short.wav", speech[:8_000])
    write_wav(folder / "silence2s.wav", np.zeros(32_000))
    write_wav(folder / "antiphase.wav", np.stack([speech, -speech], axis=1))
    write_wav(folder / "rate6000.wav", speech[:3_600], rate_hz=6_000)
    write_wav(folder / "1h.wav", speech, repeats=1800)
    (folder / "closed").mkdir()
    write_wav(folder / "closed/short.wav", speech[:8_000])
    (folder / "clips").mkdir()
    (folder / "clips/a.mp4").touch()


def write_wav(path: Path, samples: np.ndarray, *, rate_hz: int = RATE_HZ, repeats: int = 1) -> Path:
    """Write (n,) or (n, channels) in [-1, 1] as 16-bit PCM, several times one after the other."""
    data = (np.clip(samples, -1, 1) * 32_767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if data.ndim == 1 else data.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        for _ in range(repeats):
            file.writeframes(data.tobytes())
    return path


def moved(portrait: Portrait, *, mouth: float = 0.0, closure: float = 0.0) -> np.ndarray:
    """The picture with its mouth opened, in units of the codec's open mouth, or its eyes closed."""
    warp = PortraitWarp(portrait)
    opened = codec().displacement(codec().open_mouth[None]).reshape(1, -1, 3)
    expression = np.zeros((1, 478, 3))
    expression[:, : opened.shape[1]] = mouth * opened
    return warp.draw(
        warp.resolve(expression, np.zeros((1, 6)), EyeMotion(np.array([closure]), np.zeros((1, 2))))
    )


def with_medical_mask(portrait: Portrait) -> np.ndarray:
    """The picture with a light blue mask from the middle of the nose to the chin."""
    points = portrait.face.landmarks[:, :2]
    outline = points[[5, 117, 132, 172, 152, 397, 361, 346]]
    pixels = portrait.pixels.copy()
    cv2.fillPoly(pixels, [np.round(outline).astype(np.int32)], (168, 200, 216), cv2.LINE_AA)
    return pixels
