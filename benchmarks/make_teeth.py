"""Makes the texture of teeth that the package paints into mouths, src/sonimate/bundled/face/upper_teeth.png.

The donor is the official White House portrait of Barack Obama, a work of the US Government in the public
domain. Its mouth is projected into the plane of the front teeth. Alpha ends at the incisal edge; near it,
saturated pixels (lip and tongue) are left out too. The mean colour of the middle teeth becomes grey: the
picture's light is taken out.

make_teeth.py -o out/upper_teeth.png
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lib.command import EXAMPLES, benchmark_parser
from sonimate.codecs.mesh.mouth import TEETH_DEPTH_CM
from sonimate.codecs.mesh.plane import FacePlane
from sonimate.codecs.mesh.raster import sample_at
from sonimate.codecs.mesh.teeth import BOTTOM_CM, HALF_WIDTH_CM, PIXELS_PER_CM, TOP_CM, incisal_edge
from sonimate.face.pose import fit_pose, to_canonical
from sonimate.face.regions import CHEEKS, LOWER_LIP_INNER, UPPER_LIP_INNER
from sonimate.inputs import read_portrait

FULL_SIZE_PX = 4096
EDGE_CM = 0.06
"""Width of the soft incisal edge."""
MOST_SATURATED = 0.42
"""Saturation from which a pixel near the edge is lip or tongue."""
GUMS_CM = 0.35
"""Above the edge by this much, saturated pixels are gums and stay."""


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("out") / "upper_teeth.png")
    arguments = parser.parse_args(argv)
    texture, skin = rectified_teeth(EXAMPLES / "portraits" / "obama.jpg")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(texture).save(arguments.output, optimize=True)
    print(f"{arguments.output}: the donor's skin is {skin.round().tolist()}")


def rectified_teeth(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The texture, uint8 (h, w, 4), and the colour (3,) of the cheeks of the portrait in `path`."""
    portrait = read_portrait(path, size=FULL_SIZE_PX)
    landmarks = portrait.face.landmarks.astype(np.float64) - [0.5, 0.5, 0]
    pose = fit_pose(landmarks[None])
    lips = to_canonical(landmarks[None], pose)[0, [UPPER_LIP_INNER, LOWER_LIP_INNER]].mean(0)
    x = np.arange(-HALF_WIDTH_CM, HALF_WIDTH_CM, 1 / PIXELS_PER_CM)
    y = np.arange(TOP_CM, BOTTOM_CM, -1 / PIXELS_PER_CM)[:, None]
    plane = FacePlane.at(pose, lips[2] - TEETH_DEPTH_CM)
    places = plane.from_canonical(*np.broadcast_arrays(x + lips[0], y + lips[1])).astype(np.float32)
    colour = sample_at(portrait.pixels, places, border=cv2.BORDER_REPLICATE)
    saturation = cv2.cvtColor(colour, cv2.COLOR_RGB2HSV)[..., 1] / 255

    above = y - incisal_edge(x)
    teeth = np.clip((MOST_SATURATED - saturation) / 0.12, 0, 1)
    gums = np.clip((above - GUMS_CM) / 0.1, 0, 1)
    alpha = np.clip(above / EDGE_CM + 0.5, 0, 1) * np.maximum(teeth, gums)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 0.8)
    middle = colour[(alpha > 0.9) & (above < GUMS_CM) & (np.abs(x) < 1)].mean(0)
    neutral = np.clip(np.round(colour * (middle.mean() / middle)), 0, 255)
    texture = np.dstack([neutral, np.round(255 * alpha)]).astype(np.uint8)
    columns, rows = np.round(landmarks[list(CHEEKS), :2]).astype(int).T
    return texture, np.median(portrait.pixels[rows, columns], axis=0)


if __name__ == "__main__":
    main()
