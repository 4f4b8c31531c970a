"""`sonimate completion`: what bash completes with the script."""

import shutil
import subprocess
from pathlib import Path

import pytest
import shtab

from sonimate.apps.cli import main
from sonimate.apps.completion import SHELLS


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["anim"], "animate"),
        (["models", "conv"], "convert"),
        (["animate", "--head"], "--head-motion"),
        (["animate", "my p"], "my portrait.png"),
        (["animate", "my portrait.png", "voice.wav", "-o", "my p"], "my portrait.png"),
        (["completion", "z"], "zsh"),
    ],
)
def test_bash_completes(
    typed: list[str], offered: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my portrait.png").touch()
    (tmp_path / "completion.bash").write_text(script("bash", capsys))
    ask = (
        'source completion.bash; COMP_WORDS=(sonimate "$@"); COMP_CWORD=$#; '
        '$(complete -p sonimate | sed "s/.*-F \\([^ ]*\\).*/\\1/"); printf "%s\\n" "${COMPREPLY[@]}"'
    )
    line = ["bash", "--norc", "-c", ask, "bash", *typed]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert offered in done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_name_the_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    assert all(word in text for word in ("sonimate", "animate", "doctor"))


def test_all_shells_of_the_library_are_offered() -> None:
    assert set(SHELLS) == set(shtab.SUPPORTED_SHELLS)
