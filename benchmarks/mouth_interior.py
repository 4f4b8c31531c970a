"""The painted inside of mouths against real frames, given the landmarks of the real frames.

The frame of each clip with the most closed mouth is the portrait. In frames with an open mouth the painter
fills the opening between the real lips, and what it paints is compared with what was there: PSNR and MS-SSIM,
and the energy of gradients over the real one (1 is as sharp; a flat grey has 0 and a good PSNR). The sheet
shows pairs of real and painted mouths.

blind.png shows a frame of each clip in a row: real, and by each painter, in random order, without names;
blind_key.json tells which is which. Judge it before you open the key.

mouth_interior.py CLIPS                     the package's painter, drawn teeth and flat grey, by source
mouth_interior.py CLIPS --only 'osalinasv*' ...
mouth_interior.py CLIPS --network out/mouth.pt --train-on 'osalinasv*' --minutes 20
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch

from lib.clips import add_landmarks
from lib.command import benchmark_parser
from lib.learned_mouth import LearnedMouth, load_mouth_net, train_mouth_net
from lib.moments import contact_sheet
from lib.mouth_frames import QUANTILES, MouthFrames, clips_like, mouth_frames
from lib.parametric_mouth import ParametricMouth
from lib.report import publish
from sonimate.codecs.mesh.mouth import TEETH_DEPTH_CM, MouthInterior
from sonimate.codecs.mesh.plane import FacePlane
from sonimate.codecs.mesh.raster import polygon_mask, window_around
from sonimate.codecs.mesh.refine import contour_matrix
from sonimate.face.pose import fit_pose, to_canonical
from sonimate.face.regions import LIPS_INNER, LIPS_OUTER, LOWER_LIP_INNER, UPPER_LIP_INNER
from sonimate.footage.sources import read_collections
from sonimate.media.image import write_png

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001)
"""The first three of the five scales of Wang et al. 2003: a mouth is too small for the others."""
CELL_PX = (150, 190)
LETTERS = "ABCDEF"


class Painter(Protocol):
    def paint(
        self, plane: FacePlane, vertices: np.ndarray, coverage: np.ndarray, window: tuple[int, int, int, int]
    ) -> np.ndarray: ...


class FlatGrey:
    """The same grey everywhere."""

    def __init__(self, *_: object) -> None:
        pass

    def paint(self, plane: object, vertices: object, coverage: np.ndarray, window: object) -> np.ndarray:
        return np.full((*coverage.shape, 3), 70, np.float32)


FLAT, SHIPPED = "flat grey", "(b) textured teeth, shipped"
PAINTERS: dict[str, Callable[..., Painter]] = {
    SHIPPED: MouthInterior,
    "(a) drawn teeth": ParametricMouth,
    FLAT: FlatGrey,
}
TRAINING_QUANTILES = tuple(np.linspace(0.5, 1, 11))
"""Frames of a clip that a network is trained on."""


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument(
        "clips", type=Path, help="folder of real clips; a MANIFEST.tsv may name their sources and speakers"
    )
    parser.add_argument("--only", nargs="+", default=["*"], metavar="CLIP", help="patterns of clips to use")
    parser.add_argument("--smallest-face", type=float, default=150.0, help="height in px; default 150")
    parser.add_argument("--network", type=Path, metavar="FILE", help="compare this small network too")
    parser.add_argument(
        "--train-on",
        nargs="+",
        default=[],
        metavar="CLIP",
        help="train it on these first, and leave them out",
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="of one core for training; default 20")
    add_landmarks(parser)
    arguments = parser.parse_args(argv)
    videos, learned = (clips_like(arguments.clips, names) for names in (arguments.only, arguments.train_on))
    shared = {"smallest_face_px": arguments.smallest_face, "kept": arguments.landmarks}
    painters = dict(PAINTERS)
    if arguments.network:
        if learned:
            cases = mouth_frames(arguments.clips, learned, quantiles=TRAINING_QUANTILES, **shared)
            net = train_mouth_net(cases, arguments.minutes)
            torch.save(net.state_dict(), arguments.network)
        LearnedMouth.net = load_mouth_net(arguments.network)
        painters["(c) small network"] = LearnedMouth
    scores: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    pictures, blind = [], BlindSheet()
    for case in mouth_frames(arguments.clips, [v for v in videos if v not in learned], **shared):
        source = read_collections(arguments.clips, [case.clip])[case.clip]
        painted = {name: paint_and_score(case, painter) for name, painter in painters.items()}
        for name, results in painted.items():
            scores[source, name] += [values for _, values in results]
        row = [
            np.concatenate([mouth_cell(frame, landmarks) for frame in (pixels, made)])
            for (pixels, landmarks), (made, _) in zip(case.opened, painted[SHIPPED], strict=True)
        ]
        pictures.append(row + [np.full_like(row[0], 255)] * (len(QUANTILES) - len(row)))
        blind.add(case, {name: [made for made, _ in results] for name, results in painted.items()})
    rows = []
    for (source, name), values in sorted(scores.items()):
        psnr, ssim, gradient = np.array(values).T
        rows.append(
            {
                "source": source,
                "painter": name,
                "frames": len(values),
                "psnr_db": float(psnr.mean()),
                "ms_ssim": float(ssim.mean()),
                "gradient_ratio": float(np.nanmedian(gradient)),
            }
        )
    summary = {}
    for name in painters:
        psnr, ssim, gradient = np.concatenate([v for (_, n), v in scores.items() if n == name]).T
        summary[f"{name}: PSNR dB"] = float(psnr.mean())
        summary[f"{name}: MS-SSIM"] = float(ssim.mean())
        summary[f"{name}: gradient energy, painted / real, median"] = float(np.nanmedian(gradient))
    publish("mouth_interior", arguments.out, rows=rows, summary=summary)
    captions = [f"opening at {quantile:g}" for quantile in QUANTILES]
    write_png(arguments.out / "mouth_interior.png", contact_sheet(pictures, captions))
    blind.write(arguments.out)


@dataclass
class BlindSheet:
    """rows: cells of a clip, in random order. key: what each of them is."""

    rows: list[list[np.ndarray]] = field(default_factory=list)
    key: list[dict[str, str]] = field(default_factory=list)

    def add(self, case: MouthFrames, painted: Mapping[str, Sequence[np.ndarray]]) -> None:
        """The middle frame of a clip, as it is and as each painter made it; flat grey is no candidate."""
        middle = len(case.opened) // 2
        pixels, landmarks = case.opened[middle]
        candidates = {name: frames[middle] for name, frames in painted.items() if name != FLAT}
        cells = [("real", pixels), *candidates.items()]
        order = np.random.default_rng(len(self.rows)).permutation(len(cells))
        self.rows.append([mouth_cell(cells[index][1], landmarks) for index in order])
        names = {letter: cells[index][0] for letter, index in zip(LETTERS, order, strict=False)}
        self.key.append({"clip": case.clip, **names})

    def write(self, folder: Path) -> None:
        write_png(folder / "blind.png", contact_sheet(self.rows, LETTERS[: len(self.rows[0])]))
        (folder / "blind_key.json").write_text(json.dumps(self.key, indent=1) + "\n")


def paint_and_score(
    case: MouthFrames, painter: Callable[..., Painter]
) -> list[tuple[np.ndarray, tuple[float, float, float]]]:
    """For each open mouth the frame with the painted inside, and (PSNR, MS-SSIM, gradient ratio)."""
    pixels, landmarks = case.portrait
    pose = fit_pose(landmarks[None])
    vertices = to_canonical(landmarks[None], pose)[0]
    depth = vertices[[UPPER_LIP_INNER, LOWER_LIP_INNER], 2].mean() - TEETH_DEPTH_CM
    inside = painter(pixels, landmarks, vertices, FacePlane.at(pose, depth))
    results = []
    for frame, place in case.opened:
        turned = fit_pose(place[None])
        curve = contour_matrix(len(LIPS_INNER)) @ place[list(LIPS_INNER), :2]
        window = window_around(curve, 3, frame.shape[1], frame.shape[0])
        x0, y0, x1, y1 = window
        coverage = polygon_mask(curve, window)
        plane = FacePlane.at(turned, depth)
        colour = inside.paint(plane, to_canonical(place[None], turned)[0], coverage, window)
        real = frame[y0:y1, x0:x1].astype(np.float32)
        mixed = real + (np.clip(colour, 0, 255) - real) * coverage[..., None]
        painted = frame.copy()
        painted[y0:y1, x0:x1] = np.round(mixed)
        values = (
            masked_psnr(mixed, real, coverage),
            masked_ms_ssim(mixed, real, coverage),
            gradient_ratio(mixed, real, coverage),
        )
        results.append((painted, values))
    return results


def masked_psnr(painted: np.ndarray, real: np.ndarray, mask: np.ndarray) -> float:
    """PSNR in dB of pictures (h, w, 3) in [0, 255], weighted by `mask` (h, w)."""
    square = (((painted - real) ** 2).mean(2) * mask).sum() / mask.sum()
    return float(10 * np.log10(255**2 / max(square, 1e-6)))


def masked_ms_ssim(painted: np.ndarray, real: np.ndarray, mask: np.ndarray) -> float:
    """MS-SSIM of the pictures' grey values, weighted by `mask`, on as many scales as MS_SSIM_WEIGHTS has."""
    a, b = (np.ascontiguousarray(picture.mean(2), np.float32) for picture in (painted, real))
    value = 1.0
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        mean_a, mean_b = _window_mean(a), _window_mean(b)
        variance = _window_mean(a * a) - mean_a**2 + _window_mean(b * b) - mean_b**2
        covariance = _window_mean(a * b) - mean_a * mean_b
        similar = (2 * covariance + 58.5) / (variance + 58.5)
        if scale == len(MS_SSIM_WEIGHTS) - 1:
            similar = similar * (2 * mean_a * mean_b + 6.5) / (mean_a**2 + mean_b**2 + 6.5)
        value *= max(float((similar * mask).sum() / mask.sum()), 0) ** (weight / sum(MS_SSIM_WEIGHTS))
        half = (max(a.shape[1] // 2, 1), max(a.shape[0] // 2, 1))
        a, b, mask = (cv2.resize(picture, half, interpolation=cv2.INTER_AREA) for picture in (a, b, mask))
    return value


def gradient_ratio(painted: np.ndarray, real: np.ndarray, mask: np.ndarray) -> float:
    """Energy of the grey gradients inside the mask, painted over real; NaN when the mask is too small."""
    inner = cv2.erode((mask > 0.95).astype(np.uint8), np.ones((3, 3), np.uint8))
    if inner.sum() < 20:
        return float("nan")
    energies = []
    for picture in (painted, real):
        grey = np.ascontiguousarray(picture.mean(2), np.float32)
        gradient = cv2.Sobel(grey, cv2.CV_32F, 1, 0) ** 2 + cv2.Sobel(grey, cv2.CV_32F, 0, 1) ** 2
        energies.append(float(gradient[inner > 0].mean()))
    return energies[0] / max(energies[1], 1e-3)


def mouth_cell(pixels: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The mouth and its surroundings, scaled to CELL_PX (height, width)."""
    lips = landmarks[list(LIPS_OUTER), :2]
    middle, reach = lips.mean(0), 0.7 * np.ptp(lips[:, 0])
    half = reach * np.array([1, 0.8])
    x0, y0 = np.maximum(middle - half, 0).astype(int)
    x1, y1 = (middle + half).astype(int)
    height, width = CELL_PX
    return cv2.resize(pixels[y0:y1, x0:x1], (width, height), interpolation=cv2.INTER_CUBIC)


def _window_mean(values: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(values, (0, 0), 1.5)


if __name__ == "__main__":
    main()
