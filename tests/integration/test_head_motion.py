"""The head moves as much as it is asked to, and is measured where it is drawn."""

from dataclasses import replace

import numpy as np
import pytest
from faces import codec, example
from media_samples import EXAMPLES

from sonimate.codecs.mesh.motion import Motion
from sonimate.configs import COMPACT, MotionOptions
from sonimate.evaluate.generation import generate_motion
from sonimate.face.mesh import FaceMesh, select_face
from sonimate.face.pose import apply_motion, to_image
from sonimate.face.regions import VERTEX_COUNT, face_height
from sonimate.inputs import read_portrait
from sonimate.media.audio import read_audio
from sonimate.pipeline import SonicPipeline
from sonimate.types import Waveform

BUCKETS = (0, 8, 16, 32, 64, 96, 128)


@pytest.fixture(scope="module")
def pipeline() -> SonicPipeline:
    return SonicPipeline.from_pretrained("compact", device="cpu")


@pytest.mark.parametrize("name", ["obama", "mona_lisa"])
def test_head_movement_as_drawn_grows_over_the_whole_range(name: str, pipeline: SonicPipeline) -> None:
    """Obama's picture has least room around the head, Mona Lisa's most."""
    portrait = read_portrait(EXAMPLES / f"portraits/{name}.jpg", size=256)
    sound = Waveform(read_audio(EXAMPLES / "speech/librivox_ss_0890.wav").samples[:48_000], 16_000)
    options = replace(COMPACT, seed=1)
    degrees = []
    for bucket in BUCKETS:
        motion = MotionOptions(head_motion=bucket)
        curves = generate_motion(pipeline, portrait, sound, sampling=options, motion=motion).curves
        degrees.append(np.sqrt(curves.rotation.var(0).sum()))
    assert np.all(np.diff(degrees) > 0)
    assert degrees[BUCKETS.index(64)] > 2 * degrees[BUCKETS.index(16)]
    assert degrees[-1] > 1.05 * degrees[BUCKETS.index(64)]


def test_measured_landmarks_are_where_the_drawn_face_is() -> None:
    """A head motion larger than the picture has room for: in the drawn pixels the face is found where it was
    measured, and not where the motion alone would put it."""
    portrait = example("obama")
    warp = codec().encode_reference(portrait).context
    expression = np.zeros((1, len(codec().basis)))
    motion = Motion(expression, np.array([[0.05, 0.35, 0.0, 1.5, 0.5, 0.0]]))
    measured = codec().resolve(motion, warp).landmarks
    (frame,) = codec().render(motion, warp)
    found = select_face(FaceMesh(num_threads=1).find(frame)).landmarks[None].astype(float)
    undamped = to_image(warp.vertices[None], apply_motion(warp.pose, motion.head))
    height = float(face_height(measured)[0])

    def distance(landmarks: np.ndarray) -> float:
        """Mean distance to the landmarks found, in face heights."""
        away = (landmarks - found)[0, :VERTEX_COUNT, :2]
        return float(np.linalg.norm(away, axis=1).mean()) / height

    assert distance(measured) < 0.03
    assert distance(undamped) > 2 * distance(measured)
