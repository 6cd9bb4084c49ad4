"""Arrows between modules point one way: commands -> report -> retrieval and dissection -> the method and data."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import ibc

LAYERS = {"commands": 3, "report": 2, "retrieval": 1, "dissection": 1}  # sub-packages; all other modules: 0
STARTS = {"ibc.__main__", "ibc.data.concept_scenes", "ibc.data.doctor", "ibc.data.prepare"}  # programs, not library


@cache
def imports() -> dict[str, set[str]]:
    """Module of the package -> its modules that it imports anywhere, but not for type checking alone."""
    package = Path(ibc.__file__).parent
    files = {".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"): path
             for path in package.rglob("*.py")}
    found = {}
    for name, path in files.items():
        named = {f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in files else node.module
                 for node in nodes_of(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
                 for alias in node.names}
        found[name] = (named & set(files)) - {name}
    return found


def nodes_of(tree: ast.AST):
    yield tree
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from nodes_of(child)


def layer(module: str) -> int:
    return LAYERS.get([*module.split("."), ""][1], 0)


def test_no_circles():
    assert list(TopologicalSorter(imports()).static_order())  # raises CycleError


def test_no_arrow_points_up():
    up = {(name, other) for name, others in imports().items() for other in others if layer(other) > layer(name)}
    assert {name for name, _ in up} <= STARTS, up
