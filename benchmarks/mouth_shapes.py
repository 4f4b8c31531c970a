"""Portraits as rows; mouths closed, half open, wide, smiling, in L and in TH as columns: of the working tree,
and of an earlier commit in the row above.

mouth_shapes.py PORTRAITS... --before COMMIT

Shapes are the likeliest expressions of the bundled basis with given measures of the mouth. Cells show the
frame's pixels, scaled by a whole number without smoothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from against import unpack
from lib import draw_shapes
from lib.command import REPOSITORY, benchmark_parser
from lib.moments import contact_sheet
from sonimate.checkpoints.registry import BUNDLED
from sonimate.checkpoints.store import load_mesh_codec
from sonimate.codecs.mesh.codec import MeshCodec
from sonimate.face.canonical import canonical_vertices
from sonimate.face.regions import LIPS_OUTER, MOUTH_CORNER_LEFT, MOUTH_CORNER_RIGHT
from sonimate.features.face_gestures import MEASURES, measure_face
from sonimate.inputs import read_portrait
from sonimate.media.image import write_png

MOUTH = MEASURES[:5]
CORNERS = "corners"
"""Another measure: mean height of the corners of the mouth."""
SHAPES: dict[str, dict[str, float]] = {
    "closed": {},
    "half": {"gap": 1.0, "chin": -0.6, "upper": 0.2},
    "wide": {"gap": 1.9, "chin": -1.2, "width": 0.1, "upper": 0.3},
    "smile": {"gap": 0.7, "chin": -0.2, "width": 0.9, "upper": 0.25, CORNERS: 0.45},
    "L": {"gap": 0.75, "chin": -0.35, "upper": 0.12},
    "TH": {"gap": 0.55, "chin": -0.2, "width": 0.05, "upper": 0.15},
}
"""Change of each measure against the closed mouth, cm."""
TONGUES = {"L": (1.0, 0.0), "TH": (0.6, 1.0)}
"""The tip of the tongue, see Motion; elsewhere at rest."""
REACH = (0.85, 0.7)
"""Half the sides of a cell, in widths of the mouth."""


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("portraits", type=Path, nargs="+")
    parser.add_argument("--before", metavar="COMMIT", help="draw these with an earlier commit too")
    parser.add_argument("--size", type=int, default=512, help="longer side of the frames in px; default 512")
    parser.add_argument("--cell", type=int, default=240, help="least width of a cell in px; default 240")
    parser.add_argument("-o", "--output", type=Path, default=Path("out") / "mouth_shapes.png")
    arguments = parser.parse_args(argv)
    codec = load_mesh_codec(BUNDLED / "compact" / "codec")
    rows = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        for path in arguments.portraits:
            portrait = read_portrait(path, size=arguments.size)
            task = folder / "task.npz"
            np.savez(
                task,
                pixels=portrait.pixels,
                landmarks=portrait.face.landmarks,
                box=portrait.face.box,
                shapes=shapes(codec),
                tongues=[TONGUES.get(name, (0, 0)) for name in SHAPES],
                opening=codec.displacement(codec.open_mouth[None])[0],
            )
            drawn = [draw_shapes.draw(task)]
            if arguments.before:
                earlier = folder / "commit"
                source = earlier if earlier.exists() else unpack(arguments.before, earlier)
                drawn.insert(0, draw_with(source / "src", task))
            lips = portrait.face.landmarks[list(LIPS_OUTER), :2]
            cells = [[cell(frame, lips, arguments.cell) for frame in frames] for frames in drawn]
            own = cell(portrait.pixels, lips, arguments.cell)
            rows += [[own, *row] for row in cells]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write_png(arguments.output, contact_sheet(rows, ["portrait", *SHAPES]))
    print(f"written to {arguments.output}")


def shapes(codec: MeshCodec) -> np.ndarray:
    """Displacements (s, 478, 3) cm of a closed mouth that give each of SHAPES."""
    rest = canonical_vertices()[None]
    per_component = mouth_of(rest + codec.displacement(np.eye(len(codec.basis)))) - mouth_of(rest)
    found = []
    for shape in SHAPES.values():
        named = [*MOUTH, CORNERS] if CORNERS in shape else MOUTH  # else corners follow the rest
        wanted = np.array([shape.get(name, 0.0) for name in named])
        change = per_component[:, : len(named)]
        likely = change * codec.scales[:, None] ** 2
        found.append(likely @ np.linalg.solve(change.T @ likely, wanted))
    return codec.displacement(np.array(found))


def mouth_of(vertices: np.ndarray) -> np.ndarray:
    """Vertices (n, 478, 3) cm -> the measures of MOUTH, and CORNERS: (n, 6) cm."""
    corners = vertices[:, [MOUTH_CORNER_LEFT, MOUTH_CORNER_RIGHT], 1].mean(1)
    return np.column_stack([measure_face(vertices)[:, : len(MOUTH)], corners])


def draw_with(source: Path, task: Path) -> np.ndarray:
    """The frames of a task, drawn by the package in `source`, in a process of its own."""
    drawn = task.with_name("drawn.npy")
    subprocess.run(
        [sys.executable, draw_shapes.__file__, task, drawn],
        check=True,
        env=os.environ | {"PYTHONPATH": str(source)},
        cwd=REPOSITORY / "benchmarks",
    )
    return np.load(drawn)


def cell(pixels: np.ndarray, lips: np.ndarray, width: int) -> np.ndarray:
    """The surroundings of lips (n, 2) px, enlarged by a whole number to at least `width` px."""
    middle, mouth = lips.mean(0), np.ptp(lips[:, 0])
    half = mouth * np.array(REACH)
    low = np.maximum(np.round(middle - half + [0, 0.15 * mouth]), 0).astype(int)
    high = np.round(middle + half + [0, 0.15 * mouth]).astype(int)
    part = pixels[low[1] : high[1], low[0] : high[0]]
    times = -(-width // part.shape[1])
    return part.repeat(times, 0).repeat(times, 1)


if __name__ == "__main__":
    main()
