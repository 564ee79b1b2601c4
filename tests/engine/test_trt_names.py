"""L0: every TensorRT name that we use exists in each supported version, branch by branch.

The lists in `tests/golden/trt_names.json` are the public names of the real modules. A branch under
`if hasattr(trt.X, "y")` is walked only for the versions in which the answer is yes.
"""

from __future__ import annotations

import ast
import json

import pytest
from samples import ROOT

NAMES = json.loads((ROOT / "tests" / "golden" / "trt_names.json").read_text())
CLASS_OF = {
    "builder": "Builder",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "complaint": "ParserError",
    "config": "IBuilderConfig",
    "cache": "ITimingCache",
    "runtime": "Runtime",
    "engine": "ICudaEngine",
    "inspector": "EngineInspector",
    "context": "IExecutionContext",
    "profile": "IOptimizationProfile",
    "tensor": "ITensor",
    "layer": "ILayer",
}
"""What our variables hold; a new variable with a TensorRT object wants a line here."""

ALWAYS = {"__version__", "__init__", "name"}
"""Not in the lists: they leave out `name`, which every enum and every layer and tensor has."""


def speaks_tensorrt(source: str) -> bool:
    """Tell whether a file has TensorRT's module in a variable, as each does that uses its names."""
    return any(
        (isinstance(node, ast.Name) and node.id == "trt")
        or (isinstance(node, ast.arg) and node.arg == "trt")
        for node in ast.walk(ast.parse(source))
    )


SOURCES = {
    path.name: path.read_text()
    for path in sorted((ROOT / "edge").rglob("*.py"))
    if speaks_tensorrt(path.read_text())
}


def dotted(node: ast.expr) -> str | None:
    """Give "Builder.create_network" for trt.Builder.create_network or builder.create_network."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or not parts:
        return None
    if node.id == "trt":
        return ".".join(reversed(parts))
    owner = CLASS_OF.get(node.id)
    return f"{owner}.{parts[-1]}" if owner else None


class Walker:
    """Collects the names that run for one version.

    It starts at the classes and at the functions that no other calls, and enters a function where
    it is named, in whichever file that is; so a function under a guard is walked under the guard.
    """

    def __init__(self, version: str, *sources: str) -> None:
        names = set(NAMES[version])
        self.names = names | {name.split(".")[0] for name in names}
        self.used: set[str] = set()
        bodies = [node for source in sources for node in ast.parse(source).body]
        self.waiting: dict[str, list[ast.stmt]] = {}
        for node in bodies:
            if isinstance(node, ast.FunctionDef):
                self.waiting.setdefault(node.name, []).append(node)
        called = {
            part.id for node in bodies for part in ast.walk(node) if isinstance(part, ast.Name)
        }
        self.block([node for node in bodies if isinstance(node, ast.ClassDef)])
        for name in set(self.waiting) - called:
            self.block(self.waiting.pop(name, []))

    def missing(self) -> set[str]:
        return {
            name
            for name in self.used
            if name not in self.names and name.split(".")[-1] not in ALWAYS
        }

    def has(self, test: ast.expr) -> bool | None:
        """Answer a hasattr test on TensorRT; None for any other test."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self.has(test.operand)
            return None if inner is None else not inner
        if not (isinstance(test, ast.Call) and getattr(test.func, "id", "") == "hasattr"):
            return None
        owner, attribute = test.args
        prefix = dotted(owner)
        name = f"{prefix}.{attribute.value}" if prefix else attribute.value
        return name in self.names

    def block(self, statements: list[ast.stmt]) -> bool:
        """Walk statements; True when they surely leave the function."""
        for statement in statements:
            if isinstance(statement, ast.If):
                answer = self.condition(statement.test)
                if answer is not False and self.block(statement.body) and answer:
                    return True
                if answer is not True:
                    self.block(statement.orelse)
            elif hasattr(statement, "body"):
                self.compound(statement)
            else:
                self.expression(statement)
                if isinstance(statement, (ast.Return, ast.Raise)):
                    return True
        return False

    def compound(self, statement: ast.stmt) -> None:
        """Walk a function, a class, a loop, a with or a try."""
        for field in ast.iter_child_nodes(statement):
            if isinstance(field, ast.withitem):
                self.expression(field)
            elif isinstance(field, ast.expr):
                self.expression(field)
                self.overrides(statement, dotted(field))
        self.block(statement.body)
        for part in (*getattr(statement, "handlers", []), statement):
            for name in ("orelse", "finalbody") if part is statement else ("body",):
                self.block(getattr(part, name, []))

    def overrides(self, statement: ast.stmt, base: str | None) -> None:
        """Note the methods of a class of ours that a class of TensorRT's calls back."""
        if isinstance(statement, ast.ClassDef) and base:
            methods = [node.name for node in statement.body if isinstance(node, ast.FunctionDef)]
            self.used |= {f"{base}.{name}" for name in methods if not name.startswith("_")}

    def condition(self, test: ast.expr) -> bool | None:
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            for part in test.values:
                if self.condition(part) is False:
                    return False
            return None
        answer = self.has(test)
        if answer is None:
            self.expression(test)
        return answer

    def expression(self, node: ast.AST) -> None:
        for part in ast.walk(node):
            if isinstance(part, ast.Attribute):
                name = dotted(part)
                if name:
                    self.used.add(name)
            if isinstance(part, ast.Name) and part.id in self.waiting:
                self.block(self.waiting.pop(part.id))


@pytest.mark.parametrize("version", NAMES)
def test_every_name_exists_in_each_supported_version(version):
    walker = Walker(version, *SOURCES.values())
    assert walker.missing() == set()
    assert {"_parse", "_configure", "_make_builder", "make_log"}.isdisjoint(walker.waiting)


def test_walk_sees_the_names():
    walker = Walker("10.3.0", *SOURCES.values())
    assert {"trt_api.py", "trt_hooks.py"} <= set(SOURCES)
    assert {"Builder.create_network", "BuilderFlag.INT8", "OnnxParser.parse"} <= walker.used
    assert {"ILogger.log", "IProgressMonitor.step_complete"} <= walker.used
    assert "IBuilderConfig.set_compute_capability" not in walker.used


@pytest.mark.parametrize(
    ("line", "version", "name"),
    [
        ("config.set_flag(trt.BuilderFlag.INT8)", "11.4.0.106", "BuilderFlag.INT8"),
        ("builder.platform_has_fast_int8", "rtx-1.7.1.116", "Builder.platform_has_fast_int8"),
        ("config.progress_monitor = None", "8.6.1", "IBuilderConfig.progress_monitor"),
        ("config.max_workspace_size = 1", "10.3.0", "IBuilderConfig.max_workspace_size"),
    ],
)
def test_walk_names_what_a_version_lacks(line, version, name):
    """The check can fail, and a guard mends it, also where the name is in another file."""
    bare = f"def f(trt, config, builder):\n    {line}\n"
    assert Walker(version, bare).missing() == {name}
    owner, attribute = name.split(".")
    guard = f"if hasattr(trt.{owner}, '{attribute}'):"
    assert Walker(version, bare.replace("    ", f"    {guard} ")).missing() == set()
    caller = f"def g(trt):\n    {guard}\n        f(trt, trt, trt)\n"
    assert Walker(version, caller, bare).missing() == set()
    assert Walker(version, caller.replace("if hasattr", "if not hasattr"), bare).missing() == {name}


def test_walk_names_a_callback_that_the_base_does_not_call():
    source = "def f(trt):\n class M(trt.IProgressMonitor):\n  def step_done(self): ...\n"
    assert Walker("10.3.0", source).missing() == {"IProgressMonitor.step_done"}
