"""HEIC pictures, as iPhones make them, are read upright."""

from base64 import b64decode
from pathlib import Path

import numpy as np

from sonimate.media.image import read_image

SIDEWAYS = (
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAaFtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAA"
    "AAAAAAAAAAADRpbG9jAAAAAERAAAIAAQAAAAABxQABAAAAAAAAAEUAAgAAAAACCgABAAAAAAAAACQAAAA4aWluZgAA"
    "AAAAAgAAABVpbmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAAA4Glwcn"
    "AAAADAaXBjbwAAAHhodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroC"
    "QGEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoDCBBZbqSSmubgIaDAgAAAMAyAAAAwAIQGIAAQAHRAHBcrAiQAAAABNjb2"
    "xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABgAAAAQAAAABBwaXhpAAAAAAMICAgAAAAJaXJvdAMAAAAYaXBtYQAA"
    "AAAAAAABAAEFgQIDBIUAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAAHFtZGF0AAAAQSgBrxOAfB+zwueBP//YlR"
    "/+3Pnh93QXbX+swLDXdYkBziodXFSVsIccVZXlOSawrnTwfWBwxvhDzL/l3ptDtsncAAAABkV4aWYAAE1NACoAAAAI"
    "AAEBEgADAAAAAQAGAAAAAAAA"
)
"""96 x 64 px, the left half red and the right one blue, to be shown turned clockwise by 90 degrees. Made with
pillow-heif 1.8.1: Image.new and paste, EXIF orientation 6, quality 50."""


def test_a_heic_picture_is_read_upright(tmp_path: Path) -> None:
    (tmp_path / "IMG_0001.HEIC").write_bytes(b64decode(SIDEWAYS))
    pixels = read_image(tmp_path / "IMG_0001.HEIC").astype(int)
    assert pixels.shape == (96, 64, 3)
    np.testing.assert_allclose(pixels[:40].mean((0, 1)), (200, 40, 40), atol=6)
    np.testing.assert_allclose(pixels[-40:].mean((0, 1)), (40, 40, 200), atol=6)
