"""docs/security.md says where each defence is checked: the tests that it names are there, and these are named."""

import re
from pathlib import Path

NAMED = re.compile(r"(?:tests/)?(?:attack|gateway|runtime|system|wire)/test_\w+")


def test_the_document_names_tests_that_there_are_and_every_file_of_this_package(repository: Path) -> None:
    text = (repository / "docs" / "security.md").read_text()
    named = {f"tests/{name.removeprefix('tests/')}.py" for name in NAMED.findall(text)}
    there = {path.relative_to(repository).as_posix() for path in (repository / "tests").glob("*/test_*.py")}
    here = {path for path in there if path.startswith("tests/attack/")} - {"tests/attack/test_document.py"}
    assert named - there == set()
    assert here - named == set()
