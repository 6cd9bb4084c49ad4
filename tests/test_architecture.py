"""House rules that a reader relies on: which way imports point, where flags are read, one name a class."""

import ast
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.conftest import ROOT

# From the ground up; a file imports from its own layer and those before it.
LAYERS = (
    ("screen", "errors", "files", "text_files", "csv_tables", "csv_writer", "cores", "signals", "progress",
     "json_report", "device", "compiled", "triton_trial", "ready_configs", "process_pool", "processes", "typed_yaml",
     "config", "labels", "arrays", "memory", "foreign_names", "array_files", "code_kinds",
     "code_reading", "code_layout", "codes"),
    ("data",),
    ("stand_ins", "torch_file", "state_dict", "network", "backbones", "normalise", "batch_labels", "losses",
     "objectives", "optimiser", "schedule", "update", "trainer", "pretrained", "checkpoint", "train_state",
     "cards", "scalar_log", "train_log", "frozen", "train_loop", "extraction", "accelerate"),
    ("datasets", "retrieval", "dissection"),
    ("report", "export"),
    ("study", "quickstart"),
    ("commands", "__main__"),
)
# python -m ibc.data.prepare and its like: the old names of commands
OLD_NAMES = {"ibc.data.prepare", "ibc.data.doctor", "ibc.data.concept_scenes"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {module_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.glob("ibc/**/*.py"))}


def imported(tree: ast.AST) -> set[str]:
    """Modules of the package that a file imports, but for those that only the type checker reads."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {whole if (whole := f"{node.module}.{name.name}") in SOURCES else node.module
                      for name in node.names}
        found |= imported(node)
    return found & set(SOURCES)


def layer_of(module: str) -> int:
    part = module.split(".")[1] if "." in module else "errors"
    return next(number for number, parts in enumerate(LAYERS) if part in parts)


def test_every_file_has_a_layer_and_imports_point_down():
    wrong = [f"{module} -> {other}" for module, tree in SOURCES.items() if module not in OLD_NAMES
             for other in imported(tree) if layer_of(other) > layer_of(module)]
    assert not wrong


def test_no_circle_between_files():
    graph = {module: imported(tree) - {module} for module, tree in SOURCES.items()}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise AssertionError(f"a circle: {' -> '.join(error.args[1])}") from None
    assert len(order) == len(SOURCES)


def test_flags_are_read_at_the_door():
    """argparse belongs to the commands; a data set's file declares its own flags."""
    readers = {module for module, tree in SOURCES.items() for node in ast.walk(tree)
               if isinstance(node, ast.Attribute) and node.attr == "Namespace"}
    assert all(module.startswith("ibc.commands.") for module in readers), readers


def test_one_class_of_each_name():
    names = Counter(node.name for tree in SOURCES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []
