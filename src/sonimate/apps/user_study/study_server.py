"""The page of a study over HTTP: it gives a rater the trials in their order, and takes the votes."""

from __future__ import annotations

import secrets
from importlib.resources import files
from typing import Annotated, Literal

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, HTMLResponse
from pydantic import BaseModel, Field

from sonimate.apps.user_study.study_plan import MOST, QUESTIONS, Shown, StudyPlan
from sonimate.apps.user_study.votes import Vote, VoteFile

Token = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "media-src 'self'; connect-src 'self'"
)
"""The page asks no other server for anything."""


class SentVote(BaseModel):
    """videos: tokens, in the order in which they were shown. value: 1 to 5, or which of two is better."""

    rater: Token
    videos: Annotated[list[Token], Field(min_length=1, max_length=2)]
    question: Literal["lip-sync", "motion", "identity", "smoothness"]
    value: Annotated[int, Field(ge=1, le=5)]


def study_app(plan: StudyPlan, votes: VoteFile) -> FastAPI:
    """The application. It keeps nothing in memory that the votes do not hold."""
    app = FastAPI(title="sonimate study", docs_url=None, redoc_url=None, openapi_url=None)
    page = files("sonimate.apps.user_study").joinpath("study_page.html").read_text(encoding="utf-8")

    @app.get("/")
    def start() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})

    @app.get("/trials")
    def trials(rater: Token | Literal["new"]) -> dict[str, object]:
        known = secrets.token_hex(8) if rater == "new" else rater
        given = {(vote.clip, vote.first, vote.second, vote.question): vote for vote in votes.of_rater(known)}
        shown = [
            {
                "videos": [video.token for video in trial],
                "answers": {
                    question: _turned(trial, found.value)
                    for question in QUESTIONS
                    if (found := given.get((trial[0].clip, *_systems(trial), question)))
                },
            }
            for trial in plan.trials(known)
        ]
        return {"rater": known, "mode": plan.mode, "questions": QUESTIONS, "trials": shown}

    @app.post("/votes")
    def vote(sent: SentVote) -> dict[str, str]:
        trial = tuple(_video(plan, token) for token in sent.videos)
        if len(trial) != (2 if plan.mode == "choose" else 1) or sent.value > MOST[plan.mode]:
            raise HTTPException(422, "This is no vote of this study.")
        if len({video.clip for video in trial}) > 1 or len({video.system for video in trial}) < len(trial):
            raise HTTPException(422, "These two videos are not shown together.")
        value = _turned(trial, sent.value)
        votes.put(Vote(sent.rater, trial[0].clip, *_systems(trial), sent.question, value))
        return {"status": "stored"}

    @app.get("/videos/{token}")
    def video(token: Token) -> FileResponse:
        return FileResponse(_video(plan, token).path, headers={"Cache-Control": "private"})

    del start, trials, vote, video  # the application holds them
    return app


def _video(plan: StudyPlan, token: str) -> Shown:
    if token not in plan.by_token:
        raise HTTPException(404, "This study has no such video.")
    return plan.by_token[token]


def _systems(trial: tuple[Shown, ...]) -> tuple[str, str]:
    """As votes name them: one and nothing, or two in the order of their names."""
    names = sorted(video.system for video in trial)
    return names[0], names[1] if len(names) > 1 else ""


def _turned(trial: tuple[Shown, ...], value: int) -> int:
    """From the order in which two were shown to that of their names, and back. Ratings stay."""
    return 3 - value if len(trial) == 2 and trial[0].system > trial[1].system else value
