"""Whether a portrait shows what an animation moves: lips, and open eyes, sharp enough to be found.

The landmark network places a closed mouth on masks, hands and cups as if lips were there. So the picture is
read where the landmarks say that lips are: lips have a line between them, or teeth, along their whole width,
and another colour than what is around them; what covers them has not. Thresholds were set on 35 portraits,
among them paintings, statues, beards and smiles (docs/decisions/0030-a-mouth-that-is-seen.md).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import cv2
import numpy as np

from sonimate.errors import MouthNotVisible
from sonimate.face.blendshapes import EYE_BLINKS, JAW_OPEN, BlendshapeNetwork
from sonimate.face.mesh import CROP_PX, roi_from_landmarks
from sonimate.face.regions import AROUND_MOUTH, BROW_SKIN, LIPS_INNER, LIPS_OUTER, NOSE_TIP, mouth_opening
from sonimate.types import Portrait

CLOSED_EYES = 0.5
"""Score of the more open eye from which the eyes are closed; open ones had at most 0.23."""
WIDE_OPEN, WIDE_OPEN_JAW = 0.11, 0.3
"""Opening of the mouth in face heights, and the jaw's score, that are a wide open mouth together: smiles with
teeth reach 0.09; a closed mouth in a long face has a jaw of 0.67 but no opening."""
BLURRED = 0.05
"""Detail of the upper face, as a share of its contrast, below which it is blurred."""
COLOUR_PX = 3.0
"""Standard deviation of the Gaussian that removes the grain of colours, in the same face."""
DETAIL_PX = 2.0
"""Standard deviation of the Gaussian that removes what counts as detail, in a face CROP_PX / 1.5 px high."""
NO_LINE = 0.15
"""Contrast of the mouth over that of the face below which no lips are there: portraits had 0.2 and more, also
dark, compressed or of 50 px; what covers a mouth, of one colour and with no edge near it, 0.13 and less."""
WEAK_PART, UNLIKE, UNLIKE_PART = 0.08, 0.35, 0.3
"""Nothing like lips is there either where the weakest part's contrast is below WEAK_PART and the parts
differ (mean correlation below UNLIKE): cloth and hands with folds. Below UNLIKE_PART it is only likely."""
ONE_COLOUR, SAME_COLOUR, OTHER_COLOUR = 0.07, 0.2, 1.0
"""Of the spread of the upper face's colours: lips differ from what surrounds them by 0.3 and more, in a
painting and a drawing by 0.17; cloth and fingers by less than SAME_COLOUR, masks by less than ONE_COLOUR. And
masks differ from the brow by more than OTHER_COLOUR, as some beards do."""
STRONG_LINE = 0.5
"""Contrast of the mouth from which it is one, if not all is of ONE_COLOUR: lips of hardly another colour than
what surrounds them had 0.78 and more."""
COLOURLESS = 0.5
"""Spread of the upper face's colours, in CIELAB, up to which a picture is grey: they say nothing then."""
FAINT_PART = 0.16
"""Contrast of the weakest part below which something seems to cover a part of the mouth."""
PARTS = 5
"""Pieces of the mouth from corner to corner, each compared with the others."""
COLUMNS, ROWS = 29, 27
SPAN, REACH = (0.15, 0.85), 1.3
"""Share of the way from corner to corner, and height in lip thicknesses, that is read of the mouth."""

_log = logging.getLogger("sonimate")


@dataclass(frozen=True)
class MouthLook:
    """How the part of a picture looks where lips should be.

    line, weakest: contrast of the mouth, and of its weakest part, over the face's contrast. alike: mean
    correlation of the mouth's parts, in [-1, 1]. lip_colour: how far the lips' colour is from that of what
    surrounds them; skin_colour: and this from the brow's; both over the spread of the upper face's colours;
    infinite and 0 in a grey picture. detail: of the upper face, over its contrast.
    """

    line: float
    weakest: float
    alike: float
    lip_colour: float
    skin_colour: float
    detail: float

    @property
    def blurred(self) -> bool:
        return self.detail < BLURRED

    @property
    def hidden(self) -> bool:
        """Nothing like lips is where lips should be. A face that is blurred has none either."""
        unlike = self.alike < UNLIKE and (self.weakest < WEAK_PART or self._faint_in_one_colour)
        foreign = self.skin_colour > OTHER_COLOUR
        cloth = foreign and (self.lip_colour < ONE_COLOUR or self._faint_in_one_colour)
        return not self.blurred and (self.line < NO_LINE or unlike or cloth)

    @property
    def partly_hidden(self) -> bool:
        """A part of the mouth is unlike lips, or all of it is hidden."""
        unlike = self.weakest < UNLIKE_PART and self.alike < UNLIKE
        foreign = self.line < STRONG_LINE and self.skin_colour > OTHER_COLOUR
        partly = self.weakest < FAINT_PART or unlike or foreign or self._faint_in_one_colour
        return self.hidden or (not self.blurred and partly)

    @property
    def _faint_in_one_colour(self) -> bool:
        return self.line < STRONG_LINE and self.lip_colour < SAME_COLOUR


@dataclass(frozen=True)
class Visibility:
    """What a picture shows of a face. opening: of the mouth, in face heights. jaw_open, eyes_closed: scores
    in [0, 1]."""

    mouth: MouthLook
    opening: float
    jaw_open: float
    eyes_closed: float

    @property
    def mouth_wide_open(self) -> bool:
        return self.opening > WIDE_OPEN and self.jaw_open > WIDE_OPEN_JAW


def require_visible(portrait: Portrait, *, name: str, force: bool = False) -> None:
    """Log a warning for each thing that will look wrong. name: the picture's, for messages.

    Raises MouthNotVisible if the mouth is hidden, unless `force`.
    """
    seen = visibility(portrait)
    if seen.mouth.hidden and not force:
        raise MouthNotVisible(
            f"The mouth in {name} is not visible: a mask, a hand, a cup or a scarf seems to cover it, and "
            "lips would open there. Use a picture that shows the whole mouth, or give --force."
        )
    if seen.mouth.partly_hidden:
        _log.warning(
            "Something seems to cover the mouth in %s, or a part of it: it will be moved like lips. A "
            "picture that shows the whole mouth works better.",
            name,
        )
    if seen.mouth_wide_open:
        _log.warning(
            "The mouth in %s is wide open: where it closes, the skin around it is stretched and smears. A "
            "picture with a closed mouth works better.",
            name,
        )
    if seen.eyes_closed > CLOSED_EYES:
        _log.warning(
            "The eyes in %s are closed and stay closed, for the picture does not show how they look. A "
            "picture with open eyes works better.",
            name,
        )
    if seen.mouth.blurred:
        _log.warning(
            "The face in %s is blurred: lips and eyes may be found at wrong places, and the video will be "
            "blurred too. A sharper picture works better.",
            name,
        )


def visibility(portrait: Portrait) -> Visibility:
    """Measure a portrait."""
    landmarks = portrait.face.landmarks.astype(np.float64)
    (scores,) = BlendshapeNetwork()(portrait.face.landmarks[None])
    roi = roi_from_landmarks(portrait.face.landmarks)
    crop = roi.crop(portrait.pixels, CROP_PX)
    inverse = cv2.invertAffineTransform(roi.to_image(CROP_PX))
    return Visibility(
        mouth=look_of_mouth(crop, landmarks[:, :2] @ inverse[:, :2].T + inverse[:, 2]),
        opening=float(mouth_opening(landmarks[None])[0]),
        jaw_open=float(scores[JAW_OPEN]),
        eyes_closed=float(min(scores[place] for place in EYE_BLINKS)),
    )


def look_of_mouth(crop: np.ndarray, points: np.ndarray) -> MouthLook:
    """Measure the mouth of a face in a crop, uint8 RGB (CROP_PX, CROP_PX, 3), with its landmarks (478, 2) px
    of the crop."""
    lab = cv2.cvtColor(crop.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lightness = lab[..., 0]
    face = _inside(points)
    contrast = float(lightness[face].std()) + 1e-3
    upper = _inside(points[points[:, 1] < points[NOSE_TIP, 1]])
    fine = lightness - cv2.GaussianBlur(lightness, (0, 0), DETAIL_PX)
    grid = mouth_grid(points)
    mouth = cv2.remap(lab, *grid, cv2.INTER_LINEAR)
    parts = np.stack([_departure(part) for part in np.array_split(mouth, PARTS, axis=1)])
    flat = parts.reshape(PARTS, -1)
    flat = flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6)
    lip_colour, skin_colour = _colours(lab, points, grid, upper)
    return MouthLook(
        line=_largest(_departure(mouth)) / contrast,
        weakest=min(map(_largest, parts)) / contrast,
        alike=float(((flat @ flat.T).sum() - (flat**2).sum()) / (PARTS * (PARTS - 1))),
        lip_colour=lip_colour,
        skin_colour=skin_colour,
        detail=float(fine[upper].std() / (lightness[upper].std() + 1e-3)),
    )


def _colours(
    lab: np.ndarray, points: np.ndarray, grid: tuple[np.ndarray, np.ndarray], upper: np.ndarray
) -> tuple[float, float]:
    """`lip_colour` and `skin_colour` of a crop in CIELAB. grid: of its mouth; upper: bool, its upper face."""
    colour = cv2.GaussianBlur(lab[..., 1:], (0, 0), COLOUR_PX)
    spread = float(np.linalg.norm(colour[upper].std(0)))
    if spread < COLOURLESS:
        return np.inf, 0.0

    def middle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        pixels = cv2.remap(colour, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
        return np.median(pixels.reshape(-1, 2), axis=0)

    lip_rows = slice(ROWS // 3, 2 * ROWS // 3)
    lips = middle(grid[0][lip_rows], grid[1][lip_rows])
    around, brow = (middle(*points[list(place)].T[..., None]) for place in (AROUND_MOUTH, BROW_SKIN))
    return float(np.linalg.norm(lips - around)) / spread, float(np.linalg.norm(around - brow)) / spread


def mouth_grid(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where to read a mouth: x and y, float32 (ROWS, COLUMNS), of landmarks (478, 2). Rows go from above the
    upper lip to below the lower one, the middle row lies between the lips; columns from corner to corner."""
    half = len(LIPS_INNER) // 2
    along = np.linspace(*SPAN, COLUMNS) * half

    def curve(contour: tuple[int, ...], *, lower: bool) -> np.ndarray:
        chosen = (contour[0], *contour[:half:-1], contour[half]) if lower else contour[: half + 1]
        return np.stack(
            [np.interp(along, np.arange(half + 1), points[list(chosen), axis]) for axis in (0, 1)]
        )

    between = (curve(LIPS_INNER, lower=False) + curve(LIPS_INNER, lower=True)) / 2
    height = np.linspace(-REACH, REACH, ROWS)[:, None]
    up, down = curve(LIPS_OUTER, lower=False) - between, curve(LIPS_OUTER, lower=True) - between
    x, y = (
        between[:, None] + np.maximum(-height, 0) * up[:, None] + np.maximum(height, 0) * down[:, None]
    ).astype(np.float32)
    return x, y


def _departure(part: np.ndarray) -> np.ndarray:
    """How the mean colours of rows (ROWS, n, 3) depart from an even change down the rows: (ROWS, 3)."""
    profile = part.mean(1)
    height = np.linspace(-1, 1, ROWS)
    even = np.stack([height, np.ones(ROWS)], 1)
    return profile - even @ (np.linalg.pinv(even) @ profile)


def _largest(departure: np.ndarray) -> float:
    return float(np.linalg.norm(departure, axis=1).max())


def _inside(points: np.ndarray) -> np.ndarray:
    """The convex hull of points (n, 2) in a crop: bool (CROP_PX, CROP_PX)."""
    mask = np.zeros((CROP_PX, CROP_PX), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(points.astype(np.float32)).astype(np.int32), 1)
    return mask > 0
