"""Numbers -> a printed table, checks against targets, and a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Check:
    """A measured value and the range it should lie in (inclusive; an open side is infinite)."""

    name: str
    value: float
    _: KW_ONLY
    low: float = float("-inf")
    high: float = float("inf")

    @property
    def met(self) -> bool:
        return self.low <= self.value <= self.high

    @property
    def target(self) -> str:
        """The range in words."""
        sides = [f"at least {self.low:g}"] * (self.low > float("-inf"))
        return ", ".join(sides + [f"at most {self.high:g}"] * (self.high < float("inf")))

    def __str__(self) -> str:
        return f"{'met   ' if self.met else 'MISSED'} {self.name}: {self.value:.3g} ({self.target})"

    def as_json(self) -> dict[str, Any]:
        bounds = {"low": self.low, "high": self.high}
        finite = {name: bound for name, bound in bounds.items() if abs(bound) < float("inf")}
        return {"name": self.name, "value": self.value, "met": self.met, **finite}


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as a markdown table, numbers to three digits."""
    header = list(rows[0])
    cells = [header, *[[cell_text(row[name]) for name in header] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def cell_text(value: Any) -> str:
    """A table cell: floats to three decimals, small ones to three digits."""
    if isinstance(value, float):
        return f"{value:.3g}" if 0 < abs(value) < 0.01 or abs(value) >= 1000 else f"{value:.3f}"
    return str(value)


def publish(
    name: str,
    out: Path,
    *,
    rows: Sequence[Mapping[str, Any]],
    checks: Sequence[Check] = (),
    summary: Mapping[str, Any] | None = None,
) -> Path:
    """Print a table, the summary and the checks, and write them to OUT/name.json; returns that path."""
    summary = summary or {}
    print(markdown_table(rows), end="\n\n")
    for key, value in summary.items():
        print(f"{key}: {cell_text(value)}")
    for check in checks:
        print(check)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    content = {"summary": summary, "checks": [check.as_json() for check in checks], "rows": list(rows)}
    path.write_text(json.dumps(content, indent=2) + "\n")
    print(f"written to {path}")
    return path
