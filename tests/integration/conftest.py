import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import SPEECH
from media_samples import EXAMPLES, encode_sound
from PIL import Image

from sonimate.media.audio import read_audio, resample


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.3 s of speech, 48 kHz."""
    samples = resample(read_audio(SPEECH).samples[8_000:28_800], 16_000, 48_000)
    return encode_sound(
        tmp_path_factory.mktemp("sound") / "words.wav", samples, codec="pcm_s16le", rate_hz=48_000
    )


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people side by side, at x = 100 and 300 of 400 x 240 px."""
    path = tmp_path_factory.mktemp("pair") / "pair.png"
    page = Image.new("RGB", (400, 240))
    boxes = {"astronaut_collins": (130, 0, 330, 240), "mona_lisa": (150, 0, 650, 600)}
    for place, (name, box) in enumerate(boxes.items()):
        part = Image.open(EXAMPLES / f"portraits/{name}.jpg").crop(box).resize((200, 240))
        page.paste(part, (200 * place, 0))
    page.save(path)
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright."""
    playwright_api = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed: apt install chromium")
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
