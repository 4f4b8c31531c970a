"""The service refuses what is malformed, and nothing is left: some of benchmarks/service_malformed.py."""

import pytest

from lib.malformed_requests import KINDS, Malformed, is_whole
from service_malformed import main


def test_malformed_requests_are_refused_and_leave_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cases", f"{4 * len(KINDS)}"]) == 0, capsys.readouterr().out


def test_a_case_is_always_the_same_request(tmp_path) -> None:
    first, second = Malformed(tmp_path), Malformed(tmp_path)
    assert [first.request(case) for case in range(20)] == [second.request(case) for case in range(20)]
    assert is_whole(first.good())
    assert not is_whole(first.good()[:-1])
