"""The gateway's WebSocket against Autobahn's suite, case by case; and the suite itself, where there is none to run."""

from pathlib import Path

import pytest

from tests.conformance.autobahn import suite
from tests.conformance.autobahn.listener import echoing


@pytest.fixture(scope="module")
def python() -> str:
    """Give a Python that runs the suite; a test that needs it skips without it."""
    try:
        found = suite.find_python()
    except suite.MissingError as error:
        pytest.skip(str(error))
    if not suite.is_installed():
        pytest.skip("needs Autobahn's suite, which make test and make autobahn install")
    return found


@pytest.mark.timeout(85)
async def test_every_case_behaves_as_it_always_did(python: str, tmp_path: Path) -> None:
    async with echoing() as port:
        found = await suite.run_lanes(python, port, tmp_path)
    assert list(suite.differences(found, suite.golden()).values()) == []


def test_no_case_is_known_to_fail_but_one() -> None:
    golden = suite.golden()
    assert len(golden) == 267
    assert [case for case, behaviours in golden.items() if any("FAILED" in each for each in behaviours)] == ["7.1.5"]


def test_a_case_that_is_new_or_gone_or_another_is_a_difference() -> None:
    expected = {"1.1": frozenset({"OK OK"}), "1.2": frozenset({"OK OK", "NON-STRICT OK"}), "1.10": frozenset({"OK OK"})}
    found = {"1.1": "FAILED OK", "1.2": "NON-STRICT OK", "2.1": "OK OK"}
    assert list(suite.differences(found, expected)) == ["1.1", "1.10", "2.1"]


def test_where_no_python_2_runs_the_reason_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "python2.7"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(suite.MissingError, match=f"none runs.*{broken}"):
        suite.find_python()


def test_where_the_suite_cannot_be_installed_the_reason_says_so_and_nothing_is_left(tmp_path: Path) -> None:
    python = tmp_path / "python2.7"
    python.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(suite.MissingError, match="no network"):
        suite.install(str(python), tmp_path / "autobahn")
    assert list(tmp_path.iterdir()) == [python]


def test_what_is_installed_is_installed_once(tmp_path: Path) -> None:
    python = tmp_path / "python2.7"
    python.write_text('#!/bin/sh\nfor last; do case "$before" in --target) mkdir "$last";; esac; before=$last; done\n')
    python.chmod(0o755)
    suite.install(str(python), tmp_path / "autobahn")
    python.write_text("#!/bin/sh\nexit 1\n")
    suite.install(str(python), tmp_path / "autobahn")
