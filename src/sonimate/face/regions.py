"""Names of landmarks of MediaPipe's face mesh, and the basic lengths of a face.

"Right" and "left" are the subject's. Landmarks 0 to 467 are the mesh, 468 to 477 the irises.
"""

from __future__ import annotations

import numpy as np

VERTEX_COUNT = 468
LANDMARK_COUNT = 478

FOREHEAD, CHIN = 10, 152
NOSE_TIP = 4
UPPER_LIP_INNER, LOWER_LIP_INNER = 13, 14
UPPER_LIP_OUTER, LOWER_LIP_OUTER = 0, 17
MOUTH_CORNER_RIGHT, MOUTH_CORNER_LEFT = 61, 291
LIPS_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
"""Inner lip contour: right corner, along the upper lip to the left corner, back along the lower lip."""
LIPS_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
"""Outer lip contour, in the order of LIPS_INNER."""
LIPS_BETWEEN = (
    (62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292, 325, 319, 403, 316, 15, 86, 179, 89, 96),
    (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306, 307, 320, 404, 315, 16, 85, 180, 90, 77),
)
"""Two contours from the inner to the outer one, in their order."""
UPPER_VERMILION = (0, 37, 267, 39, 269, 40, 270, 185, 409)
LOWER_VERMILION = (17, 84, 314, 181, 405, 91, 321, 146, 375)
LOWER_LIP_INNER_EDGE = (14, 87, 317, 178, 402, 88, 318, 95, 324)

RIGHT_EYE = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
"""Contour of the eye: outer corner, upper lid, inner corner, lower lid."""
LEFT_EYE = (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249)
RIGHT_EYE_OUTER, LEFT_EYE_OUTER = RIGHT_EYE[0], LEFT_EYE[0]
EYE_CORNER_COUNT = 8
"""Steps along an eye's contour from its outer to its inner corner."""
RIGHT_UPPER_LID, RIGHT_LOWER_LID = 159, 145
LEFT_UPPER_LID, LEFT_LOWER_LID = 386, 374
LID_PAIRS = ((160, 144), (158, 153), (387, 373), (385, 380))
"""Points of upper and lower lid that meet in a blink, two pairs an eye, right eye first."""
RIGHT_LID_FOLD = (247, 30, 29, 27, 28, 56, 190)
LEFT_LID_FOLD = (467, 260, 259, 257, 258, 286, 414)
"""The skin fold above each upper lid, in the order of RIGHT_EYE and LEFT_EYE."""
RIGHT_IRIS, LEFT_IRIS = 468, 473
"""Centres; the four landmarks after each are its right, top, left and bottom."""
MIRRORED_IRISES = (473, 476, 475, 474, 477, 468, 471, 470, 469, 472)
"""Counterparts of landmarks 468 to 477."""

RIGHT_BROW, LEFT_BROW = 105, 334
BROW_SKIN = (9, 151, 108, 337, 107, 336, 6)
"""Skin above and between the brows."""
AROUND_MOUTH = (164, 18, 200, 92, 322, 204, 424, 57, 287)
"""Skin around the lips: below the nose, beside the corners, and on the chin."""
CHEEKS = (50, 280, 205, 425, 101, 330)


def face_height(landmarks: np.ndarray) -> np.ndarray:
    """Distance from forehead to chin of faces (n, v, d), in their unit: (n,)."""
    return np.linalg.norm(landmarks[:, FOREHEAD] - landmarks[:, CHIN], axis=1)


def mouth_opening(landmarks: np.ndarray) -> np.ndarray:
    """Distance between the middles of the inner lips of faces (n, v, d), in face heights: (n,)."""
    gap = np.linalg.norm(landmarks[:, UPPER_LIP_INNER] - landmarks[:, LOWER_LIP_INNER], axis=1)
    return gap / face_height(landmarks)
