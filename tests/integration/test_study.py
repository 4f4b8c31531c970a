"""`sonimate study`: its plan, its votes over HTTP and through a killed server, and its table."""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from study_process import SYSTEMS, make_study, serving

from sonimate.apps.cli import main
from sonimate.apps.user_study.study_plan import QUESTIONS, plan_study
from sonimate.apps.user_study.study_table import study_table
from sonimate.apps.user_study.votes import Vote, VoteFile


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("study") / "videos", clips=4)


def ask(address: str, rater: str = "new") -> dict:
    with urlopen(f"{address}trials?rater={rater}", timeout=60) as answer:
        return json.load(answer)


def send(address: str, **vote: object) -> int:
    request = Request(f"{address}votes", json.dumps(vote).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        return answer.status


def answers(study: dict) -> list[dict]:
    """All votes of a rater, of values that depend on the video."""
    return [
        {
            "rater": study["rater"],
            "videos": trial["videos"],
            "question": question,
            "value": 1 + int(trial["videos"][0], 16) % (5 if study["mode"] == "rate" else 2),
        }
        for trial in study["trials"]
        for question in QUESTIONS
    ]


def test_every_rater_sees_every_video_once_in_an_order_of_their_own(videos):
    plan = plan_study(videos, "rate")
    assert plan.systems == SYSTEMS
    orders = [[shown[0].token for shown in plan.trials(str(rater))] for rater in range(4)]
    assert all(sorted(order) == sorted(plan.by_token) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert orders[0] == [shown[0].token for shown in plan_study(videos, "rate").trials("0")]


def test_each_system_stands_first_as_often(videos):
    plan = plan_study(videos, "choose")
    first = Counter(trial[0].system for rater in range(100) for trial in plan.trials(str(rater)))
    assert set(first) == set(SYSTEMS)
    assert 140 < first["alpha"] < 260
    assert all(a.clip == b.clip and a.system != b.system for a, b in plan.trials("0"))


def test_what_the_page_hears_names_no_system_and_no_clip(videos):
    with serving(videos, "--votes", str(videos / "names.sqlite")) as (_, address):
        study = ask(address)
        video = urlopen(f"{address}videos/{study['trials'][0]['videos'][0]}", timeout=60)
        heard = json.dumps(study) + str(video.headers) + urlopen(address, timeout=60).read().decode()
        video.close()
        part = urlopen(
            Request(f"{address}videos/{study['trials'][0]['videos'][0]}", headers={"Range": "bytes=4-7"}),
            timeout=60,
        )
        assert (part.status, part.read()) == (206, b"ftyp")
        for wrong in ({"value": 6}, {"value": 0}, {"question": "beauty"}, {"videos": ["0" * 16]}):
            with pytest.raises(HTTPError, match=r"4\d\d"):
                send(address, **answers(study)[0] | wrong)
    assert not [word for word in (*SYSTEMS, "clip_", "portrait") if word in heard]


def test_raters_at_once_lose_no_vote_and_neither_does_a_killed_server(videos, tmp_path):
    """Four people vote at once; the server is killed while they do, and started again."""
    file = VoteFile(tmp_path / "votes.sqlite")
    options = ("--votes", str(file.path))
    sent: list[dict] = []
    half = threading.Event()

    def rate(votes: list[dict]) -> None:
        for vote in votes:
            try:
                send(address, **vote)
            except OSError:
                return
            sent.append(vote)
            if len(sent) >= 40:
                half.set()

    with serving(videos, *options) as (process, address), ThreadPoolExecutor(4) as people:
        studies = [ask(address) for _ in range(4)]
        todo = [answers(study) for study in studies]
        voting = [people.submit(rate, votes) for votes in todo]
        assert half.wait(120)
        process.send_signal(signal.SIGKILL)
        for one in voting:
            one.result()
    assert len(sent) >= 40
    kept = {(vote.rater, vote.clip, vote.first, vote.question): vote.value for vote in file.all()}
    plan = plan_study(videos, "rate")
    for vote in sent:
        shown = plan.by_token[vote["videos"][0]]
        assert kept[vote["rater"], shown.clip, shown.system, vote["question"]] == vote["value"]
    with serving(videos, *options) as (process, address):
        again = [ask(address, study["rater"]) for study in studies]
        assert sum(len(trial["answers"]) for study in again for trial in study["trials"]) == len(kept)
        for before, after in zip(studies, again, strict=True):
            assert [trial["videos"] for trial in before["trials"]] == [t["videos"] for t in after["trials"]]
        with ThreadPoolExecutor(4) as people:
            list(people.map(rate, todo))
        process.send_signal(signal.SIGINT)
        assert process.stdout
        table = process.stdout.read()
        assert process.wait(60) == 0
    assert len(file.all()) == 4 * 8 * len(QUESTIONS)
    assert "128 votes, 4 raters, 4 clips" in table
    assert "| 1.00 | 1.00 | 1.00 | 1.00 |" in table.splitlines()[-1]


def test_choices_are_stored_by_system_whichever_stood_first(videos, tmp_path, capsys):
    file = tmp_path / "choices.sqlite"
    plan = plan_study(videos, "choose")
    with serving(videos, "--choose", "--votes", str(file)) as (_, address):
        for _ in range(3):
            study = ask(address)
            for vote in answers(study):
                places = [plan.by_token[token].system for token in vote["videos"]]
                assert send(address, **vote | {"value": 1 + places.index("beta")}) == 200
            seen = ask(address, study["rater"])["trials"]
            assert {trial["videos"][trial["answers"]["motion"] - 1] for trial in seen} == {
                shown.token for shown in plan.videos if shown.system == "beta"
            }
    assert main(["study", str(videos), "--report", "--votes", str(file)]) == 0
    assert "| alpha over beta | 0 % [0, 0] |" in capsys.readouterr().out


def test_the_table_of_known_votes():
    votes = [
        Vote(rater, clip, system, "", question, value + (rater == "b" and clip == "2"))
        for rater in "ab"
        for clip in "123"
        for system, value in (("one", 2), ("two", 4))
        for question in QUESTIONS
    ]
    table = study_table(votes)
    assert "| one | 2.17 [2.00, " in table
    assert "| two | 4.17 [4.00, " in table
    assert "alpha, ordinal)* | 0.87 |" in table


def test_bad_folders_are_named(videos, tmp_path, capsys):
    assert main(["study", str(tmp_path)]) == 2
    assert "folder of its own" in capsys.readouterr().err
    for system in ("a", "b"):
        (tmp_path / system).mkdir()
        (tmp_path / system / f"{system}.mp4").touch()
    assert main(["study", str(tmp_path)]) == 2
    assert "No clip is in all of a, b" in capsys.readouterr().err
    (tmp_path / "b/a.avi").touch()
    assert main(["study", str(tmp_path)]) == 2
    assert "Convert it to mp4" in capsys.readouterr().err
    assert main(["study", str(tmp_path), "--report"]) == 2
    assert "without --report first" in capsys.readouterr().err
    assert not (tmp_path / "votes.sqlite").exists()
