"""One meaning a name, one home a concept: the documents and the picture show the packages that exist."""

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "sonimate"
MODULES = sorted(PACKAGE.rglob("*.py"))
TEXTS = sorted(
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "src/**/*",
        "benchmarks/**/*",
        "tests/**/*.py",
        "Makefile",
        ".ci/*",
    )
    for path in ROOT.glob(pattern)
    if path.suffix in {".md", ".py", ".yaml", ".tsv", ""} and path.is_file()
)
SAME_NAME = {
    "add_parser": "every verb adds its own options",
    "run": "every verb carries out its own command line",
}
"""Public names that several modules may define, and why."""


def parts() -> set[str]:
    """The packages and modules directly below sonimate."""
    children = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    return children - {"__init__", "__main__"}


def test_no_two_files_of_the_package_share_a_name() -> None:
    files: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        if path.name not in {"__init__.py", "__main__.py"}:
            files[path.name].append(str(path.relative_to(PACKAGE)))
    assert not [paths for paths in files.values() if len(paths) > 1]


def test_no_two_public_classes_or_functions_share_a_name() -> None:
    homes: dict[str, set[str]] = defaultdict(set)
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                homes[node.name].add(str(path.relative_to(PACKAGE)))
    twice = {name: paths for name, paths in homes.items() if len(paths) > 1}
    assert not {name: paths for name, paths in twice.items() if name not in SAME_NAME}
    assert set(SAME_NAME) <= set(twice), "an allowed name that nobody needs"


def test_files_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in MODULES}
    assert not {path: lines for path, lines in lengths.items() if lines > 350}


def test_nothing_points_to_modules_as_commands() -> None:
    """Users run `sonimate VERB`; `python -m sonimate` alone is the same command."""
    wrong = re.compile(r"-m sonimate\.\w")
    assert not [path for path in TEXTS if path != Path(__file__) and wrong.search(path.read_text())]
    assert [path for path in MODULES if path.name == "__main__.py"] == [PACKAGE / "__main__.py"]


def test_every_answer_of_the_architecture_page_exists() -> None:
    rows = re.findall(r"^\| (.+\?) \| (.+) \|$", (ROOT / "docs/architecture.md").read_text(), re.M)
    assert len(rows) >= 20
    for question, answer in rows:
        paths = [word for word in re.findall(r"`([^`]+)`", answer) if "/" in word]
        assert paths, question
        assert not [path for path in paths if not (ROOT / path).exists()], question


def test_the_picture_shows_the_floors_that_the_import_rules_enforce() -> None:
    """Boxes lie on the floor of their layer, and layers below lie lower in the picture."""
    picture = (ROOT / "docs/images/architecture.svg").read_text()
    heights = {name: float(y) for y, name in re.findall(r'y="([\d.]+)" class="name">(\w+)</text>', picture)}
    assert set(heights) == parts()
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    floors = [{heights[name] for name in re.findall(r"\w+", layer)} for layer in layers]
    assert all(len(floor) == 1 for floor in floors)
    flat = [floor.pop() for floor in floors]
    assert flat == sorted(set(flat))


def test_the_design_page_lists_the_packages_that_exist() -> None:
    (layout,) = re.findall(r"^src/sonimate/\n(.*?)^```", (ROOT / "docs/design.md").read_text(), re.M | re.S)
    lines = [line for line in layout.splitlines() if re.match(r"  \w", line)]
    names = [name for line in lines for name in re.split(r"\s{2,}", line.strip())[0].split()]
    listed = {name.removesuffix(".py").removesuffix("/") for name in names}
    assert listed == parts() | {"bundled"}


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.md")) + sorted(ROOT.glob("*.md")), ids=str)
def test_links_of_the_documents_lead_to_files(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", path.read_text()):
        assert target.startswith("http") or (path.parent / target).exists(), target


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=str)
def test_paths_that_the_documents_quote_exist(path: Path) -> None:
    """`face/crop.py` is below src/sonimate; other paths start at the repository."""
    planned = path.read_text().partition("\n## 8. Planned")[0]
    for code in re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|md|yaml|tsv|json))`", planned):
        if not re.match(r"(SHARDS|RUN|OUT|MODEL|FILES|DATA|out|unet|vae|image_encoder|audio_encoder)/", code):
            assert (ROOT / code).exists() or (PACKAGE / code).exists(), code
