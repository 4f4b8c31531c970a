"""What a face expresses: 52 scores in [0, 1] by MediaPipe's network, such as jaw open or left eye closed."""

from __future__ import annotations

import numpy as np

from sonimate.face.detect import BundledNetwork, task_network

BLENDSHAPE_LANDMARKS = (
    *(0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67),
    *(70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148),
    *(149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185),
    *(191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295),
    *(296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362),
    *(365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400),
    *(402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477),
)
"""Landmarks that the network of blendshapes reads, in its order (MediaPipe's face_blendshapes_graph)."""
EYE_BLINKS, JAW_OPEN = (9, 10), 25
"""Places of its scores, each in [0, 1]: both eyes closed, jaw open."""


class BlendshapeNetwork:
    """The network `face_blendshapes` of the bundled task file."""

    def __init__(self) -> None:
        content = task_network("face_blendshapes.tflite")
        self._network = BundledNetwork(content, ["StatefulPartitionedCall:0"], 1)

    def __call__(self, landmarks: np.ndarray) -> np.ndarray:
        """Landmarks (n, 478, 3) px -> scores (n, 52)."""
        points = landmarks[:, list(BLENDSHAPE_LANDMARKS), :2].astype(np.float32)
        return np.stack([self._network(face)[0] for face in points])
