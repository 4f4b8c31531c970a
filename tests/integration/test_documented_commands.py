"""Every command of the documents is one that the programs accept; those that take seconds are run."""

import argparse
import ast
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from command import PORTRAIT

from sonimate.apps.cli import build_parser, main

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "src/**/*.md", "examples/**/*.md")
    for path in ROOT.glob(pattern)
)
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))
PLACES = {"PORTRAIT": "portrait.jpg", "AUDIO": "voice.wav"}
"""Words that stand for a file of the reader's, and the file that these tests put in their place."""
PROGRAMS = r"(\.venv/bin/)?(sonimate|make|python|accelerate|pip|pytest)|benchmarks/\w+\.py"
"""Programs whose quoted commands are checked."""
NOT_OURS = {"cp", "sudo", "tensorboard"}
"""Programs whose options are not checked. Any other unknown program in a document fails."""


@dataclass(frozen=True)
class Line:
    """A command of a document: its words, and whether it is quoted within a sentence, perhaps in part."""

    document: str
    words: tuple[str, ...]
    quoted: bool

    def __str__(self) -> str:
        return f"{self.document}: {' '.join(self.words)}"


def shell_lines(text: str) -> Iterator[str]:
    """The commands of a shell block, without comments, with continued lines joined."""
    for line in text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield shlex.join(words)


def commands_of(name: str, text: str) -> Iterator[Line]:
    """Commands in shell blocks and in quoted code."""
    for block in re.findall(r"^```(?:sh|bash)\n(.*?)^```", text, re.M | re.S):
        for line in shell_lines(block):
            yield Line(name, tuple(shlex.split(line)), quoted=False)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for code in re.findall(r"`([^`]+)`", prose):
        words = code.split()
        ours = re.fullmatch(
            r"(\.venv/bin/)?(sonimate|make|python|accelerate|pip|pytest)|benchmarks/\w+\.py", words[0]
        )
        if ours and (len(words) > 1 or words[0].endswith(".py")) and words != ["accelerate", "launch"]:
            for variant in alternatives(words):
                yield Line(name, variant, quoted=True)


def alternatives(words: list[str]) -> Iterator[tuple[str, ...]]:
    """`models list|info` are two commands; "..." stands for other words."""
    words = [word for word in words if word not in ("...", "…")]
    (choice,) = [word for word in words if re.fullmatch(r"[a-z-]+(\|[a-z-]+)+", word)] or [None]
    for one in choice.split("|") if choice else [None]:
        yield tuple(one if one and word == choice else word for word in words)


def documented() -> list[Line]:
    lines = [
        line
        for path in DOCUMENTS
        for line in commands_of(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
    ]
    for script in BENCHMARKS:
        usage = re.findall(rf"^(?:python benchmarks/)?{script.name} (.*)$", script.read_text(), re.M)
        for words in usage:  # after two spaces, what the command does
            words = ("python", f"benchmarks/{script.name}", *words.split("  ")[0].split())
            lines += [Line(f"benchmarks/{script.name}", words, quoted=True)]
    return list(dict.fromkeys(lines))


LINES = documented()


def without_requirements(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The parser, changed so that no argument and no value is required: quoted commands leave some out."""
    for sub in all_parsers(parser):
        for action in sub._actions:
            action.required = False
            action.nargs = {None: "?", "+": "*"}.get(action.nargs, action.nargs)
        for group in sub._mutually_exclusive_groups:
            group.required = False
    return parser


def all_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from all_parsers(sub)


class Parsed(Exception):
    """A benchmark has accepted its options."""


def check_sonimate(words: tuple[str, ...], parser: argparse.ArgumentParser) -> None:
    """The parser takes the words; options that print and exit do so with exit code 0."""
    if {"--help", "--version", "--show-path"} & set(words):
        with pytest.raises(SystemExit, match=r"^0$"):
            parser.parse_args(words)
    else:
        parser.parse_args(words)


def check_benchmark(line: Line, script: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark's own `main` parses the words and is stopped there."""
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser: argparse.ArgumentParser, *arguments: object) -> None:
        parse(without_requirements(parser) if line.quoted else parser, *arguments)  # type: ignore[arg-type]
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    monkeypatch.setattr(sys, "argv", [script, *words])
    with pytest.raises(Parsed):
        runpy.run_path(str(ROOT / script), run_name="__main__")


def check_extras(requirements: tuple[str, ...]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for named in re.findall(r"\[([\w,]+)\]", " ".join(requirements)):
        assert set(named.split(",")) <= set(extras)


def check_make(words: tuple[str, ...]) -> None:
    for target in words:
        run = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("line", LINES, ids=str)
def test_every_documented_command_is_accepted(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    program, *rest = (word.removeprefix(".venv/bin/") for word in line.words)
    words = tuple(rest)
    if program.endswith("/bin/python"):
        program = "python"
    if program == "python" and words[:2] == ("-m", "pip"):
        program, words = "pip", words[2:]
    if program == "accelerate":
        config = words[words.index("--config_file") + 1]
        (shown,) = re.findall(r"\$\(sonimate (.*)\)", config)
        check_sonimate(tuple(shown.split()), build_parser())
        program, words = "sonimate", words[words.index("-m") + 2 :]
    if program == "sonimate":
        check_sonimate(words, without_requirements(build_parser()) if line.quoted else build_parser())
    elif program == "make":
        check_make(words)
    elif program == "pytest":
        assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))
    elif program == "pip":
        check_extras(words)
    elif program in ("python", "benchmarks/" + program.rpartition("/")[2]):
        script, *words = [program, *words] if program != "python" else words
        assert (ROOT / script).is_file()
        if words or not line.quoted:
            check_benchmark(line, script, tuple(words), monkeypatch)
    else:
        assert program in NOT_OURS


def test_the_documents_hold_commands() -> None:
    """So that the tests above cannot pass for want of any."""
    verbs = {line.words[1] for line in LINES if line.words[0].endswith("sonimate")}
    assert {"animate", "models", "prepare", "train"} <= verbs
    assert sum(line.words[0] == "python" for line in LINES) > 10


def test_every_documented_option_exists() -> None:
    """Options that a document names without their command belong to a verb, a benchmark or accelerate."""
    text = "\n".join(path.read_text() for path in (ROOT / "benchmarks").rglob("*.py"))
    known = {option for sub in all_parsers(build_parser()) for option in sub._option_string_actions}
    known |= set(re.findall(r"[\"'](--[\w-]+)[\"']", text))
    for path in DOCUMENTS:
        for code in re.findall(r"`([^`]+)`", path.read_text(encoding="utf-8")):
            if code.startswith("--"):
                wrong = set(re.findall(r"(?<!\S)--[a-z][\w-]*", code)) - known
                assert not wrong, path


@pytest.fixture
def place(tmp_path: Path, words: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that documents name, as the working directory."""
    shutil.copy(PORTRAIT, tmp_path / "portrait.jpg")
    shutil.copy(words, tmp_path / "voice.wav")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def is_quick(line: Line) -> bool:
    """Whether the command takes seconds and needs no files but a portrait, a sound and the bundled model."""
    program, *words = line.words
    if not program.endswith("sonimate") or line.quoted or "--model" in words:
        return False
    if words[:2] == ["models", "download"]:
        return "--accept-licences" not in words
    quick = words[0] in ("completion", "doctor", "faces") or words[:2] == ["models", "list"]
    return quick or words[:3] == ["animate", *PLACES]


RUNNABLE = [line for line in LINES if is_quick(line)]


@pytest.mark.parametrize("line", RUNNABLE, ids=str)
def test_quick_commands_run(line: Line, place: Path) -> None:
    words = [PLACES.get(word, word) for word in line.words[1:]]
    if words[0] == "animate":
        words += ["--size", "256", "--steps", "2"]
    licences_not_accepted = words[:2] == ["models", "download"]
    assert main(words) == (2 if licences_not_accepted else 0)
    if "-o" in words and "--dry-run" not in words and not licences_not_accepted:
        assert (place / words[words.index("-o") + 1]).stat().st_size > 1000


PYTHON_BLOCKS = [
    pytest.param(block, id=f"{path.name}-{index}")
    for path in DOCUMENTS
    for index, block in enumerate(re.findall(r"^```python\n(.*?)^```", path.read_text(), re.M | re.S))
    if "import" in block
]


@pytest.mark.parametrize("block", PYTHON_BLOCKS)
def test_documented_python_runs(block: str, place: Path) -> None:
    tree = ast.parse(block)
    if "owner/name" in block:  # tests/integration/test_hub_models.py runs these against a hub of its own
        tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(tree, "documented", "exec"), {})
    assert (
        "talking.mp4" not in block or "owner/name" in block or (place / "talking.mp4").stat().st_size > 1000
    )
