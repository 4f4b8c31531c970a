"""Blinks and glances: random processes with a seed, added to the motion that the network generates.

A voice says little about when its speaker blinks or where he looks, so a model trained on minutes of footage
keeps the eyes open and still. Both processes are drawn from a seed instead. People blink in pauses and when
they look elsewhere; the eyes stay on the viewer while the head moves, and leave him for moments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sonimate.codecs.mesh.motion import EyeMotion, resampled, resampled_count, upper_and_lower
from sonimate.configs import NATURAL_EYES, EyeOptions
from sonimate.face.regions import (
    LEFT_EYE,
    LEFT_IRIS,
    LEFT_LID_FOLD,
    RIGHT_EYE,
    RIGHT_IRIS,
    RIGHT_LID_FOLD,
)

SHORTEST_SECONDS = 1.0
"""Between two blinks."""
SEARCH_SECONDS = 0.5
"""A blink moves by at most this much."""
NEAR_CM, GLANCE_CM = 0.1, 0.5
"""What makes a moment good for a blink, as a smaller opening of the mouth in cm: being SEARCH_SECONDS nearer
to the drawn time; the eyes jumping by a centimetre."""
CLOSING_SECONDS, SHUT_SECONDS, OPENING_SECONDS = 0.08, 0.04, 0.12
"""A blink takes 0.24 s. Real ones take 0.1 to 0.4 s, and open more slowly than they close."""

FIXATION_SECONDS = (0.4, 3.0)
FIXATION_MEDIAN, FIXATION_SPREAD = 1.0, 0.6
"""Median in seconds, and standard deviation of the logarithm."""
JUMP_SECONDS = 0.04
"""A jump of the eyes takes one or two frames."""
LEAVING, RETURNING = 0.75, 0.6
"""Chance that the eyes, on the viewer, look elsewhere next; and that they come back from there."""
GLANCE_SPREAD_CM = np.array([0.13, 0.06])
"""Standard deviation of where they look, to the sides and up or down. 0.1 cm is 5 degrees."""
GLANCE_LOW_CM, GLANCE_HIGH_CM = np.array([-0.25, -0.14]), np.array([0.25, 0.04])
"""Farther, the picture has no white to show; above all when looking up, below the iris."""
EYEBALL_CM = 1.2
HELD = 0.6
"""Share of the head's turns that the eyes make good, to stay on the viewer."""

FOLD_FOLLOWS = 0.15
"""Share of the upper lid's way that the fold above it goes along."""
UPPER_ALONE = 0.55
"""In eyes higher than this share of their width, as drawn ones are, the upper lid falls by this share only,
and the lower one rises to meet it: all the way down, the lash line would be a deep bag."""
LIDS_FOLLOW_GAZE = 0.9
CLOSED_RATIO = 0.12
"""Eyes lower than this share of their width are closed in the picture. Squinting ones have 0.15."""


def eye_motion(
    mouth_opening: np.ndarray,
    head: np.ndarray,
    fps: float,
    rng: np.random.Generator,
    options: EyeOptions = NATURAL_EYES,
    *,
    shown_fps: float | None = None,
) -> EyeMotion:
    """Blinks and glances of a motion of n frames at `fps`, as frames at `shown_fps` show them (default:
    `fps`): at the same seconds, whatever that rate. mouth_opening: (n,) cm. head: (n, 6) as in
    `relative_motion`."""
    times = np.arange(len(mouth_opening)) / fps
    shown = times if shown_fps is None else np.arange(resampled_count(len(times), fps, shown_fps)) / shown_fps
    if options.gaze == "natural":
        glances = draw_glances(len(mouth_opening) / fps, rng)
    else:
        degrees = (0.0, 0.0) if isinstance(options.gaze, str) else options.gaze
        glances = Glances(EYEBALL_CM * np.sin(np.radians(degrees)), [])
    shut = draw_blinks(mouth_opening, glances.at(times), fps, rng, options.blinks)
    turned = head if shown_fps is None else resampled(head, fps, shown_fps)
    held = HELD * EYEBALL_CM * np.stack([-turned[:, 1], turned[:, 0]], axis=1)
    return EyeMotion(
        blink_curve(shut, shown), np.clip(glances.at(shown) + held, GLANCE_LOW_CM, GLANCE_HIGH_CM)
    )


@dataclass(frozen=True)
class Glances:
    """Where eyes look. start: (2,) cm. jumps: second of each jump's middle, and its way (2,) cm."""

    start: np.ndarray
    jumps: list[tuple[float, np.ndarray]]

    def at(self, times: np.ndarray) -> np.ndarray:
        """Gaze (n, 2) cm at `times` (n,) in seconds: rests and fast jumps between them."""
        gaze = np.tile(self.start, (len(times), 1))
        for middle, way in self.jumps:
            gaze += np.outer(np.clip((times - middle) / JUMP_SECONDS + 0.5, 0, 1), way)
        return gaze


def draw_glances(seconds: float, rng: np.random.Generator) -> Glances:
    """Random glances over so many seconds."""
    jumps: list[tuple[float, np.ndarray]] = []
    here, away, at = np.zeros(2), False, 0.0
    while True:
        rest = FIXATION_MEDIAN * np.exp(FIXATION_SPREAD * rng.normal())
        at += float(np.clip(rest, *FIXATION_SECONDS)) + JUMP_SECONDS
        if at >= seconds:
            return Glances(np.zeros(2), jumps)
        away = bool(rng.random() < (1 - RETURNING if away else LEAVING))
        there = rng.normal(size=2) * GLANCE_SPREAD_CM * (1.0 if away else 0.15)
        there = np.clip(there, GLANCE_LOW_CM, GLANCE_HIGH_CM)
        jumps.append((at, there - here))
        here = there


def draw_blinks(
    mouth_opening: np.ndarray,
    gaze: np.ndarray,
    fps: float,
    rng: np.random.Generator,
    per_minute: float = NATURAL_EYES.blinks,
) -> list[float]:
    """Seconds at which the lids have shut, from the mouth's opening (n,) and the gaze (n, 2), in cm.

    One blink anywhere in each period of 60 / `per_minute` seconds: with 16 a minute, clips of 10 s and more
    have 10 to 24, whatever the seed. People blink 4.5 times a minute when reading, 17 at rest, 26 in
    conversation (Bentivoglio et al. 1997).
    """
    blinks: list[float] = []
    count = len(mouth_opening)
    if per_minute == 0:
        return blinks
    blink_seconds = 60 / per_minute
    times = np.arange(count) / fps
    jump = np.linalg.norm(np.diff(gaze, axis=0, prepend=gaze[:1]), axis=1)
    last = (count - 1) / fps - SHUT_SECONDS - OPENING_SECONDS
    earliest = CLOSING_SECONDS
    for period in range(1 + int(count / fps / blink_seconds)):
        middle = blink_seconds * (period + rng.random())
        if middle > count / fps:
            break
        near = np.abs(times - middle)
        allowed = (near <= SEARCH_SECONDS) & (times >= earliest) & (times <= last)
        if not allowed.any():
            allowed = (times >= earliest) & (times < earliest + SEARCH_SECONDS) & (times <= last)
        if not allowed.any():
            continue
        worth = mouth_opening + NEAR_CM * near / SEARCH_SECONDS - GLANCE_CM * jump
        shut = times[np.flatnonzero(allowed)[np.argmin(worth[allowed])]]
        blinks.append(float(shut))
        earliest = shut + SHORTEST_SECONDS
    return blinks


def blink_curve(blinks: list[float], times: np.ndarray) -> np.ndarray:
    """Lid closure (n,) in [0, 1] at `times` (n,), for lids that have shut at `blinks`, in seconds."""
    closure = np.zeros(len(times))
    for shut in blinks:
        closure = np.maximum(closure, _profile(times - shut + CLOSING_SECONDS))
    return closure


def _profile(since: np.ndarray) -> np.ndarray:
    """Closure at times `since` the lid began to fall, in seconds: a fast fall, a slower rise."""
    falling = np.clip(since / CLOSING_SECONDS, 0, 1)
    rising = np.clip((since - CLOSING_SECONDS - SHUT_SECONDS) / OPENING_SECONDS, 0, 1)
    return 0.5 * (1 - np.cos(np.pi * falling)) * 0.5 * (1 + np.cos(np.pi * rising))


def move_eyes(vertices: np.ndarray, eyes: EyeMotion) -> np.ndarray:
    """Pose-normalised vertices (n, 478, 3) cm with irises that look and upper lids that follow them, and that
    close on these vertices' own lower lids."""
    moved = vertices.copy()
    for iris in (RIGHT_IRIS, LEFT_IRIS):
        moved[:, iris : iris + 5, :2] += eyes.gaze[:, None]
    closure = eyes.closure[:, None, None]
    for contour, fold in ((RIGHT_EYE, RIGHT_LID_FOLD), (LEFT_EYE, LEFT_LID_FOLD)):
        upper, lower = upper_and_lower(contour)
        arch = np.sin(np.pi * np.arange(1, len(upper) + 1) / (len(upper) + 1))
        moved[:, upper, 1] += LIDS_FOLLOW_GAZE * arch * eyes.gaze[:, 1:]
        way = closure * (moved[:, lower] - moved[:, upper])
        height = (vertices[:, upper, 1] - vertices[:, lower, 1]).max(1)
        width = np.linalg.norm(vertices[:, contour[0]] - vertices[:, contour[len(contour) // 2]], axis=1)
        falls = np.minimum(UPPER_ALONE * width / np.maximum(height, 1e-6), 1)[:, None, None]
        moved[:, upper] += falls * way
        moved[:, lower] -= (1 - falls) * way
        moved[:, list(fold)] += FOLD_FOLLOWS * falls * way
    return moved


def eyes_closed(vertices: np.ndarray) -> bool:
    """Whether both eyes of pose-normalised vertices (478, 3) are closed."""
    ratios = []
    for contour in (RIGHT_EYE, LEFT_EYE):
        upper, lower = upper_and_lower(contour)
        width = np.linalg.norm(vertices[contour[0]] - vertices[contour[len(contour) // 2]])
        ratios.append((vertices[upper, 1] - vertices[lower, 1]).max() / width)
    return max(ratios) < CLOSED_RATIO
