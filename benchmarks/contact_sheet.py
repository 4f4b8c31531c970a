"""Portraits as rows, moments as columns (portrait, closed, half open, wide open, blink, head turned), at
full resolution around the head.

contact_sheet.py examples/portraits/*.jpg -o out/sheet.png
contact_sheet.py examples/portraits/*.jpg --cell 194 -o docs/images/results.jpg      the README's picture
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from lib.command import add_model, add_speech, benchmark_parser
from lib.moments import contact_sheet, crop_head, draw_moments, pick_moments
from lib.report import publish
from lib.speech import compose_speech
from sonimate.evaluate.generation import generate_motion, mesh_codec
from sonimate.inputs import DEFAULT_SIZE_PX, read_portrait
from sonimate.pipeline import SonicPipeline


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("portraits", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=Path("out") / "contact_sheet.png")
    add_speech(parser, seconds=10.0)
    parser.add_argument("--size", type=int, default=DEFAULT_SIZE_PX, help="longer side of the frames in px")
    parser.add_argument("--cell", type=int, help="scale the cells to this height in px; default as they are")
    add_model(parser)
    arguments = parser.parse_args(argv)

    pipeline = SonicPipeline.from_pretrained(arguments.model)
    speech = compose_speech(arguments.speech, arguments.seconds)
    pictures, rows, captions = [], [], []
    for path in arguments.portraits:
        portrait = read_portrait(path, size=arguments.size)
        generated = generate_motion(pipeline, portrait, speech)
        moments = pick_moments(generated.curves)
        frames = draw_moments(mesh_codec(pipeline), generated, list(moments.values()))
        cells = [crop_head(frame, portrait.face) for frame in (portrait.pixels, *frames)]
        pictures.append([scaled(cell, arguments.cell) for cell in cells] if arguments.cell else cells)
        captions = ["portrait", *moments]
        rows.append({"portrait": path.stem, **{name: frame / 25 for name, frame in moments.items()}})
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(contact_sheet(pictures, captions)).save(arguments.output, quality=90)
    publish("contact_sheet", arguments.out, rows=rows)


def scaled(pixels: np.ndarray, height: int) -> np.ndarray:
    """The picture at another height."""
    width = round(pixels.shape[1] * height / pixels.shape[0])
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    main()
