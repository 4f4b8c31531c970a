"""Loading a face network prints nothing of LiteRT's, and hides nothing else."""

import subprocess
import sys

PROGRAM = """
import os
from sonimate.face import detect
load = detect.Interpreter
detect.Interpreter = lambda **given: (os.write(2, b"another line\\n"), load(**given))[1]
detect.FaceDetector()
detect.FaceDetector()
"""


def test_the_line_of_the_delegate_is_left_out() -> None:
    """In a process of its own: LiteRT prints the line once, and Python's own standard error is not enough."""
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=250)
    assert (run.returncode, run.stderr) == (0, "another line\n" * 2)
