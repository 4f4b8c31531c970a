"""The compact codec: latents hold a face's motion field and the head's motion; decoding warps the portrait.

An expression is the displacement of pose-normalised vertices from the portrait's own, as coefficients of a
small linear basis (principal components of real expressions). The UNet works on a smooth map of it over the
face. Decoding finds the coefficients from the map by least squares, so that lids and lips keep details finer
than a cell of the map. Each latent holds two frames of the video: motion at 25 fps for the price of 12.5.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sonimate.clock import LATENT_FPS, VIDEO_FPS, VIDEO_FRAMES_PER_LATENT
from sonimate.codecs.base import EncodedReference
from sonimate.codecs.mesh.eyes import eye_motion, eyes_closed
from sonimate.codecs.mesh.face_map import GRID, layout_mask, vertices_to_grid
from sonimate.codecs.mesh.motion import DrawnMotion, Motion, resampled, smooth
from sonimate.codecs.mesh.mouth_reach import MouthReach
from sonimate.codecs.mesh.warp import PortraitWarp
from sonimate.configs import DecodeOptions
from sonimate.face.canonical import canonical_vertices
from sonimate.face.pose import fit_pose, to_canonical
from sonimate.face.regions import (
    LANDMARK_COUNT,
    LEFT_BROW,
    RIGHT_BROW,
)
from sonimate.types import FrameStream, Portrait

MOTION = 6
"""Numbers of a head motion."""
PATCH = 2
"""Cells a side of the 16 x 16 field that form one latent cell: 12 expression channels on 8 x 8."""
FRAME_CHANNELS = 3 * PATCH**2 + MOTION
TONGUE = 2
"""Numbers of the tongue's tip in a frame. In latents to be drawn they follow the channels of all frames."""
READ_RIDGE = 1e-2
"""Ridge of the least squares fit, in latent units: noise in a map must not turn into large coefficients of
weak components."""
HEAD_NOISE = 6.0
"""Initial noise of the head's channels over that of the face's. The voice tells little about the head's
path: at the temperature of the mouth, 0.25, it turns by 0.3 degrees (standard deviation), at 6 times that by
1.5."""
HEAD_SMOOTHING_SECONDS = 0.12
"""Standard deviation of the Gaussian that smooths the head's path: above about 1.5 Hz the network's output is
noise, not nods."""
BROW_GAIN = 2.4
"""Brows of GRID's talkers hardly move, nor do those that the network generates. With this gain they move
about 0.9 times as far as in natural speech (`benchmarks/portraits.py`)."""
SYLLABLE_GAIN, SYLLABLE_SECONDS = 1.0, (0.06, 0.025)
"""The network, near the mean of what a voice may look like, moves mouths too little at 4 to 6 Hz: 0.76 of the
real share (`benchmarks/held_out.py`). The difference of two Gaussians, with these standard deviations, is 0.6
at 5 Hz and below 0.1 at 1 Hz: mouths move 1.6 times as far there, which is the least that portraits need for
0.85 of the real share (`benchmarks/portraits.py`)."""
FARTHEST_CM = 9.0
"""A reference differs by at most this norm of coefficients from the canonical face with its mouth closed. So
do 43 of 45 GRID clips, on whose talkers the network was trained. Drawn children differ twice as much: their
mouths hardly opened."""
POSTURE_FRAMES = 50
"""Frames after which half of a mean expression counts as posture, which is the portrait's own, and half as
what was said: a short sound may be a single vowel."""
LOWER_FACE_CM = (2.0, -1.0)
"""Canonical heights between which the upper face passes into the lower one: below the lids, and below the
nose."""
WHITENING = 0.5
"""Power of a component's standard deviation that is taken out of the latents: 0 gives the opening of the
mouth eight times the variance of its width, so that a short training learns little else; 1 gives noise of
the tracker as much weight as lips."""
TENSORS = ("basis", "positions", "open_mouth", "scales", "motion_std", "gains")


class MeshCodec:
    """Latents (f, 36, 8, 8), each of two frames: for each frame 12 channels of expression, then six constant
    planes of head motion.

    basis: (k, 478, 3) orthonormal expression components. positions: (478, 2) the layout, in cells.
    open_mouth: (k,) coefficients of a wide open mouth. scales: (k,) cm of each component that give its map
    (of length 1 over all cells) once in the latents. motion_std: (6,) scale of the head's channels. Over the
    training samples the channels of each kind have unit variance. gains: (k,) factors on the components of
    generated motion, measured after training; None: 1.
    """

    latent_fps: float = LATENT_FPS
    head_buckets: tuple[float, float] = (5.0, 21.0)
    """Head movement grows with the bucket from 5 to 21; above, that of an earlier model fell and rose
    (docs/decisions/0016). `benchmarks/controls.py` checks that the drawn movement grows over all requests."""
    expression_buckets: tuple[float, float] = (16.0, 100.0)
    """Expressions grow with the bucket in this range; below and above it they shrank again."""
    networks = ()

    def __init__(
        self,
        *,
        basis: np.ndarray,
        positions: np.ndarray,
        open_mouth: np.ndarray,
        scales: np.ndarray,
        motion_std: np.ndarray,
        gains: np.ndarray | None = None,
    ):
        self.open_mouth = open_mouth.astype(np.float64)
        self.basis = basis.astype(np.float64)
        self.positions = positions.astype(np.float64)
        self.scales = scales.astype(np.float64)
        self.motion_std = motion_std.astype(np.float64)
        self.gains = np.ones(len(basis)) if gains is None else gains.astype(np.float64)
        self._upper_face = upper_face_part(self.basis)
        self._lower_face = np.eye(len(basis)) - self._upper_face
        self._mouth = MouthReach(self.basis, self.open_mouth, self._lower_face)
        self._write = component_maps(self.basis, self.positions) / self.scales[:, None]
        normal = self._write @ self._write.T
        self._read = self._write.T @ np.linalg.inv(normal + READ_RIDGE * np.eye(len(basis)))
        scale = torch.ones(FRAME_CHANNELS, 1, 1)
        scale[-MOTION:] = HEAD_NOISE
        self._noise_scale = scale.repeat(VIDEO_FRAMES_PER_LATENT, 1, 1)
        self.mask = F.avg_pool2d(torch.from_numpy(layout_mask(self.positions))[None], PATCH)[0]

    def scaled_to(self, expression_std: np.ndarray, motion_std: np.ndarray) -> MeshCodec:
        """The same codec, whose latents have unit variance where coefficients and head motion have these
        standard deviations, (k,) and (6,)."""
        return self._with(scales=even_scales(expression_std), motion_std=motion_std)

    def with_gains(self, gains: np.ndarray) -> MeshCodec:
        """The same codec with other gains (k,)."""
        return self._with(gains=gains)

    def _with(self, **tensors: np.ndarray) -> MeshCodec:
        return MeshCodec(**{name: getattr(self, name) for name in TENSORS} | tensors)

    @property
    def settings(self) -> dict[str, float]:
        """What a saved codec's config.json states."""
        return {"latent_fps": self.latent_fps, "grid": GRID, "patch": PATCH}

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        return VIDEO_FRAMES_PER_LATENT * FRAME_CHANNELS, GRID // PATCH, GRID // PATCH

    def project(self, displacement: np.ndarray) -> np.ndarray:
        """Vertex displacements (n, 478, 3) cm -> basis coefficients (n, k)."""
        return displacement.reshape(len(displacement), -1) @ self.basis.reshape(len(self.basis), -1).T

    def displacement(self, coefficients: np.ndarray) -> np.ndarray:
        """Basis coefficients (n, k) -> vertex displacements (n, 478, 3) cm."""
        flat = coefficients @ self.basis.reshape(len(self.basis), -1)
        return flat.reshape(len(coefficients), LANDMARK_COUNT, 3)

    def to_latents(self, motion: Motion) -> Tensor:
        """Motion of n frames at 25 fps, n even -> latents (n / 2, 36, 8, 8) float32."""
        field = torch.from_numpy(motion.expression @ self._write).float().unflatten(1, (3, GRID, GRID))
        planes = torch.from_numpy(motion.head / self.motion_std).float()[..., None, None]
        side = GRID // PATCH
        frames = torch.cat([F.pixel_unshuffle(field, PATCH), planes.expand(-1, -1, side, side)], dim=1)
        return frames.unflatten(0, (-1, VIDEO_FRAMES_PER_LATENT)).flatten(1, 2)

    def from_latents(self, latents: Tensor) -> Motion:
        """Latents (n, 36, 8, 8) -> motion of 2 n frames at 25 fps; inverse of `to_latents`."""
        patches, planes = _frames(latents.float().cpu()).split([3 * PATCH**2, MOTION], dim=1)
        field = F.pixel_shuffle(patches, PATCH).flatten(1).double().numpy()
        head = planes.mean((2, 3)).double().numpy() * self.motion_std
        return Motion(field @ self._read, head)

    def still_latents(self, expression: np.ndarray) -> Tensor:
        """Expressions (n, k) of faces that do not move -> latents (n, 36, 8, 8) without head motion."""
        twice = expression.repeat(VIDEO_FRAMES_PER_LATENT, axis=0)
        return self.to_latents(Motion(twice, np.zeros((len(twice), MOTION))))

    def reference_latents(self, landmarks: np.ndarray) -> Tensor:
        """Landmarks (478, 3) px of the reference -> (36, 8, 8): how its expression, with the mouth closed,
        differs from the canonical face's, within the basis, by at most FARTHEST_CM; the head planes are zero.
        """
        vertices = to_canonical(landmarks[None], fit_pose(landmarks[None]))
        expression = self.project(canonical_expression(vertices)) + self._mouth.closing(vertices[0])
        closed = self._mouth.closing(canonical_vertices())
        own = expression - closed
        own *= min(FARTHEST_CM / max(float(np.linalg.norm(own)), 1e-6), 1.0)
        return self.still_latents(closed + own)[0]

    def interpolation(self, fps: float) -> None:
        """None: frames are drawn from interpolated motion at any rate, none is made from two others."""

    def encode_reference(self, portrait: Portrait, *, size: int | None = None) -> EncodedReference:
        """Reference latents, face mask and the warp that draws this portrait, at its own size."""
        latents = self.reference_latents(portrait.face.landmarks.astype(np.float64))
        height, width = portrait.pixels.shape[:2]
        warp = PortraitWarp(portrait)
        return EncodedReference(
            latents=latents,
            mask=self.mask,
            image=latents,
            initial_mean=0.0,
            width=width,
            height=height,
            context=warp,
            noise_scale=self._noise_scale,
        )

    def rest_mouth(self, latents: Tensor, gate: np.ndarray) -> Tensor:
        """Latents (n, 36, 8, 8) whose mouth and cheeks move as far as `gate` allows, 25 values a second, from
        0 (at rest, closed) to 1 (as the network asks for). Brows, lids, gaze and head move all the time.

        All move about the portrait's own face. The network draws a face that smiles, frowns or turns away
        toward the faces of its training: the mean of what it asks for, but for the opening of the mouth, is
        taken off, and the mean of the head's path.
        """
        moved = self.from_latents(latents)
        voice = gate[:: len(gate) // len(moved.head), None].astype(np.float64)
        upper = moved.expression @ self._upper_face
        lower = moved.expression - upper
        always = np.ones_like(voice)
        settled = upper - self._posture(upper, always) + voice * (lower - self._posture(lower, voice))
        change = Motion(settled - moved.expression, np.tile(-moved.head.mean(0), (len(moved.head), 1)))
        return latents + self.to_latents(change)

    def _posture(self, expression: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Coefficients (k,) of the mean of `expression` (n, k) that do not part the lips. share: (n, 1), how
        much a frame counts. The fewer frames, the less."""
        mean = (share * expression).sum(0) / (share.sum() + POSTURE_FRAMES)
        return mean - self._mouth.opening(mean @ self._mouth.gap_of)

    def enlarge_head(self, latents: Tensor, bucket: float) -> Tensor:
        """Latents (n, 36, 8, 8) whose head moves farther from its mean over the clip, by the square root of
        `bucket` over the largest of `head_buckets`: 2.5 times as far at 128. Unchanged for smaller
        buckets."""
        gain = (bucket / self.head_buckets[1]) ** 0.5
        if gain <= 1:
            return latents
        patches, head = _frames(latents).split([3 * PATCH**2, MOTION], dim=1)
        mean = head.mean(0, keepdim=True)
        enlarged = torch.cat([patches, mean + gain * (head - mean)], dim=1)
        return enlarged.reshape(latents.shape)

    def with_tongue(self, latents: Tensor, tongue: np.ndarray) -> Tensor:
        """Latents (n, 36, 8, 8) and the tongue's tip (2 m, 2) at 25 fps, see Motion -> latents (n, 40, 8, 8)
        that `motion` and `decode` take too. What is missing at the end is like the last of m latents."""
        tips = torch.from_numpy(tongue).to(latents).reshape(-1, VIDEO_FRAMES_PER_LATENT * TONGUE)
        planes = tips[torch.arange(len(latents)).clamp(max=len(tips) - 1)][..., None, None]
        return torch.cat([latents, planes.expand(-1, -1, *latents.shape[2:])], dim=1)

    def decode(
        self, latents: Tensor, context: PortraitWarp, decoding: DecodeOptions | None = None
    ) -> FrameStream:
        """Latents (f, 36, 8, 8) at `latent_fps` -> uint8 frames (h, w, 3) at `decoding.fps`, one by one."""
        yield from self.render(self.motion(latents, context, decoding or DecodeOptions()), context)

    def motion(self, latents: Tensor, warp: PortraitWarp, decoding: DecodeOptions) -> Motion:
        """Latents at `latent_fps` -> a portrait's motion at `decoding.fps`: the head's path smoothed, with
        the blinks and glances that `decoding` asks for; closed eyes stay closed. `warp.resolve` then bounds
        it to what can be drawn."""
        channels = self.latent_shape[0]
        moved, extra = self.from_latents(latents[:, :channels]), latents[:, channels:]
        asked = self._crisper(self._livelier(moved.expression))
        expression = self._with_brows(asked) + self._mouth.closing(warp.vertices)
        expression = self._mouth.within(expression, warp.vertices)
        head = smooth(moved.head, HEAD_SMOOTHING_SECONDS * VIDEO_FPS)
        eyes = None
        if not eyes_closed(warp.vertices):
            rng = np.random.default_rng(decoding.seed)
            gap = np.maximum(self._mouth.gap(expression, warp.vertices), 0)
            eyes = eye_motion(gap, head, VIDEO_FPS, rng, decoding.eyes, shown_fps=decoding.fps)
        expression, head = (resampled(values, VIDEO_FPS, decoding.fps) for values in (expression, head))
        tongue = None
        if extra.shape[1]:
            tip = extra.mean((2, 3)).reshape(-1, TONGUE).double().cpu().numpy()
            tongue = np.clip(resampled(tip, VIDEO_FPS, decoding.fps), 0, 1)
        return Motion(expression, head, eyes, tongue)

    def _livelier(self, expression: np.ndarray) -> np.ndarray:
        """Coefficients (n, k) that move `gains` times as far from their mean. Lips that meet still meet."""
        surplus = (self.gains - 1) * expression.mean(0)
        return self.gains * expression - surplus + self._mouth.opening(surplus @ self._mouth.gap_of)

    def _crisper(self, expression: np.ndarray) -> np.ndarray:
        """Coefficients (n, k) whose mouth and cheeks move farther at the rate of syllables."""
        slower, faster = (smooth(expression, seconds * VIDEO_FPS) for seconds in SYLLABLE_SECONDS)
        return expression + SYLLABLE_GAIN * (faster - slower) @ self._lower_face

    def _with_brows(self, expression: np.ndarray) -> np.ndarray:
        """Coefficients (n, k) whose brows move BROW_GAIN times as far from their mean, and nothing parts the
        lips."""
        brows = self.basis[:, [RIGHT_BROW, LEFT_BROW], 1].mean(1)
        alone = self._mouth.without_gap(brows)
        return expression + np.outer(
            (BROW_GAIN - 1) * (expression - expression.mean(0)) @ brows / (alone @ brows), alone
        )

    def resolve(self, motion: Motion, warp: PortraitWarp) -> DrawnMotion:
        """`motion` as `render` draws it on the portrait of `warp`."""
        return warp.resolve(self.displacement(motion.expression), motion.head, motion.eyes, motion.tongue)

    def render(self, motion: Motion, warp: PortraitWarp) -> Iterator[np.ndarray]:
        """Frames (h, w, 3) of a motion at the video's rate, one by one."""
        for frame in range(len(motion.head)):
            yield warp.draw(self.resolve(motion[frame : frame + 1], warp))


def _frames(latents: Tensor) -> Tensor:
    """Latents (n, 36, 8, 8) -> their frames (2 n, 18, 8, 8)."""
    return latents.unflatten(1, (VIDEO_FRAMES_PER_LATENT, FRAME_CHANNELS)).flatten(0, 1)


def component_maps(basis: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Components (k, 478, 3) as maps (k, 3 * GRID * GRID) on the layout `positions`, each of length 1."""
    maps = np.einsum("gv,kvc->kcg", vertices_to_grid(positions), basis, optimize=True).reshape(len(basis), -1)
    return maps / np.linalg.norm(maps, axis=1, keepdims=True)


def canonical_expression(vertices: np.ndarray) -> np.ndarray:
    """Pose-normalised vertices (n, 478, 3) cm minus the canonical face's."""
    return vertices - canonical_vertices()


def upper_face_part(basis: np.ndarray) -> np.ndarray:
    """Matrix (k, k) from coefficients (n, k) of an expression to those of its upper part: the movement of the
    vertices above LOWER_FACE_CM, as near as the basis has it."""
    height = canonical_vertices()[:, 1]
    lower = np.clip((LOWER_FACE_CM[0] - height) / (LOWER_FACE_CM[0] - LOWER_FACE_CM[1]), 0, 1)[:, None]
    flat = basis.reshape(len(basis), -1)
    return flat @ (basis * (1 - lower)).reshape(len(basis), -1).T


def even_scales(expression_std: np.ndarray) -> np.ndarray:
    """`MeshCodec.scales` (k,) for coefficients of these standard deviations (k,), in cm. The maps of the
    components then have unit variance, averaged over cells."""
    scales = expression_std**WHITENING
    return scales * np.sqrt(np.square(expression_std / scales).sum() / (3 * GRID**2))
