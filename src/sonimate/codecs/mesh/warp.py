"""Moves a portrait's own pixels: from expression and head motion to a frame at the portrait's resolution."""

from __future__ import annotations

import cv2
import numpy as np

from sonimate.codecs.mesh.cut_out import CutOut
from sonimate.codecs.mesh.eyes import move_eyes
from sonimate.codecs.mesh.large_eyes import with_true_eyes
from sonimate.codecs.mesh.layers import PersonLayer
from sonimate.codecs.mesh.lids import EyeLids
from sonimate.codecs.mesh.lip_edges import LipEdges
from sonimate.codecs.mesh.motion import DrawnMotion, EyeMotion, uncrossed, upper_and_lower
from sonimate.codecs.mesh.mouth import AT_REST, TEETH_DEPTH_CM, MouthInterior
from sonimate.codecs.mesh.plane import FacePlane
from sonimate.codecs.mesh.raster import inverse_map, polygon_mask, sample_at, window_around
from sonimate.codecs.mesh.refine import OPENINGS, FineMesh, contour_matrix
from sonimate.codecs.mesh.rings import build_body_rings, build_rings
from sonimate.codecs.mesh.shut_mouth import ShutMouth
from sonimate.face.canonical import canonical_face
from sonimate.face.person import person_roi
from sonimate.face.pose import Pose, apply_motion, fit_pose, to_canonical, to_image
from sonimate.face.regions import (
    LEFT_EYE,
    LEFT_IRIS,
    LIPS_INNER,
    LOWER_LIP_INNER,
    RIGHT_EYE,
    RIGHT_IRIS,
    UPPER_LIP_INNER,
    VERTEX_COUNT,
)
from sonimate.types import Portrait

COARSE_STEP = 4
"""Outside the face the map is smooth: it is computed at every fourth pixel."""
MAX_DEPTH_SLOPE = 1.2
"""Largest slope of depth, px a px: turns of less than 39 degrees then fold no part of the face over
another."""
MIN_FACING = 0.12
"""Triangles at the face's edge are not drawn if the cosine of their angle to the viewer is below this: they
show too few pixels."""
HIDDEN_GAP_CM = 0.03
"""Up to this gap the lips are closed and nothing is painted between them; from twice as far on, all is."""
IRISES = {RIGHT_EYE: RIGHT_IRIS, LEFT_EYE: LEFT_IRIS}


class PortraitWarp:
    """Warps one portrait, without its background if it has a share. `vertices` (478, 3) are its
    pose-normalised landmarks in canonical cm, `still` the frame before it moves."""

    def __init__(self, portrait: Portrait):
        self._pixels = np.ascontiguousarray(portrait.pixels)
        # Landmarks count from a pixel's corner, maps from its middle.
        landmarks = portrait.face.landmarks.astype(np.float64) - [0.5, 0.5, 0]
        self._height, self._width = self._pixels.shape[:2]
        self.pose = fit_pose(landmarks[None])
        landmarks = with_true_eyes(self._pixels, landmarks)
        up = -self.pose.rotation[0][:2, 1] * np.array([-1.0, 1.0])
        seen = seen_triangles(landmarks)
        self._oval = face_outline(landmarks, seen)
        up = up / np.linalg.norm(up)
        roi = person_roi(landmarks)
        if portrait.share is not None:
            self._person = CutOut(self._pixels, portrait.share, roi)
        else:
            self._person = PersonLayer.of(self._pixels, landmarks, roi)
        self.still = self._person.still if isinstance(self._person, CutOut) else self._pixels
        outline = landmarks[self._oval, :2]
        if self._person:
            self._rings = build_body_rings(outline, up, roi, self._height)
        else:
            self._rings = build_rings(outline, up, self._width, self._height)
        landmarks = _without_steep_sides(landmarks)
        self.vertices = to_canonical(landmarks[None], self.pose)[0]
        ring_depth = np.tile(landmarks[self._oval, 2], len(self._rings.points) // len(self._oval))
        ring_landmarks = np.column_stack([self._rings.points, ring_depth])
        self._ring_vertices = to_canonical(ring_landmarks[None], self.pose)
        self._ring_depth = ring_depth + np.ptp(landmarks[:, 2])
        opening = np.any([np.isin(seen, contour).all(1) for contour in OPENINGS], axis=0)
        self._fine = FineMesh.of(seen[~opening])
        self._fine_source = self._fine.vertices(landmarks[:VERTEX_COUNT], lips_strip_px=0)[:, :2]
        ring_ids = np.concatenate([self._oval, VERTEX_COUNT + np.arange(len(self._rings.points))])
        self._everything = np.concatenate([seen, ring_ids[self._rings.triangles]])
        self._source = np.concatenate([landmarks[:VERTEX_COUNT, :2], self._rings.points])
        around = window_around(self._source, 2 * COARSE_STEP, self._width, self._height)
        self._window = self._person.window if self._person else around
        x0, y0, x1, y1 = self._window
        columns, rows = np.meshgrid(np.arange(x0, x1), np.arange(y0, y1))
        self._places = np.dstack([columns, rows]).astype(np.float32)
        self._teeth_z = float(self.vertices[[UPPER_LIP_INNER, LOWER_LIP_INNER], 2].mean()) - TEETH_DEPTH_CM
        self._lips = LipEdges(self._pixels, self._fine, self._fine_source)
        self._lids = {contour: EyeLids(self._pixels, landmarks, contour) for contour in IRISES}
        teeth_plane = FacePlane.at(self.pose, self._teeth_z)
        self._mouth = MouthInterior(self._pixels, landmarks, self.vertices, teeth_plane)
        gap = _height(self.vertices, LIPS_INNER)
        self._shut_mouth = ShutMouth(self._pixels, landmarks, gap, teeth_plane.pixel_cm)

    def resolve(
        self,
        expression: np.ndarray,
        head: np.ndarray,
        eyes: EyeMotion | None = None,
        tongue: np.ndarray | None = None,
    ) -> DrawnMotion:
        """The motion of n frames as `draw` shows it.

        expression: (n, 478, 3) cm, displacement of the pose-normalised vertices from the portrait's own.
        head: (n, 6) head motion against the portrait, as in `relative_motion`. eyes: of n frames, on top of
        the expression. tongue: as in Motion.
        """
        vertices = self.vertices + expression
        if eyes is not None:
            vertices = move_eyes(vertices, eyes)
        return DrawnMotion(uncrossed(vertices, self.vertices), self._damped(head), tongue)

    def draw(self, motion: DrawnMotion) -> np.ndarray:
        """The one frame of `motion`, uint8 (h, w, 3), or (h, w, 4) without the background."""
        vertices, pose = motion.vertices[0], motion.pose
        still = to_image(self.vertices[None], pose)[0]
        moved = motion.landmarks[0]
        rings = self._rings_moved(pose, (moved - still)[self._oval, :2])
        target = np.concatenate([moved[:VERTEX_COUNT, :2], rings])
        depth = np.concatenate([moved[:VERTEX_COUNT, 2], self._ring_depth])

        drawn = self.still.copy()
        x0, y0, x1, y1 = self._window
        fine = self._fine.vertices(moved[:VERTEX_COUNT])
        flow = self._flow(target, depth, fine)
        drawn[y0:y1, x0:x1] = self._person.draw(flow) if self._person else sample_at(self._pixels, flow)
        frame = drawn[..., :3]
        for contour, iris in IRISES.items():
            lids_apart = _height(vertices, contour) / max(_height(self.vertices, contour), 1e-6)
            self._draw_eye(frame, contour, moved, pose, vertices[iris] - self.vertices[iris])
            self._lids[contour].draw(frame, moved, 1 - lids_apart)
        tongue = AT_REST if motion.tongue is None else motion.tongue[0]
        self._lips.draw(frame, moved, fine)
        self._shut_mouth.draw(frame, flow, (x0, y0), moved, _height(vertices, LIPS_INNER))
        self._draw_mouth(frame, moved, vertices, pose, tongue)
        return drawn

    def _damped(self, motion: np.ndarray) -> Pose:
        """The head's poses (n), moved no farther than the picture has room for."""
        moved = to_image(self.vertices[None, self._oval], apply_motion(self.pose, motion))[..., :2]
        shares = [self._rings.damping(shift) for shift in moved - self._source[self._oval]]
        return apply_motion(self.pose, np.array(shares)[:, None] * motion)

    def _rings_moved(self, pose: Pose, oval_shift: np.ndarray) -> np.ndarray:
        points, count = self._rings.points, len(self._rings.points) // len(self._oval)
        rigid = to_image(self._ring_vertices, pose)[0, :, :2]
        stretch = np.tile(oval_shift, (count, 1)) * self._rings.stretch[:, None]
        return points + self._rings.follow[:, None] * (rigid - points) + stretch

    def _flow(self, target: np.ndarray, depth: np.ndarray, fine: np.ndarray) -> np.ndarray:
        """Source position (h, w, 2) of the moving window's pixels: fine on the skin, coarse around it."""
        x0, y0, x1, y1 = self._window
        coarse, covered = inverse_map(
            self._source, target, depth, self._everything, window=self._window, step=COARSE_STEP
        )
        rows, columns = covered.shape
        middle = (COARSE_STEP - 1) / 2
        coarse[..., 0] -= x0 + middle + COARSE_STEP * np.arange(columns)
        coarse[..., 1] -= (y0 + middle + COARSE_STEP * np.arange(rows))[:, None]
        # Triangles too thin to draw leave gaps, which take the shift of their neighbours.
        coarse[~covered] = 0
        share = cv2.blur(covered.astype(np.float32), (3, 3))[~covered]
        coarse[~covered] = cv2.blur(coarse, (3, 3))[~covered] / np.maximum(share, 1e-3)[:, None]
        shift = cv2.resize(
            coarse, (columns * COARSE_STEP, rows * COARSE_STEP), interpolation=cv2.INTER_LINEAR
        )
        flow = self._places + shift[: y1 - y0, : x1 - x0]
        face = target[:VERTEX_COUNT]
        u0, v0, u1, v1 = window_around(face, 1, self._width, self._height)
        u0, v0, u1, v1 = max(u0, x0), max(v0, y0), min(u1, x1), min(v1, y1)
        if u0 < u1 and v0 < v1:
            places, on_skin = inverse_map(
                self._fine_source, fine[:, :2], fine[:, 2], self._fine.triangles, window=(u0, v0, u1, v1)
            )
            np.copyto(flow[v0 - y0 : v1 - y0, u0 - x0 : u1 - x0], places, where=on_skin[..., None])
        return flow

    def _draw_eye(
        self, frame: np.ndarray, contour: tuple[int, ...], moved: np.ndarray, pose: Pose, gaze: np.ndarray
    ) -> None:
        """The eyeball moves with the skull, under the lids; near the iris it also moves with the gaze."""
        polygon = contour_matrix(len(contour)) @ moved[list(contour), :2]
        window = window_around(polygon, 2, self._width, self._height)
        coverage = self._coverage(polygon, window)
        if coverage is None:
            return
        z = float(self.vertices[list(contour), 2].mean())
        x, y = FacePlane.at(pose, z).to_canonical(window)
        iris = self.vertices[IRISES[contour], :2]
        radius = 1.3 * np.linalg.norm(self.vertices[IRISES[contour] + 1, :2] - iris)
        away = ((x - iris[0] - gaze[0]) ** 2 + (y - iris[1] - gaze[1]) ** 2) / (radius**2 + 1e-6)
        turned = np.exp(-(away**2)).astype(np.float32)
        place = FacePlane.at(self.pose, z).from_canonical(x - turned * gaze[0], y - turned * gaze[1])
        _blend(frame, window, sample_at(self._pixels, place.astype(np.float32)), coverage)

    def _draw_mouth(
        self,
        frame: np.ndarray,
        moved: np.ndarray,
        vertices: np.ndarray,
        pose: Pose,
        tongue: np.ndarray,
    ) -> None:
        polygon = contour_matrix(len(LIPS_INNER)) @ moved[list(LIPS_INNER), :2]
        window = window_around(polygon, 3, self._width, self._height)
        shown = float(np.clip(_height(vertices, LIPS_INNER) / HIDDEN_GAP_CM - 1, 0, 1))
        coverage = self._coverage(polygon, window)
        if coverage is None or shown == 0:
            return
        plane = FacePlane.at(pose, self._teeth_z)
        painted = self._mouth.paint(plane, vertices, coverage, window, tongue)
        _blend(frame, window, painted, shown * coverage)

    def _coverage(self, polygon: np.ndarray, window: tuple[int, int, int, int]) -> np.ndarray | None:
        """Anti-aliased mask of an opening, or None when nothing of it can be seen."""
        if window[0] == window[2] or window[1] == window[3]:
            return None
        coverage = polygon_mask(polygon, window)
        return coverage if coverage.sum() > 0.5 else None


def _height(vertices: np.ndarray, contour: tuple[int, ...]) -> float:
    """Largest height of an opening in cm, from vertices (478, 3)."""
    upper, lower = upper_and_lower(contour)
    return float((vertices[upper, 1] - vertices[lower, 1]).max())


def seen_triangles(landmarks: np.ndarray) -> np.ndarray:
    """The triangles (t, 3) of the face that the picture shows. On a turned head, those on the far side point
    away from the viewer; they are removed from the outer edge inward."""
    triangles = canonical_face().triangles
    a, b, c = (landmarks[triangles[:, corner]] for corner in range(3))
    normal = np.cross(b - a, c - a)
    facing = -normal[:, 2] / np.maximum(np.linalg.norm(normal, axis=1), 1e-9)
    facing *= np.sign(np.median(facing))
    kept = np.ones(len(triangles), bool)
    while True:
        boundary = outer_edges(triangles[kept])
        at_edge = np.zeros(len(triangles), bool)
        for first, second in ((0, 1), (1, 2), (2, 0)):
            edges = np.sort(triangles[:, [first, second]], axis=1)
            at_edge |= np.isin(edges[:, 0] * VERTEX_COUNT + edges[:, 1], boundary)
        peeled = kept & at_edge & (facing < MIN_FACING)
        if not peeled.any():
            return triangles[kept]
        kept &= ~peeled


def outer_edges(triangles: np.ndarray) -> np.ndarray:
    """Edges that belong to one triangle only, each as smaller index * 468 + larger index."""
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    keys, counts = np.unique(edges[:, 0] * VERTEX_COUNT + edges[:, 1], return_counts=True)
    return keys[counts == 1]


def face_outline(landmarks: np.ndarray, triangles: np.ndarray) -> list[int]:
    """Vertices on the outer edge of `triangles`, ordered around the face in the image."""
    edges = outer_edges(triangles)
    vertices = np.unique(np.concatenate([edges // VERTEX_COUNT, edges % VERTEX_COUNT]))
    away = landmarks[vertices, :2] - landmarks[vertices, :2].mean(0)
    return vertices[np.argsort(np.arctan2(away[:, 1], away[:, 0]))].tolist()


def _without_steep_sides(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks whose depth changes by at most MAX_DEPTH_SLOPE px a px: the surface closest to the true one
    that is nowhere behind it. Turns of less than atan(1 / MAX_DEPTH_SLOPE) then fold nothing over at the
    sides of the face, where a single picture has no pixels to show."""
    places = landmarks[:, :2]
    away = np.linalg.norm(places[:, None] - places[None], axis=2)
    eased = landmarks.copy()
    eased[:, 2] = (landmarks[:, 2] + MAX_DEPTH_SLOPE * away).min(1)
    return eased


def _blend(
    frame: np.ndarray, window: tuple[int, int, int, int], colour: np.ndarray, alpha: np.ndarray
) -> None:
    x0, y0, x1, y1 = window
    below = frame[y0:y1, x0:x1].astype(np.float32)
    mixed = below + (colour.astype(np.float32) - below) * alpha[..., None]
    frame[y0:y1, x0:x1] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
