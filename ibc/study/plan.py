"""The plan of a study: a YAML file that says which runs to make.

    config: cifar10.yaml          # of every run: a file beside the plan, or a ready configuration
    set: [val_iter=0]             # values that every run replaces
    methods:                      # name -> another configuration, another method to begin with, values to replace
      official: []
      plus: [cifar10_plus.yaml]
      plus_long: [plus, crop=strong]
      itq: [model.backbone=resnet18, model.freeze=backbone, codes=itq]  # not trained: pca, itq or lsh
    groups:                       # which runs there are: every combination
      short: {methods: [official, plus], bits: [64, 256], updates: [6000], seeds: [1, 2, 3]}
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

from ibc.config import ALEXNET, Config, load_config
from ibc.errors import input_error
from ibc.frozen.post_hoc import POST_HOC
from ibc.ready_configs import find_config
from ibc.typed_yaml import ConfigError, Entry, build, key, read_tree

MOST_RUNS = 10_000  # of a group
MOST_TEXTS = 1000   # of a method, those of the methods that it begins with among them
CODES = "codes="    # how a method says that its codes are not trained


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
    """One run. config: of its method. overrides: key=value texts on top of it.

    codes: one of ``POST_HOC`` where the codes are not trained, else empty. Such a run has 0 updates.
    """

    method: str
    config: Path
    bits: int
    updates: int
    seed: int
    overrides: tuple[str, ...]
    codes: str = ""

    @property
    def name(self) -> str:
        """Of its folder and result."""
        return f"{self.method}-{self.bits}bits-{self.updates}updates-seed{self.seed}"


class Method(NamedTuple):
    """What a method replaces, by key=value texts, of which configuration; codes: as of a run."""

    config: Path
    texts: list[str]
    codes: str


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
        return load_config(run.config, run.overrides)


def read_plan(path: Path, overrides: list[str] | None = None) -> StudyPlan:
    """Read and check a plan. overrides: key=value texts on top of its own. Raises ConfigError, with file and line."""
    tree = read_tree(path)
    sections = {name: tree.value.pop(name, None) for name in ("methods", "groups")}
    for name, section in sections.items():
        if section is None or not isinstance(section.value, dict) or not section.value:
            raise input_error(path, f"no section '{name}'", f"{name}: with one line each", kind=ConfigError)
    file = build(StudyFile, tree, str(path))
    file.set = [*file.set, *(overrides or [])]
    methods: dict[str, Method] = {}
    for name, entry in sections["methods"].value.items():
        methods[name] = _method(path, entry, methods, find_beside(path, file.config))
    plan = StudyPlan(path, file, {})
    for name, entry in sections["groups"].value.items():
        group = build(StudyGroup, entry, str(path), f"groups.{name}.")
        count = math.prod(map(len, (group.methods, group.bits, group.updates, group.seeds)))
        if count > MOST_RUNS:
            raise input_error(path, f"{count} runs in the group '{name}'", f"at most {MOST_RUNS}", line=entry.line,
                              kind=ConfigError)
        for method in group.methods:
            if method not in methods:
                raise input_error(path, f"the method '{method}'", " or ".join(methods), line=entry.line,
                                  kind=ConfigError)
        plan.groups[name] = [
            _run(path, method, methods[method], file.set, bits, updates, seed)
            for method, bits, updates, seed in product(group.methods, group.bits, group.updates, group.seeds)]
    return plan


def find_beside(plan: Path, name: str) -> Path:
    """A file named in a plan: beside the plan, else a ready configuration."""
    beside = plan.parent / name
    return beside if beside.is_file() else find_config(name)


def _method(path: Path, entry: Entry, known: dict[str, Method], config: Path) -> Method:
    """A method; of ``config`` unless it names another configuration."""
    if not isinstance(entry.value, list) or not all(isinstance(text, str) for text in entry.value):
        raise input_error(path, "a method that is no list of texts", "[plus, lr=2e-4], or []", line=entry.line,
                          kind=ConfigError)
    texts: list[str] = []
    codes = ""
    for text in entry.value:
        if text.startswith(CODES):
            codes = text.removeprefix(CODES)
            if codes not in POST_HOC:
                raise input_error(path, text, " or ".join(CODES + name for name in POST_HOC), line=entry.line,
                                  kind=ConfigError)
        elif "=" in text:
            texts.append(text)
        elif text.endswith(".yaml"):
            config = find_beside(path, text)
        elif text in known:
            config, codes = known[text].config, known[text].codes
            texts = [*texts, *known[text].texts]
        else:
            raise input_error(path, f"'{text}'", "key=value, a .yaml file or a method above", line=entry.line,
                              kind=ConfigError)
        if len(texts) > MOST_TEXTS:
            raise input_error(path, f"a method of more than {MOST_TEXTS} texts", "fewer", line=entry.line,
                              kind=ConfigError)
    return Method(config, texts, codes)


def _run(path: Path, name: str, method: Method, common: list[str], bits: int, updates: int, seed: int) -> StudyRun:
    config, own, codes = method
    texts = [*common, f"model.code_len={bits}", f"seed={seed}"]
    if codes:
        model = load_config(config, [*texts, *own]).model
        if model.backbone == ALEXNET or model.freeze != "backbone" or model.multi_label:
            raise input_error(path, f"{CODES}{codes} in the method '{name}' of backbone {model.backbone}, freeze "
                              f"{model.freeze}, multi_label {str(model.multi_label).lower()}", "a frozen backbone "
                              "other than alexnet, one class an image", kind=ConfigError)
        return StudyRun(name, config, bits, 0, seed, (*texts, *own), codes)
    texts.insert(-1, f"max_iter={updates}")
    base = load_config(config, [*texts, *own])
    before = load_config(config, own)
    if base.lr_policy == "step" and before.max_iter:
        texts.append(f"step_size={max(1, round(before.step_size * updates / before.max_iter))}")
    return StudyRun(name, config, bits, updates, seed, (*texts, *own))
