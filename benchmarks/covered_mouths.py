"""Is a portrait whose mouth is covered refused, and is no other one? Portraits as they are, as worse pictures
(blurred, dark, small, compressed, noisy), and with things drawn before their mouths.

covered_mouths.py examples/portraits/*.jpg
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lib.command import benchmark_parser
from lib.covers import COVERS, DEGRADED, covered, degraded
from lib.report import Check, publish
from sonimate.face.mesh import FaceMesh, face_size
from sonimate.face.visibility import CLOSED_EYES, visibility
from sonimate.inputs import read_portrait
from sonimate.types import Portrait

NAMES = ("pictures", "refused", "warned: mouth", "warned: open", "warned: eyes", "warned: blur", "not found")


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("portraits", type=Path, nargs="+")
    arguments = parser.parse_args(argv)
    mesh, rng = FaceMesh(num_threads=1), np.random.default_rng(0)
    counts = {kind: np.zeros(len(NAMES), int) for kind in ("as it is", *DEGRADED, *COVERS)}
    for path in arguments.portraits:
        portrait = read_portrait(path, size=1024, mesh=mesh)
        for kind, count in counts.items():
            pixels = portrait.pixels
            if kind in COVERS:
                pixels = covered(portrait, kind, rng)
            elif kind in DEGRADED:
                pixels = degraded(portrait, kind, rng)
            faces = mesh.find(pixels)
            count += judged(Portrait(pixels, max(faces, key=face_size))) if faces else [1, 0, 0, 0, 0, 0, 1]
    rows = [
        {"picture": kind} | dict(zip(NAMES, map(int, count), strict=True)) for kind, count in counts.items()
    ]
    refused = int(counts["as it is"][1])
    checks = [Check("portraits as they are that are refused", refused, high=0)]
    publish("covered_mouths", arguments.out, rows=rows, checks=checks)


def judged(portrait: Portrait) -> list[int]:
    """One picture's part of the counts."""
    seen = visibility(portrait)
    partly = seen.mouth.partly_hidden and not seen.mouth.hidden
    closed = seen.eyes_closed > CLOSED_EYES
    return [1, seen.mouth.hidden, partly, seen.mouth_wide_open, closed, seen.mouth.blurred, 0]


if __name__ == "__main__":
    main()
