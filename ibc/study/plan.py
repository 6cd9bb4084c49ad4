"""The plan of a study: a YAML file that says which runs to make.

    config: cifar10.yaml          # of every run: a file beside the plan, or a ready configuration
    set: [val_iter=0]             # values that every run replaces
    methods:                      # name -> values that it replaces
      official: []
      plus: [objective=ibc_plus]
    groups:                       # which runs there are: every combination
      short: {methods: [official, plus], bits: [64, 256], updates: [6000], seeds: [1, 2, 3]}
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

from ibc.config import Config, load_config
from ibc.errors import input_error
from ibc.ready_configs import find_config
from ibc.typed_yaml import ConfigError, Entry, build, key, read_tree


@dataclass
class StudyGroup:
    """Runs of every combination."""

    methods: list[str] = key("names under methods:")
    bits: list[int] = key("code lengths")
    updates: list[int] = key("lengths of training; a schedule in steps is stretched with it")
    seeds: list[int] = key("one run for each")


@dataclass
class StudyFile:
    """The keys of a plan, but for its two sections."""

    config: str = key("configuration of every run")
    set: list[str] = key("key=value texts that every run replaces", [])
    amp: str = key("off or bf16, as for ibc train", "off", ("off", "bf16"))
    compile: bool = key("compile the update, as for ibc train", False)
    broden: str | None = key("Broden-format folder on whose images every run's filters are named", None)


@dataclass(frozen=True)
class StudyRun:
    """One run. overrides: key=value texts on top of the plan's configuration."""

    method: str
    bits: int
    updates: int
    seed: int
    overrides: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of its folder and result."""
        return f"{self.method}-{self.bits}bits-{self.updates}updates-seed{self.seed}"


@dataclass
class StudyPlan:
    """A whole plan. groups: name -> its runs; a run may be in several."""

    path: Path
    file: StudyFile
    groups: dict[str, list[StudyRun]]

    def runs(self, groups: list[str] | None = None) -> list[StudyRun]:
        """Every run once, of all groups or of those named. Raises InputError for an unknown name."""
        for name in groups or []:
            if name not in self.groups:
                raise input_error(self.path, f"no group '{name}'", " or ".join(self.groups))
        return list(dict.fromkeys(run for name in groups or self.groups for run in self.groups[name]))

    def config_of(self, run: StudyRun) -> Config:
        """The configuration of one run."""
        return load_config(self._base(), run.overrides)

    def _base(self) -> Path:
        beside = self.path.parent / self.file.config
        return beside if beside.is_file() else Path(find_config(self.file.config))


def read_plan(path: Path, overrides: list[str] | None = None) -> StudyPlan:
    """Read and check a plan. overrides: key=value texts on top of its own. Raises ConfigError, with file and line."""
    tree = read_tree(path)
    sections = {name: tree.value.pop(name, None) for name in ("methods", "groups")}
    for name, section in sections.items():
        if section is None or not isinstance(section.value, dict) or not section.value:
            raise input_error(path, f"no section '{name}'", f"{name}: with one line each", kind=ConfigError)
    file = build(StudyFile, tree, str(path))
    file.set = [*file.set, *(overrides or [])]
    methods = {name: _method(path, entry) for name, entry in sections["methods"].value.items()}
    plan = StudyPlan(path, file, {})
    base = plan.config_of(StudyRun("", 0, 0, 0, tuple(file.set)))
    for name, entry in sections["groups"].value.items():
        group = build(StudyGroup, entry, str(path), f"groups.{name}.")
        for method in group.methods:
            if method not in methods:
                raise input_error(path, f"the method '{method}'", " or ".join(methods), line=entry.line,
                                  kind=ConfigError)
        plan.groups[name] = [
            StudyRun(method, bits, updates, seed, (*file.set, *_length(base, bits, updates, seed), *methods[method]))
            for method, bits, updates, seed in product(group.methods, group.bits, group.updates, group.seeds)]
    for run in plan.runs():
        plan.config_of(run)  # a wrong value is told before hours of training
    return plan


def _length(base: Config, bits: int, updates: int, seed: int) -> list[str]:
    """What a run's code length, number of updates and seed replace."""
    texts = [f"model.code_len={bits}", f"max_iter={updates}", f"seed={seed}"]
    if base.step_size is not None and base.max_iter:
        texts.append(f"step_size={max(1, round(base.step_size * updates / base.max_iter))}")
    return texts


def _method(path: Path, entry: Entry) -> list[str]:
    if not isinstance(entry.value, list) or not all(isinstance(text, str) for text in entry.value):
        raise input_error(path, "a method that is no list of key=value texts", "[objective=ibc_plus, lr=2e-4], or []",
                          line=entry.line, kind=ConfigError)
    return entry.value
