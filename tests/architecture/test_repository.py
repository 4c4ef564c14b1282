"""What is committed names no machine and no registry, and the lock files pin what pyproject.toml asks for."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.source import ROOT

# In parts, or this file would name them.
REGISTRIES: Final = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("npmmirror", "com"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
        ("maven", "org"),
        ("maven", "apache", "org"),
        ("deb", "debian", "org"),
        ("anaconda", "org"),
    )
)
MACHINE_PATH: Final = re.compile(r"(?<![\w.:/~*-])/(?:home|root|work|Users|mnt|opt/wheels)/[\w.-]")
LOCKS: Final = ("requirements/run.txt", "requirements/test.txt", "requirements/lock.txt")
PACKAGE_LOCK: Final = "tests/conformance/js/package-lock.json"


def committed_files() -> list[Path]:
    """List what is, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607 - as make finds it
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("needs a git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def texts() -> list[tuple[str, str]]:
    found = []
    for path in committed_files():
        content = path.read_bytes()
        if b"\0" not in content:
            found.append((path.relative_to(ROOT).as_posix(), content.decode(errors="replace")))
    return found


def pins(lock: str) -> dict[str, tuple[str, list[str]]]:
    """Read a lock file: the version and the hashes of each package."""
    found: dict[str, tuple[str, list[str]]] = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip()):
        match = re.match(r"(?P<name>[\w.-]+)==(?P<version>\S+)", entry)
        assert match is not None, f"{lock}: expected NAME==VERSION, found {entry[:80]!r}"
        found[canonicalize_name(match["name"])] = match["version"], re.findall(r"--hash=sha256:([0-9a-f]{64})\b", entry)
    return found


def test_no_file_names_a_registry() -> None:
    assert [(name, host) for name, text in texts() for host in REGISTRIES if host in text] == []


def test_no_file_names_a_place_on_a_machine() -> None:
    found = [(name, match[0]) for name, text in texts() for match in MACHINE_PATH.finditer(text)]

    assert [each for each in found if each[0] != "tests/architecture/test_repository.py"] == []


@pytest.mark.parametrize("lock", [*LOCKS, PACKAGE_LOCK])
def test_a_lock_file_holds_no_address(lock: str) -> None:
    assert re.findall(r"\w+://[^\s\"']*|--(?:index-url|extra-index-url|find-links)\S*", (ROOT / lock).read_text()) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_by_version_and_hash(lock: str) -> None:
    assert [name for name, (_, hashes) in pins(lock).items() if not hashes] == []


def test_every_javascript_package_is_pinned_by_version_and_hash() -> None:
    packages = json.loads((ROOT / PACKAGE_LOCK).read_text())["packages"]

    assert len(packages) > 2
    assert [name for name, entry in packages.items() if name and not {"version", "integrity"} <= entry.keys()] == []
    assert [name for name, entry in packages.items() if "resolved" in entry] == []


def test_the_locks_pin_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    run = [*project["project"]["dependencies"], *project["dependency-groups"]["build"]]
    asked = {
        "requirements/run.txt": run,
        "requirements/test.txt": [*run, *project["project"]["optional-dependencies"]["test"]],
        "requirements/lock.txt": project["dependency-groups"]["lock"],
    }

    missing = []
    for lock, requirements in asked.items():
        pinned = pins(lock)
        for requirement in map(Requirement, requirements):
            version, _ = pinned.get(canonicalize_name(requirement.name), ("none", []))
            if version == "none" or not requirement.specifier.contains(version):
                missing.append(f"{lock}: expected {requirement}, found {version}")
    assert missing == []


def test_what_runs_is_tested_in_the_same_versions() -> None:
    run, test = pins("requirements/run.txt"), pins("requirements/test.txt")

    assert {name: pin for name, pin in test.items() if name in run} == run


def test_every_dependency_of_the_project_is_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    modules = {
        "centrifuge-python": "centrifuge",
        "exchange-calendars": "exchange_calendars",
        "prometheus-client": "prometheus_client",
        "protobuf": "google.protobuf",
        "ta-lib": "talib",
    }
    names = [Requirement(text).name for text in project["project"]["dependencies"]]
    code = "\n".join(text for name, text in texts() if name.endswith(".py") and not name.startswith("tests/"))

    assert [
        name for name in names if not re.search(rf"^\s*(?:import|from) {modules.get(name, name)}\b", code, re.MULTILINE)
    ] == []
