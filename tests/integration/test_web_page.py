"""The web page in a real browser, from a clean start: what a person does there, on a desk and on a phone."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import av
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from media_samples import encode_sound
from playwright.sync_api import Browser, Page, expect

from sonimate.media.audio import read_audio

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PLAYS = "video => video.currentTime > 0.3 && video.webkitAudioDecodedByteCount > 0"
PATIENCE_MS = 25_000
"""For a job on a busy machine; everything is waited for, and most of it takes a second."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("web") / "videos"


@pytest.fixture(scope="module")
def address(results: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "sonimate", "web", "--port", "0", "--results", str(results)]
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found, "The server said no address."
        yield found[0]
        server.terminate()
        assert server.wait(20) == 128 + 15


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page, opened by a new visitor. No request may go elsewhere."""
    page = browser.new_page(viewport=DESK, locale="en-US")  # type: ignore[arg-type]
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    expect(page.locator("#animate")).to_be_visible()
    yield page
    own = urlsplit(address).netloc
    assert {urlsplit(url).netloc for url in asked if url.startswith(("http", "ws"))} == {own}
    page.close()


def give(page: Page, where: str, file: Path) -> None:
    page.locator(f"{where} input[type=file]").first.set_input_files(file)


def set_number(page: Page, name: str, value: str) -> None:
    field = page.locator(f"#{name} input[type=number]")
    field.fill(value)
    field.press("Tab")


def animate(page: Page) -> str:
    """Press the button by the keyboard, see progress with the time left, and return the video's address."""
    before = page.evaluate("document.querySelector('#video video')?.src ?? ''")
    page.locator("#animate").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#status progress")).to_be_visible()
    expect(page.locator("#status")).to_contain_text("s left")
    page.wait_for_function(
        "old => ![undefined, '', old].includes(document.querySelector('#video video')?.src)", arg=before
    )
    expect(page.locator("#status [role=status]")).to_contain_text("Done in")
    return str(page.evaluate("document.querySelector('#video video').src"))


def assert_plays(page: Page, where: str) -> None:
    video = page.locator(f"{where} video").first
    video.evaluate("video => video.play()")
    page.wait_for_function(PLAYS, arg=video.element_handle())


def assert_accessible(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    serious = [
        (one["id"], [node["html"][:200] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert not serious


def assert_fits(page: Page) -> None:
    """Nothing stands beside the screen."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_from_a_portrait_to_a_comparison_and_back_after_a_reload(page, results, pair, words):
    give(page, "#portrait", pair)
    faces = page.locator("#faces img")
    expect(page.locator("#face input[type=radio]")).to_have_count(2)
    chosen = int(page.locator("#face input:checked").get_attribute("value"))
    other = 3 - chosen
    box = faces.bounding_box()
    faces.click(position={"x": box["width"] * (0.25, 0.75)[other - 1], "y": box["height"] * 0.5})
    expect(page.locator(f"#face input[type=radio][value='{other}']")).to_be_checked()
    give(page, "#speech", words)
    set_number(page, "size", "256")
    set_number(page, "steps", "2")
    animate(page)
    assert_plays(page, "#video")

    set_number(page, "dynamic_scale", "2")
    page.locator("#background textarea, #background input").fill("transparent")
    animate(page)
    (first,), (second,) = results.glob("*.mp4"), results.glob("*.webm")
    for file in (first, second):
        with av.open(str(file)) as container:
            assert container.streams.audio
            assert container.streams.video[0].width <= 256
    assert_accessible(page)

    page.get_by_role("tab", name="Compare").click()
    expect(page.locator("#compare video")).to_have_count(2)
    expect(page.locator("#differences table")).to_contain_text("Dynamic scale")
    expect(page.locator("#differences table")).to_contain_text("transparent")
    page.locator("#play_both").click()
    for video in page.locator("#compare video").all():
        page.wait_for_function("video => video.currentTime > 0.3", arg=video.element_handle())
    assert_accessible(page)

    page.reload()
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#gallery img")).to_have_count(2)
    page.locator("#gallery button:has(img)").last.click()
    assert_plays(page, "#past")
    assert_accessible(page)


def test_a_running_animation_can_be_stopped(page, results, pair, words, tmp_path):
    before, sound = set(results.glob("*")), read_audio(words)
    long = np.tile(sound.samples, 90)
    encode_sound(tmp_path / "long.wav", long, codec="pcm_s16le", rate_hz=sound.rate_hz)
    give(page, "#portrait", pair)
    give(page, "#speech", tmp_path / "long.wav")
    set_number(page, "size", "256")
    set_number(page, "steps", "50")
    expect(page.locator("#faces img")).to_be_visible()
    page.locator("#animate").click()
    expect(page.locator("#status")).to_contain_text("s left")
    page.locator("#stop").click()
    expect(page.locator("#status [role=status]")).to_have_text("Stopped.")
    assert set(results.glob("*")) == before
    expect(page.locator("#status progress")).to_have_count(0)


def test_wrong_files_get_the_words_of_the_program(page, words, pair, tmp_path):
    broken = tmp_path / "holiday.png"
    broken.write_text("no picture")
    give(page, "#portrait", broken)
    alert = page.locator("#status [role=alert]")
    expect(alert).to_contain_text("holiday.png")
    expect(alert).not_to_contain_text("/")
    page.locator("#animate").click()
    expect(alert).to_contain_text("Add a recording")
    give(page, "#speech", words)
    page.locator("#background textarea, #background input").fill("/etc/passwd")
    page.locator("#animate").click()
    expect(alert).to_contain_text("background")


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="no speech engine")
def test_typed_text_becomes_speech(page):
    page.get_by_role("button", name="Or type what should be said").click()
    page.locator("#words textarea").fill("Hello there.")
    page.locator("#speak").click()
    expect(page.locator("#speech")).to_contain_text("0:01")


def test_on_a_phone_in_chinese(page, address, pair):
    page.set_viewport_size(PHONE)
    page.goto(f"{address}/?lang=zh")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("#animate")).to_have_text("生成视频")
    give(page, "#portrait", pair)
    expect(page.locator("#faces img")).to_be_visible()
    page.locator("#animate").click()
    expect(page.locator("#status [role=alert]")).to_contain_text("请先添加录音")
    assert_fits(page)
    assert_accessible(page)
