"""`sonimate faces`: which faces are found in a picture, with the numbers and boxes that `animate` takes."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonimate.apps.arguments import Subparsers, add_arguments
from sonimate.errors import OutputNotWritable

if TYPE_CHECKING:
    import numpy as np

    from sonimate.types import Face

COPY_PX = 2048
"""Longest side of the drawn copy: large enough to recognise faces, small enough to open at once."""
COLOUR, CHOSEN = (255, 214, 0), (80, 255, 120)
LABEL_SHARE = 0.022
"""Height of a number over the longer side of the copy."""


def add_parser(commands: Subparsers) -> None:
    """Add `faces` to the command line. Loads nothing heavy."""
    parser = commands.add_parser(
        "faces",
        help="list the faces in a picture",
        description="List the faces in PICTURE from left to right, with the numbers and boxes that animate "
        "takes for --face and --face-box. Boxes are in pixels of the picture as it is shown upright.",
    )
    add_arguments(
        parser,
        f"""
        PICTURE  a picture with faces: jpg, png, webp, ...
        -o, --output COPY.png
                 a copy to write, at most {COPY_PX} px wide or high, with a numbered box around each face
        --json   print one JSON object to standard output
        """,
        output={"default": None},
    )


def run(args: Namespace) -> None:
    """Carry out a parsed `sonimate faces` command line. Raises SonimateError."""
    from sonimate.face.framing import find_faces
    from sonimate.face.mesh import FaceMesh, face_size, require_faces
    from sonimate.face.picture import read_picture
    from sonimate.media.image import write_png

    if args.output:
        check_copy(args.output, args.picture)
    mesh = FaceMesh(num_threads=1)
    picture = read_picture(args.picture, mesh)
    faces = require_faces(find_faces(picture, mesh, every_size=True))
    if args.output:
        write_png(args.output, numbered(picture, faces))
    height, width = picture.shape[:2]
    report = {
        "picture": args.picture,
        "width": width,
        "height": height,
        "faces": [
            {
                "face": number,
                "face_box": [round(side) for side in face.box],
                "size_px": round(face_size(face)),
            }
            for number, face in enumerate(faces, 1)
        ],
        "output": args.output,
    }
    print(json.dumps(report) if args.json else faces_text(report))


def check_copy(output: str, picture: str) -> None:
    """Raise OutputNotWritable if `output` cannot be written, is no png, or is the picture."""
    from sonimate.media.files import require_writable

    if Path(output).suffix.lower() != ".png":
        raise OutputNotWritable(f"{output} is not a name for the copy. Give it a name that ends in .png.")
    require_writable(output)
    if Path(output).resolve() == Path(picture).resolve():
        raise OutputNotWritable(f"{output} is the picture itself. Choose another name for the copy.")


def faces_text(report: dict[str, Any]) -> str:
    """The report for people: a line a face."""
    lines = [f"{report['picture']}: {report['width']} x {report['height']} px, faces from left to right:"]
    for found in report["faces"]:
        box = ",".join(map(str, found["face_box"]))
        lines.append(f"--face {found['face']}   --face-box {box}   {found['size_px']} px")
    if report["output"]:
        lines.append(f"{report['output']} shows them.")
    return "\n".join(lines)


def numbered(picture: np.ndarray, faces: Sequence[Face], *, chosen: int | None = None) -> np.ndarray:
    """A copy of a picture uint8 (h, w, 3), shrunk to COPY_PX, with a numbered box around each face, a green
    one around that of the chosen number."""
    import cv2
    import numpy as np

    from sonimate.media.image import resize_longer_side

    copy = np.array(resize_longer_side(picture, COPY_PX))
    scale, longer = copy.shape[1] / picture.shape[1], max(copy.shape[:2])
    line = max(1, round(longer / 400))
    text_px = max(12, LABEL_SHARE * longer)
    font, size = cv2.FONT_HERSHEY_SIMPLEX, text_px / 22  # a digit of this font is 22 px high at size 1
    for number, face in enumerate(faces, 1):
        x0, y0, x1, y1 = (round(side * scale) for side in face.box)
        colour = CHOSEN if number == chosen else COLOUR
        cv2.rectangle(copy, (x0, y0), (x1, y1), colour, line * 2 if number == chosen else line)
        (wide, high), _ = cv2.getTextSize(str(number), font, size, line)
        left, bottom = max(x0, 0), max(y0, high + 2 * line)
        cv2.rectangle(copy, (left, bottom - high - 2 * line), (left + wide + 2 * line, bottom), colour, -1)
        cv2.putText(copy, str(number), (left + line, bottom - line), font, size, (0, 0, 0), line, cv2.LINE_AA)
    return copy
