"""A job has the options of `sonimate animate`, from the same table."""

import json

import pytest

from sonimate.apps.cli import parse
from sonimate.apps.jobs.job_options import Job, job_arguments, job_of_line, option_schema
from sonimate.errors import InvalidJob


def arguments(**options: object) -> dict[str, object]:
    found = vars(job_arguments(Job(portrait="p", audio="a", output="o.mp4", options=options)))
    return {name: value for name, value in found.items() if name != "started"}


def test_a_job_means_what_the_command_line_means():
    line = "animate p a -o o.mp4 -y --head-motion 64 --crop --face-box 1,2,3.5,4 --start 0.5 --gaze=-8,0"
    options = {"head_motion": 64, "crop": True, "face_box": [1, 2, 3.5, 4], "start": 0.5, "gaze": [-8, 0]}
    assert arguments(**options, force=False) == vars(parse(line.split()))


def test_speakers_and_signatures_are_options_with_files():
    line = "animate p -o o.mp4 -y --speaker 2=b.wav --speaker 1=./- --c2pa cert key"
    options = {"speaker": {"2": "b.wav", "1": "-"}, "c2pa": ["cert", "key"]}
    job = job_of_line({"portrait": "p", "output": "o.mp4", **options}, folder=".")
    args = vars(job_arguments(job))
    assert {name: args[name] for name in args if name != "started"} == vars(parse(line.split()))
    assert job.inputs == ["p", "b.wav", "-", "cert", "key"]
    with pytest.raises(InvalidJob, match="not both"):
        job_of_line({"portrait": "p", "audio": "a", "output": "o.mp4", **options}, folder=".")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stepz": 3}, "stepz.*Choose from.*steps"),
        ({"steps": "3"}, "steps.*wrong type"),
        ({"steps": True}, "steps.*wrong type"),
        ({"steps": 0}, "1 to 1000"),
        ({"head_motion": float("nan")}, "wrong type"),
        ({"output": "x.mp4"}, "output"),
        ({"face": 1, "face_box": [0, 0, 9, 9]}, "not allowed with"),
        ({"face_box": [0, 0, 9]}, "X0,Y0,X1,Y1"),
        ({"dtype": "float64"}, "float64"),
        ({"head_motion": 10**400}, "0 to"),
        ({"speaker": {}}, "speaker.*wrong type"),
        ({"speaker": {"1": 2}}, "speaker.*wrong type"),
        ({"speaker": {"first": "a.wav"}}, "number of a face"),
        ({"speaker": {"1": "a\0b"}}, "speaker.*wrong type"),
        ({"c2pa": ["cert"]}, "c2pa.*wrong type"),
        ({"c2pa": ["cert", "key", "more"]}, "c2pa.*wrong type"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InvalidJob, match=message):
        arguments(**options)


def test_clients_may_not_choose_the_machine():
    job = Job(portrait="p", audio="a", output="o.mp4", options={"model": "/etc"})
    with pytest.raises(InvalidJob, match="model"):
        job_arguments(job, for_client=True)
    allowed = option_schema(for_clients=True)["properties"]
    assert "steps" in allowed
    assert "crop" in allowed
    assert not {"model", "device", "speaker", "c2pa"} & set(allowed)


@pytest.mark.parametrize("background", ["/etc/passwd", "a.png", "../portrait", "#12345", "#1234567", "", 5])
def test_clients_may_choose_a_colour_and_no_file(background):
    for allowed in ("keep", "transparent", "green", "#00b140"):
        job = Job(portrait="p", audio="a", output="o.webm", options={"background": allowed})
        assert job_arguments(job, for_client=True).background == allowed
    job = Job(portrait="p", audio="a", output="o.mp4", options={"background": background})
    with pytest.raises(InvalidJob, match="background"):
        job_arguments(job, for_client=True)


def test_the_owner_of_a_list_may_choose_a_picture():
    assert arguments(background="beach.png")["background"] == "beach.png"


def test_the_schema_has_types_limits_and_help():
    options = json.loads(json.dumps(option_schema()))["properties"]
    assert options["steps"] | {"description": ""} == {
        "type": "integer",
        "minimum": 1,
        "maximum": 1000,
        "description": "",
    }
    assert options["crop"]["type"] == "boolean"
    assert option_schema()["dependentSchemas"]["face"] == {
        "properties": {"face_box": False, "speaker": False}
    }
    assert all(option["description"] for option in options.values())


def test_a_line_without_a_portrait_is_refused():
    with pytest.raises(InvalidJob, match="portrait"):
        job_of_line({"audio": "a", "output": "o"}, folder=".")


def test_files_whose_names_look_like_options_are_files():
    args = job_arguments(Job(portrait="--crop", audio="-", output="-o"))
    assert (args.portrait, args.audio, args.output) == ("--crop", "./-", "-o")
