"""Who may import whom, and what a module that computes must do without. See docs/architecture.md."""

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.architecture.source import PACKAGES, Module, modules

MODULES: Final = modules()
NAMES: Final = frozenset(module.name for module in MODULES)

MAY_IMPORT: Final = {
    "wire": set[str](),
    "runtime": set[str](),
    "engine": {"wire", "runtime"},
    "gateway": {"wire", "runtime"},
    "standins": {"wire", "runtime"},
    "gates": {"wire", "runtime", "standins"},
    "loadtest": {"wire", "runtime", "standins"},
    "signal_service": set(PACKAGES),
}
# standins/demo.py alone joins the two apps, and names the seams that they take.
DEMO: Final = {
    "engine.app",
    "engine.config",
    "engine.feeds.feed",
    "gateway.app",
    "gateway.config",
}
# The seam of the feeds, which all may know; the feeds themselves are an app's, or the command line's (--feed).
FEED_SEAM: Final = {"engine.feeds", "engine.feeds.feed", "engine.feeds.errors"}
FEED_READERS: Final = {
    "signal_service/feeds.py": {"engine.feeds.spec"},
    "signal_service/bench/bar_rows.py": {"engine.feeds.binance"},
}

# What computes: no coroutine, no clock, no logger, no chance. A module whose docstring says "Pure." or "Pure;" is held
# to it too.
PURE: Final = (
    "engine/bars.py",
    "engine/columns.py",
    "engine/compile.py",
    "engine/graph.py",
    "engine/kernels/",
    "engine/shard.py",
    "engine/ticks.py",
    "engine/watermark.py",
    "gateway/entitlements.py",
    "gateway/hub.py",
    "gateway/introspection.py",
    "gateway/line.py",
    "gateway/outbox.py",
    "gateway/recent.py",
    "gateway/recovery.py",
    "gateway/request_head.py",
    "gateway/session.py",
    "runtime/redaction.py",
    "wire/",
)
IMPURE: Final = {
    "aiohttp",
    "asyncio",
    "concurrent",
    "logging",
    "multiprocessing",
    "os",
    "random",
    "secrets",
    "selectors",
    "socket",
    "structlog",
    "subprocess",
    "threading",
    "time",
    "urllib",
    "uvloop",
    "websockets",
}
# The parts of I/O libraries that only turn bytes into events, or text into its parts, and back.
SANS_IO: Final = {
    "urllib.parse",
    "websockets.exceptions",
    "websockets.frames",
    "websockets.http11",
    "websockets.protocol",
    "websockets.server",
    "websockets.typing",
}
MUTABLE_CALLS: Final = {
    "Counter",
    "OrderedDict",
    "WeakKeyDictionary",
    "WeakSet",
    "WeakValueDictionary",
    "bytearray",
    "count",
    "cycle",
    "defaultdict",
    "deque",
    "dict",
    "iter",
    "list",
    "set",
}
MEMORIES: Final = {"cache", "lru_cache"}
MAX_LINES: Final = 400


def complaints_of_imports(module: Module) -> Iterator[str]:
    for imported, line in module.imports(NAMES):
        package = imported.split(".", 1)[0]
        if package == "tests" or (package in PACKAGES and package != module.package and not _may(module, imported)):
            yield f"{module.path}:{line} imports {imported}"
        if imported in NAMES and not _may_know(module, imported):
            yield f"{module.path}:{line} imports {imported}, which only an app.py may"


def _may(module: Module, imported: str) -> bool:
    if module.path == "standins/demo.py" and imported in DEMO:
        return True
    return imported.split(".", 1)[0] in MAY_IMPORT[module.package]


def _may_know(module: Module, imported: str) -> bool:
    """Whether a module may know what speaks to one outside thing: a Redis, a PostgreSQL, an exchange."""
    if module.path.endswith("/app.py"):
        return True
    if imported.endswith(("_redis", "_postgres")):
        return False
    if not imported.startswith("engine.feeds") or imported in FEED_SEAM:
        return True
    return module.path.startswith("engine/feeds/") or imported in FEED_READERS.get(module.path, set())


def is_pure(module: Module) -> bool:
    docstring = ast.get_docstring(module.tree) or ""
    return module.path.startswith(PURE) or re.search(r"\bPure[.;]", docstring) is not None


def complaints_of_purity(module: Module) -> Iterator[str]:
    for imported, line in module.imports(NAMES):
        if imported.split(".", 1)[0] in IMPURE and imported not in SANS_IO:
            yield f"{module.path}:{line} computes, and imports {imported}"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.AsyncFunctionDef) and not _is_empty(node):
            yield f"{module.path}:{node.lineno} computes, and is asynchronous"
        if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}:
            yield f"{module.path}:{node.lineno} computes, and asks for the time"
        if isinstance(node, ast.Call) and _is_chance(node):
            yield f"{module.path}:{node.lineno} computes, and leaves something to chance"
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"open", "print", "input"}
        ):
            yield f"{module.path}:{node.lineno} computes, and calls {node.func.id}"


def _is_empty(function: ast.AsyncFunctionDef) -> bool:
    """Whether a function only says what it would do, as in a Protocol."""
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in function.body)


def _is_chance(call: ast.Call) -> bool:
    """Whether numpy's randomness is asked for without a seed."""
    function = ast.unparse(call.func)
    return function.startswith(("np.random.", "numpy.random.")) and not (
        function.endswith(".default_rng") and call.args
    )


def complaints_of_state(module: Module) -> Iterator[str]:
    for node in module.tree.body:
        if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
            yield f"{module.path}:{node.lineno} does something when it is imported"
        if isinstance(node, (ast.For, ast.While, ast.With, ast.Delete)):
            yield f"{module.path}:{node.lineno} does something when it is imported"
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and _is_mutable(node):
            yield f"{module.path}:{node.lineno} keeps something mutable"
    for inner in ast.walk(module.tree):
        if isinstance(inner, ast.Global):
            yield f"{module.path}:{inner.lineno} changes the module's state"
        if isinstance(inner, ast.FunctionDef):
            for decorator in inner.decorator_list:
                if _called(decorator) in MEMORIES and not _is_bounded(decorator):
                    yield f"{module.path}:{inner.lineno} keeps what it computed for as long as the process lives"


def _is_mutable(node: ast.Assign | ast.AnnAssign) -> bool:
    """Whether a name is bound to what can change; a mapping or sequence that is declared to be read only is not."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
        return False
    if isinstance(node, ast.AnnAssign) and any(
        word in ast.unparse(node.annotation) for word in ("Mapping[", "Sequence[")
    ):
        return False
    displays = (ast.Dict, ast.DictComp, ast.List, ast.ListComp, ast.Set, ast.SetComp, ast.GeneratorExp)
    value = node.value
    return isinstance(value, displays) or (isinstance(value, ast.Call) and _called(value) in MUTABLE_CALLS)


def _is_bounded(decorator: ast.expr) -> bool:
    """Whether a memory of what was computed has a size: then it only saves time."""
    sizes = (
        [word.value for word in decorator.keywords if word.arg == "maxsize"] if isinstance(decorator, ast.Call) else []
    )
    return any(isinstance(size, ast.Constant) and isinstance(size.value, int) for size in sizes)


def _called(node: ast.expr) -> str | None:
    function = node.func if isinstance(node, ast.Call) else node
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def find_cycle(imports: dict[str, set[str]]) -> list[str]:
    """Give the modules of one import cycle in their order; none if there is none."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for imported in sorted(imports.get(name, ())):
            if cycle := walk(imported, [*way, name]):
                return cycle
        done.add(name)
        return []

    return next((cycle for name in sorted(imports) if (cycle := walk(name, []))), [])


def test_packages_import_only_those_below_them() -> None:
    assert [complaint for module in MODULES for complaint in complaints_of_imports(module)] == []


def test_what_computes_has_no_coroutine_no_clock_no_logger_and_no_chance() -> None:
    assert [complaint for module in MODULES if is_pure(module) for complaint in complaints_of_purity(module)] == []


def test_the_list_of_what_computes_names_what_exists() -> None:
    assert [path for path in PURE if not any(module.path.startswith(path) for module in MODULES)] == []


def test_no_module_keeps_state_or_acts_when_it_is_imported() -> None:
    assert [complaint for module in MODULES for complaint in complaints_of_state(module)] == []


def test_no_imports_go_in_a_circle() -> None:
    imports = {module.name: {name for name, _ in module.imports(NAMES) if name in NAMES} for module in MODULES}

    assert find_cycle(imports) == []


def test_no_file_is_long() -> None:
    assert [module.path for module in MODULES if module.text.count("\n") > MAX_LINES] == []


def test_every_module_says_what_it_is() -> None:
    assert [module.path for module in MODULES if not ast.get_docstring(module.tree)] == []


# The rules themselves, on modules that break them.


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("wire/x.py", "import runtime.clock"),
        ("runtime/x.py", "from wire import market"),
        ("engine/x.py", "from gateway.hub import Hub"),
        ("gateway/x.py", "def f():\n    import engine.shard"),
        ("standins/x.py", "from engine.app import run"),
        ("standins/demo.py", "from engine.shard import Shard"),
        ("gates/x.py", "import gateway.app"),
        ("engine/x.py", "from engine.feeds.replay import Replay"),
        ("engine/x.py", "from engine.feeds import binance"),
        ("signal_service/compute.py", "from engine.feeds.spec import FeedSpec"),
        ("signal_service/x.py", "import tests.conftest"),
    ],
)
def test_a_forbidden_import_is_found(path: str, text: str) -> None:
    assert list(complaints_of_imports(Module(path, text)))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "engine/x.py",
            "import asyncio\nimport numpy\nfrom wire.market import Tick\nfrom engine.feeds.feed import Feed",
        ),
        ("standins/demo.py", "from engine.app import engine\nfrom gateway.app import gateway"),
        ("engine/app.py", "from engine.feeds.replay import Replay"),
        ("engine/feeds/x.py", "from engine.feeds.binance import BinanceParser"),
        ("signal_service/feeds.py", "from engine.feeds.spec import FeedSpec"),
        ("signal_service/x.py", "import standins.broker, gateway.app"),
    ],
)
def test_an_allowed_import_is_not_found(path: str, text: str) -> None:
    assert list(complaints_of_imports(Module(path, text))) == []


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from asyncio import Queue",
        "def f():\n    import random",
        "async def f(): await g()",
        "async def f(): return 1",
        "x = datetime.now()",
        "rng = np.random.default_rng()",
        "x = np.random.uniform(3)",
        "from websockets.asyncio.server import serve",
        "import websockets",
        "def f(): print(1)",
    ],
)
def test_impurity_is_found(text: str) -> None:
    assert list(complaints_of_purity(Module("wire/x.py", text)))


@pytest.mark.parametrize(
    "text",
    [
        "rng = np.random.default_rng(seed)",
        "class Seam(Protocol):\n    async def f(self): ...",
        "class Seam(Protocol):\n    async def f(self):\n        'What it would do.'",
        "from websockets.server import ServerProtocol",
        "def f(clock): return clock.wall_ns()",
    ],
)
def test_what_is_no_impurity_is_not_found(text: str) -> None:
    assert list(complaints_of_purity(Module("wire/x.py", text))) == []


@pytest.mark.parametrize(
    "text",
    [
        "x = []",
        "x: Final = {}",
        "x: Final[dict[str, int]] = {'a': 1}",
        "x = {a for a in b}",
        "x = set()",
        "x = collections.deque()",
        "x = itertools.count()",
        "print(1)",
        "for x in y: f(x)",
        "def f():\n    global x",
        "@lru_cache(maxsize=None)\ndef f(): ...",
        "@functools.cache\ndef f(): ...",
    ],
)
def test_state_is_found(text: str) -> None:
    assert list(complaints_of_state(Module("wire/x.py", text)))


@pytest.mark.parametrize(
    "text",
    [
        '"""Doc."""',
        "__all__ = ['a']",
        "x = (1, 2)",
        "x = frozenset({1})",
        "x: Final[Mapping[str, int]] = {'a': 1}",
        "x = MappingProxyType({'a': 1})",
        "log = structlog.get_logger()",
        "@lru_cache(maxsize=1024)\ndef f(): ...",
        "if __name__ == '__main__':\n    main()",
        "class A:\n    def f(self):\n        x = []",
    ],
)
def test_what_is_no_state_is_not_found(text: str) -> None:
    assert list(complaints_of_state(Module("wire/x.py", text))) == []


def test_a_circle_is_found() -> None:
    assert find_cycle({"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set()}) == ["a", "b", "c", "a"]
    assert find_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
