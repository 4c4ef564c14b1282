"""The source as data: every module of ours, parsed, and what each imports."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("engine", "gates", "gateway", "loadtest", "runtime", "signal_service", "standins", "wire")


@dataclass(frozen=True)
class Module:
    """One file; `path` is relative to the root, `name` as it is imported."""

    path: str
    text: str

    @property
    def name(self) -> str:
        """The dotted name."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def package(self) -> str:
        """The top-level package."""
        return self.path.split("/", 1)[0]

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, self.path)

    def imports(self, modules: frozenset[str]) -> Iterator[tuple[str, int]]:
        """Give every imported module, at any depth, with its line; ``from a import b`` is ``a.b`` if that is one."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    yield (inner if inner in modules else node.module), node.lineno


def modules() -> tuple[Module, ...]:
    """Read all modules of ours, tests and what is generated excepted."""
    paths = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if not path.stem.endswith("_pb2"))
    return tuple(Module(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in sorted(paths))
