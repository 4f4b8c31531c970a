"""No engine runs here: what can be checked of the container's files without one."""

import json
import re
from pathlib import Path

import yaml

from sonimate.apps.cli import parse

ROOT = Path(__file__).parents[2]
IMAGE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())


def test_the_commands_are_commands_of_sonimate():
    command = re.search(r"^CMD (.*)$", IMAGE, re.MULTILINE)
    assert command
    for words in (json.loads(command[1]), COMPOSE["services"]["sonimate"]["command"]):
        args = parse(words[1:])
        assert (words[0], args.command, args.host, args.data) == (
            "sonimate",
            "serve",
            "0.0.0.0",
            Path("/data"),
        )
        assert f"EXPOSE {args.port}" in IMAGE
        assert f"127.0.0.1:{args.port}/readyz" in IMAGE


def test_what_the_image_copies_and_installs_exists():
    ignored = (ROOT / ".dockerignore").read_text().split()
    for line in re.findall(r"^COPY (.*) \S+$", IMAGE, re.MULTILINE):
        for name in line.split():
            assert (ROOT / name).exists()
            assert name not in ignored
    torch = re.search(r"^TORCH := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert torch
    assert f"install --no-cache-dir {torch[1]} '.[web]'" in IMAGE


def test_compose_names_what_it_declares():
    services = COMPOSE["services"]
    assert set(services["sonimate"]["depends_on"]) < set(services)
    for service in services.values():
        assert {volume.split(":")[0] for volume in service["volumes"]} <= set(COMPOSE["volumes"])
