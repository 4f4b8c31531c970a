"""Two people in one picture, each with a sound: does each mouth follow its own sound and not the other's?

Portraits are cut close around the head and set side by side, in pairs. Mouths are read from the frames, and
compared with those of the faces animated alone: r with a face's own motion, with that of the other face, and
by chance, between two faces that are each alone. Sheets of frames at full size show seams.

two_speakers.py examples/portraits/*.jpg
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from lib.command import add_model, benchmark_parser
from lib.report import Check, publish
from sonimate.evaluate.curves import correlation
from sonimate.face.mesh import FaceMesh
from sonimate.face.regions import mouth_opening
from sonimate.face.tracking import fill_gaps, stack_landmarks
from sonimate.inputs import read_portrait
from sonimate.media.audio import read_audio
from sonimate.media.image import even_size, write_png
from sonimate.media.video import read_frames
from sonimate.media.wav import write_wav
from sonimate.pipeline import SonicPipeline
from sonimate.types import Waveform

SPEECH = ("librivox_ss_0890.wav", "ljspeech_LJ001-0001.wav")
HEAD_WIDTHS, FACE_PX = 1.7, 260
"""Width of a cut-out in face widths: heads almost touch. Height of its face."""
SHOWN_SECONDS = (0.4, 1.2, 2.0, 2.8)


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("portraits", type=Path, nargs="+")
    parser.add_argument("--speech", type=Path, default=Path("examples/speech"), help="folder of the sounds")
    parser.add_argument("--seconds", type=float, default=5.0)
    add_model(parser)
    arguments = parser.parse_args(argv)
    folder = arguments.out / "two_speakers"
    folder.mkdir(parents=True, exist_ok=True)
    pipeline, mesh = SonicPipeline.from_pretrained(arguments.model), FaceMesh(num_threads=1)
    sounds = {
        number: write_wav(folder / f"{number}.wav", _first(arguments.speech / name, arguments.seconds))
        for number, name in enumerate(SPEECH, 1)
    }
    rows = []
    for left, right in pairwise(arguments.portraits):
        parts = [cut_out(path, mesh) for path in (left, right)]
        seam, name = parts[0].shape[1], f"{left.stem}-{right.stem}"
        picture, video = folder / f"{name}.png", folder / f"{name}.mp4"
        write_png(picture, even_size(np.hstack(parts)))
        pipeline.animate(picture, sounds).save(video)
        together = openings(video, seam, mesh)
        alone = []
        for number, sound in sounds.items():
            only = pipeline.animate(picture, sound, face=number).save(folder / f"{name}-{number}.mp4")
            alone.append(openings(only, seam, mesh)[number - 1])
        rows.append(
            {
                "picture": name,
                "own_left": correlation(together[0], alone[0]),
                "own_right": correlation(together[1], alone[1]),
                "other_left": correlation(together[0], alone[1]),
                "other_right": correlation(together[1], alone[0]),
                "by_chance": correlation(alone[0], alone[1]),
            }
        )
        write_png(folder / f"{name}-sheet.png", sheet(video))
        print(rows[-1], flush=True)
    sides = [(row, side) for row in rows for side in ("left", "right")]
    own = [row[f"own_{side}"] for row, side in sides]
    more = [row[f"other_{side}"] - row["by_chance"] for row, side in sides]
    checks = [
        Check("lowest r with the same face alone", min(own), low=0.5),
        Check("highest r with the other face alone, beyond chance", max(more), high=0.1),
    ]
    publish("two_speakers", arguments.out, rows=rows, checks=checks)


def cut_out(path: Path, mesh: FaceMesh) -> np.ndarray:
    """A portrait's head and shoulders, uint8 (2.5 * FACE_PX, w, 3)."""
    portrait = read_portrait(path, size=2048, mesh=mesh)
    x0, y0, x1, y1 = portrait.face.box
    scale, middle = FACE_PX / (y1 - y0), (x0 + x1) / 2
    reach = HEAD_WIDTHS * (x1 - x0) / 2
    height, width = portrait.pixels.shape[:2]
    top, bottom = max(round(y0 - 0.7 * (y1 - y0)), 0), min(round(y1 + 0.8 * (y1 - y0)), height)
    left, right = max(round(middle - reach), 0), min(round(middle + reach), width)
    part = portrait.pixels[top:bottom, left:right]
    size = (round(scale * part.shape[1]), round(2.5 * FACE_PX))
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA)


def openings(video: Path, seam: int, mesh: FaceMesh) -> list[np.ndarray]:
    """Opening of the mouths left and right of the column `seam`, each (n,), in face heights."""
    frames = list(read_frames(video))
    sides = ([frame[:, :seam] for frame in frames], [frame[:, seam:] for frame in frames])
    tracked = [list(mesh.track(map(np.ascontiguousarray, side))) for side in sides]
    return [mouth_opening(fill_gaps(stack_landmarks(faces))) for faces in tracked]


def sheet(video: Path) -> np.ndarray:
    """Frames of a video at SHOWN_SECONDS, two in a row."""
    frames = list(read_frames(video))
    shown = [frames[min(round(25 * seconds), len(frames) - 1)] for seconds in SHOWN_SECONDS]
    return np.vstack([np.hstack(shown[:2]), np.hstack(shown[2:])])


def _first(path: Path, seconds: float) -> Waveform:
    waveform = read_audio(path)
    return Waveform(waveform.samples[: round(seconds * waveform.rate_hz)], waveform.rate_hz)


if __name__ == "__main__":
    main()
