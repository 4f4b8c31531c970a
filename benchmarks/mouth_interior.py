"""The painted inside of mouths against real frames, given the landmarks of the real frames.

The frame of each clip with the most closed mouth is the portrait. In frames with an open mouth the painter
fills the opening between the real lips, and what it paints is compared with what was there: PSNR and MS-SSIM,
and the energy of gradients over the real one (1 is as sharp; a flat grey has 0 and a good PSNR). The sheet
shows pairs of real and painted mouths.

mouth_interior.py CLIPS                     the package's painter, drawn teeth and flat grey, by source
mouth_interior.py CLIPS --only NAME ...
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from lib.command import benchmark_parser
from lib.moments import contact_sheet
from lib.parametric_mouth import ParametricMouth
from lib.report import publish
from sonimate.clock import VIDEO_FPS
from sonimate.codecs.mesh.mouth import TEETH_DEPTH_CM, MouthInterior
from sonimate.codecs.mesh.plane import FacePlane
from sonimate.codecs.mesh.raster import polygon_mask, window_around
from sonimate.codecs.mesh.refine import contour_matrix
from sonimate.errors import SonimateError
from sonimate.face.mesh import FaceMesh
from sonimate.face.pose import fit_pose, to_canonical
from sonimate.face.regions import LIPS_INNER, LIPS_OUTER, LOWER_LIP_INNER, UPPER_LIP_INNER, face_height
from sonimate.face.tracking import video_landmarks
from sonimate.footage.sources import find_footage, read_collections
from sonimate.media.image import write_png
from sonimate.media.video import read_frames

QUANTILES = (0.6, 0.75, 0.85, 0.95, 1.0)
"""Frames of a clip, by how wide the mouth is open."""
OPEN_CM = 0.35
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001)
"""The first three of the five scales of Wang et al. 2003: a mouth is too small for the others."""
CELL_PX = (150, 190)


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


PAINTERS: dict[str, Callable[..., Painter]] = {
    "textured teeth (shipped)": MouthInterior,
    "drawn teeth": ParametricMouth,
    "flat grey": FlatGrey,
}


@dataclass(frozen=True)
class MouthFrames:
    """A portrait, and frames of the same clip with an open mouth: pixels (h, w, 3) and landmarks (478, 3) px,
    which count from the middle of a pixel."""

    clip: str
    portrait: tuple[np.ndarray, np.ndarray]
    opened: list[tuple[np.ndarray, np.ndarray]]


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument(
        "clips", type=Path, help="folder of real clips; a MANIFEST.tsv may name their sources"
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="CLIP", help="names of the clips to use")
    parser.add_argument("--smallest-face", type=float, default=150.0, help="height in px; default 150")
    arguments = parser.parse_args(argv)
    scores: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    pictures = []
    for case in mouth_frames(arguments.clips, arguments.only, arguments.smallest_face):
        source = read_collections(arguments.clips, [case.clip])[case.clip]
        row: list[np.ndarray] = []
        for name, painter in PAINTERS.items():
            for (pixels, landmarks), (painted, values) in zip(
                case.opened, paint_and_score(case, painter), strict=True
            ):
                scores[source, name].append(values)
                if painter is MouthInterior:
                    row.append(np.concatenate([mouth_cell(p, landmarks) for p in (pixels, painted)]))
        blank = np.full_like(row[0], 255)
        pictures.append(row + [blank] * (len(QUANTILES) - len(row)))
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
    for name in PAINTERS:
        psnr, ssim, gradient = np.concatenate([v for (_, n), v in scores.items() if n == name]).T
        summary[f"{name}: PSNR dB"] = float(psnr.mean())
        summary[f"{name}: MS-SSIM"] = float(ssim.mean())
        summary[f"{name}: gradient energy, painted / real, median"] = float(np.nanmedian(gradient))
    publish("mouth_interior", arguments.out, rows=rows, summary=summary)
    captions = [f"opening at {quantile:g}" for quantile in QUANTILES]
    write_png(arguments.out / "mouth_interior.png", contact_sheet(pictures, captions))


def mouth_frames(folder: Path, only: list[str], smallest_face_px: float) -> Iterator[MouthFrames]:
    """Portrait and open mouths of each clip whose face is large enough and whose mouth opens."""
    mesh = FaceMesh(num_threads=1)
    for video in find_footage(folder):
        name = video.relative_to(folder).as_posix()
        if only and name not in only:
            continue
        try:
            landmarks = video_landmarks(video, mesh).astype(np.float64) - [0.5, 0.5, 0]
        except SonimateError as error:
            print(f"left out {name}: {error}")
            continue
        vertices = to_canonical(landmarks, fit_pose(landmarks))
        gap = vertices[:, UPPER_LIP_INNER, 1] - vertices[:, LOWER_LIP_INNER, 1]
        ordered = np.argsort(gap)
        picks = sorted({int(ordered[int(quantile * (len(gap) - 1))]) for quantile in QUANTILES})
        picks = [frame for frame in picks if gap[frame] > OPEN_CM]
        if not picks or face_height(landmarks).mean() < smallest_face_px:
            continue
        wanted = {int(ordered[0]), *picks}
        frames = {i: frame for i, frame in enumerate(read_frames(video, fps=VIDEO_FPS)) if i in wanted}
        yield MouthFrames(
            name,
            (frames[int(ordered[0])], landmarks[ordered[0]]),
            [(frames[i], landmarks[i]) for i in picks if i in frames],
        )


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
