"""The page of `sonimate study` in a real browser, by keyboard alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from study_process import make_study, serving

from sonimate.apps.user_study.study_plan import QUESTIONS
from sonimate.apps.user_study.votes import VoteFile

playwright_api = pytest.importorskip("playwright.sync_api")
expect = playwright_api.expect
PATIENCE_MS = 60_000
PLAYS = "() => [...document.querySelectorAll('video')].some(video => !video.paused && !video.muted && "
PLAYS += "video.volume === 1 && video.currentTime > 0.1 && video.webkitAudioDecodedByteCount > 0)"


def opened(browser, address: str):
    """A page of a new person, which may ask no other server."""
    expect.set_options(timeout=PATIENCE_MS)
    page = browser.new_context(viewport={"width": 1100, "height": 900}).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("request", lambda request: requests.append(request.url))
    requests: list[str] = []
    page.goto(address)
    expect(page.locator("#task")).to_contain_text("You will see")
    assert all(url.startswith((address, "data:")) for url in requests)
    return page


def look(page, name: str) -> None:
    """Keep a picture for people to look at, where they ask for it."""
    if folder := os.environ.get("STUDY_PICTURES"):
        page.screenshot(path=Path(folder, f"{name}.png"))


def test_two_people_rate_by_keyboard_alone_while_the_server_is_killed(browser, tmp_path):
    videos = make_study(tmp_path / "videos")
    file = VoteFile(videos / "votes.sqlite")
    with serving(videos) as (process, address):
        port = int(address.rstrip("/").rpartition(":")[2])
        pages = [opened(browser, address) for _ in range(2)]
        look(pages[0], "start")
        assert pages[0].locator("video").count() == 0
        for page in pages:
            page.keyboard.press("Enter")
            page.wait_for_function(PLAYS)
        look(pages[0], "rate")
        for key in "1234":  # the first video, both people by turns
            for page in pages:
                page.keyboard.press(key)
        for page in pages:
            expect(page.locator("#progress")).to_have_text("2 of 4")
            expect(page.locator("#saved")).to_have_text("saved")
        pages[0].keyboard.press("5")
        pages[0].keyboard.press("Backspace")
        pages[0].keyboard.press("2")  # corrected
        expect(pages[0].locator("fieldset[aria-current] span").first).to_have_text("motion diversity")
        process.send_signal(signal.SIGKILL)
        process.wait()
        for page in pages:
            page.keyboard.press("3")
            expect(page.locator("#saved")).to_contain_text("sent again")
        look(pages[0], "away")
    with serving(videos, port=port) as (process, _):
        for page in pages:
            expect(page.locator("#saved")).to_have_text("saved")
            page.wait_for_function(PLAYS)
            expect(page.locator("#broken")).to_be_hidden()
        pages[1].reload()
        expect(pages[1].locator("#task")).to_contain_text("You will see 4 videos")
        pages[1].keyboard.press(" ")
        expect(pages[1].locator("#progress")).to_have_text("2 of 4")
        for page in pages:
            while page.locator("#end").is_hidden():
                page.keyboard.press("4")
            expect(page.locator("#saved")).to_have_text("saved")
            page.wait_for_function("() => JSON.parse(localStorage.getItem('votes to send')).length === 0")
        look(pages[0], "end")
    votes = file.all()
    assert len(votes) == 2 * 4 * len(QUESTIONS)
    values = [
        sorted(vote.value for vote in votes if vote.rater == rater) for rater in {v.rater for v in votes}
    ]
    assert sorted(values) == sorted(
        [sorted([1, 2, 3, 4, 2, 3] + [4] * 10), sorted([1, 2, 3, 4, 3] + [4] * 11)]
    )


def test_choosing_by_arrows_with_one_sound_at_a_time(browser, tmp_path):
    videos = make_study(tmp_path / "videos")
    with serving(videos, "--choose") as (_, address):
        page = opened(browser, address)
        page.keyboard.press("x")
        page.wait_for_function(PLAYS)
        expect(page.locator("video").nth(0)).to_have_class("plays")
        page.keyboard.press(" ")
        expect(page.locator("video").nth(1)).to_have_class("plays")
        page.wait_for_function(PLAYS)
        assert (
            page.evaluate("() => [...document.querySelectorAll('video')].filter(v => !v.paused).length") <= 1
        )
        look(page, "choose")
        for key in ["ArrowLeft", "ArrowRight", "1", "2"] * 2:
            page.keyboard.press(key)
        expect(page.locator("#end")).to_be_visible()
        expect(page.locator("#saved")).to_have_text("saved")
        page.wait_for_function("() => JSON.parse(localStorage.getItem('votes to send')).length === 0")
    assert len(VoteFile(videos / "votes.sqlite").all()) == 2 * len(QUESTIONS)
