"""Portraits as rows, moments as columns (portrait, closed, half open, wide open, blink, head turned), at
full resolution around the head.

contact_sheet.py examples/portraits/*.jpg -o out/sheet.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from sonimate.evaluate.moments import contact_sheet, crop_head, draw_moments, pick_moments
from sonimate.evaluate.performance import perform
from sonimate.evaluate.sounds import compose_speech
from sonimate.evaluate.tables import publish
from sonimate.inputs import DEFAULT_SIZE_PX, read_portrait
from sonimate.media.image import write_png
from sonimate.pipeline import SonicPipeline

EXAMPLES = Path(__file__).parents[1] / "examples"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("portraits", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=Path("out") / "contact_sheet.png")
    parser.add_argument("--speech", type=Path, nargs="+", default=sorted((EXAMPLES / "speech").glob("*.wav")))
    parser.add_argument("--seconds", type=float, default=10.0, help="of speech to pick the moments from")
    parser.add_argument("--size", type=int, default=DEFAULT_SIZE_PX, help="longer side of the frames in px")
    parser.add_argument("--cell", type=int, help="scale the cells to this height in px; default as they are")
    parser.add_argument("--model", default="compact")
    arguments = parser.parse_args(argv)

    pipeline = SonicPipeline.from_pretrained(arguments.model)
    speech = compose_speech(arguments.speech, arguments.seconds)
    pictures, rows, captions = [], [], []
    for path in arguments.portraits:
        portrait = read_portrait(path, size=arguments.size)
        performance = perform(pipeline, portrait, speech)
        moments = pick_moments(performance.curves)
        frames = draw_moments(pipeline.components.codec, performance, list(moments.values()))
        cells = [crop_head(frame, portrait.face) for frame in (portrait.pixels, *frames)]
        pictures.append([scaled(cell, arguments.cell) for cell in cells] if arguments.cell else cells)
        captions = ["portrait", *moments]
        rows.append({"portrait": path.stem, **{name: frame / 25 for name, frame in moments.items()}})
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write_png(arguments.output, contact_sheet(pictures, captions))
    publish(arguments.output.stem, arguments.output.parent, rows=rows)


def scaled(pixels: np.ndarray, height: int) -> np.ndarray:
    """The picture at another height."""
    width = round(pixels.shape[1] * height / pixels.shape[0])
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    main()
