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
SOURCE = (ROOT / "edge" / "engine" / "trt_api.py").read_text()
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
}
"""What our variables hold; a new variable with a TensorRT object wants a line here."""

ALWAYS = {"__version__", "__init__"}


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
    """Collects the names that run for one version, from the public functions on."""

    def __init__(self, source: str, version: str) -> None:
        names = set(NAMES[version])
        self.names = names | {name.split(".")[0] for name in names}
        self.used: set[str] = set()
        body = ast.parse(source).body
        self.private = {
            node.name: node
            for node in body
            if isinstance(node, ast.FunctionDef) and node.name.startswith("_")
        }
        for node in body:
            if isinstance(node, ast.FunctionDef) and node.name not in self.private:
                self.block([node])

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
            elif isinstance(statement, (ast.FunctionDef, ast.ClassDef, ast.With, ast.For, ast.Try)):
                for field in ast.iter_child_nodes(statement):
                    if isinstance(field, ast.expr):
                        self.expression(field)
                self.block(statement.body)
                for handler in getattr(statement, "handlers", []):
                    self.block(handler.body)
            else:
                self.expression(statement)
                if isinstance(statement, (ast.Return, ast.Raise)):
                    return True
        return False

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
            if isinstance(part, ast.Name) and part.id in self.private:
                self.block([self.private.pop(part.id)])


@pytest.mark.parametrize("version", NAMES)
def test_every_name_exists_in_each_supported_version(version):
    walker = Walker(SOURCE, version)
    assert walker.missing() == set()
    assert {"_parse", "_configure", "_make_builder"}.isdisjoint(walker.private)


def test_walk_sees_the_names():
    walker = Walker(SOURCE, "10.3.0")
    assert {"Builder.create_network", "BuilderFlag.INT8", "OnnxParser.parse"} <= walker.used
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
    """The check can fail, and a guard mends it."""
    bare = f"def f(trt, config, builder):\n    {line}\n"
    assert Walker(bare, version).missing() == {name}
    owner, attribute = name.split(".")
    guard = f"if hasattr(trt.{owner}, '{attribute}'):"
    assert Walker(bare.replace("    ", f"    {guard} "), version).missing() == set()
