"""People without their background: what is left of it at their edges, whether the edges flicker, and a
picture for each portrait, of the frame with the head turned farthest, over a chequerboard, green and black.

backgrounds.py PORTRAITS/*.jpg --seconds 3
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from lib.command import add_model, add_speech, benchmark_parser
from lib.moments import contact_sheet, pick_moments
from lib.report import Check, publish
from lib.speech import compose_speech
from sonimate.errors import SonimateError
from sonimate.evaluate.generation import generate_motion, mesh_codec
from sonimate.inputs import DEFAULT_SIZE_PX, read_inputs
from sonimate.media.backdrop import Backdrop
from sonimate.media.image import write_png
from sonimate.media.wav import write_wav
from sonimate.pipeline import SonicPipeline

SQUARE_PX = 24
BACKGROUNDS = {"green": (0, 200, 0), "black": (0, 0, 0)}
SOFT = (0.1, 0.9)
"""Shares of the person at whose pixels colours are compared."""
NEARBY = 1 / 24
"""Share of the picture's longer side within which sure colours are averaged."""
APART = 40.0
"""Difference of both sides' colours, of 255, from which a halo would be seen."""


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("portraits", type=Path, nargs="+")
    add_speech(parser, seconds=3.0)
    parser.add_argument("--size", type=int, default=DEFAULT_SIZE_PX, help="longer side of the frames in px")
    add_model(parser)
    arguments = parser.parse_args(argv)

    pipeline = SonicPipeline.from_pretrained(arguments.model)
    arguments.out.mkdir(parents=True, exist_ok=True)
    sound = arguments.out / "backgrounds.wav"
    write_wav(sound, compose_speech(arguments.speech, arguments.seconds))
    rows = []
    for path in arguments.portraits:
        try:
            inputs = read_inputs(path, sound, size=arguments.size, background="transparent")
        except SonimateError as error:
            print(f"left out {path.name}: {error}")
            continue
        portrait, share = inputs.portrait, inputs.portrait.share
        assert share is not None
        generated = generate_motion(pipeline, portrait, inputs.waveform)
        frames = list(mesh_codec(pipeline).render(generated.motion, generated.warp))
        turned = frames[pick_moments(generated.curves)["head turned"]]
        write_png(arguments.out / f"backgrounds_{path.stem}.png", sheet(portrait.pixels, turned))
        still = generated.warp.still
        rows.append(
            {
                "portrait": path.stem,
                "old background at the edge": left_over(still[..., :3], portrait.pixels, share),
                "of the picture itself": left_over(portrait.pixels, portrait.pixels, share),
                "unevenness of the edge": unevenness([frame[..., 3] for frame in frames]),
                "of the face": unevenness([face_of(frame, portrait.face.box) for frame in frames]),
            }
        )
        print(f"{path.stem}: {rows[-1]}", flush=True)
    name = "old background at the edge"
    mean = float(np.nanmean([row[name] for row in rows]))
    publish("backgrounds", arguments.out, rows=rows, checks=[Check(name, mean, high=0.15)])


def sheet(picture: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """The picture, and the RGBA frame over several backgrounds."""
    height, width = frame.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    squares = np.where((rows // SQUARE_PX + columns // SQUARE_PX) % 2, 190, 240).astype(np.uint8)
    behind = {"chequerboard": np.repeat(squares[..., None], 3, axis=2)}
    behind |= {name: np.array(colour, np.uint8).reshape(1, 1, 3) for name, colour in BACKGROUNDS.items()}
    over = [next(Backdrop(pixels).behind(iter([frame]), width, height)) for pixels in behind.values()]
    return contact_sheet([[picture, *over]], ["portrait", *behind])


def left_over(colours: np.ndarray, picture: np.ndarray, share: np.ndarray) -> float:
    """How far `colours` (h, w, 3) at soft pixels of the person lie from the sure colours of the person
    nearby, 0, towards those of the old background nearby, 1: the mean; where both differ."""
    part = share.astype(np.float32) / 255
    side = 2 * round(NEARBY * max(share.shape)) + 1
    person, behind = (nearby(picture, sure.astype(np.float32), side) for sure in (share == 255, share == 0))
    apart = behind - person
    distance = (apart**2).sum(2)
    soft = (part > SOFT[0]) & (part < SOFT[1]) & (distance > APART**2)
    if not soft.any():
        return float("nan")
    along = ((colours - person) * apart).sum(2)[soft] / distance[soft]
    return float(along.mean())


def nearby(picture: np.ndarray, weight: np.ndarray, side: int) -> np.ndarray:
    """Means of the colours of weight 1 around each place."""
    total = cv2.blur(weight, (side, side))[..., None]
    return cv2.blur(picture * weight[..., None], (side, side)) / np.maximum(total, 1e-4)


def unevenness(planes: list[np.ndarray]) -> float:
    """Mean second difference over mean first difference in time, of pixels (h, w) that ever change: below 1
    where edges move evenly, 1.7 for noise that is new in each frame, 2 for what jumps back and forth."""
    stack = np.stack(planes).astype(np.int16)
    changing = np.ptp(stack, axis=0) > 2
    steps = np.diff(stack, axis=0)
    return float(np.abs(np.diff(steps, axis=0))[:, changing].mean() / np.abs(steps)[:, changing].mean())


def face_of(frame: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The face in grey."""
    x0, y0, x1, y1 = (max(round(side), 0) for side in box)
    return cv2.cvtColor(np.ascontiguousarray(frame[y0:y1, x0:x1, :3]), cv2.COLOR_RGB2GRAY)


if __name__ == "__main__":
    main()
