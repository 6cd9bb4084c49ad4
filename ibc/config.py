"""The configuration of a run: a YAML file with the official keys, read into typed dataclasses.

Every key is documented once, here. ``load_config`` refuses unknown keys, wrong types and impossible combinations; its
one-line message names the file and the line in it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibc.errors import InputError, input_error
from ibc.foreign_names import is_plain_name
from ibc.typed_yaml import ConfigError, Entry, build, key, override, read_tree, wrap

PRETRAINED_FC_DIM = 4096  # width of the fully connected layers of the published AlexNets
ALEXNET = "alexnet"
BACKBONE_NAMES = (ALEXNET, "vgg16", "resnet18", "resnet50", "convnext_tiny", "vit_b_16", "efficientnet_lite0",
                  "efficientnet_lite2")  # the others: ibc.backbones.table
# Largest values of keys by which memory, processes or time are taken; of other whole numbers it is 2^63 - 1.
LARGEST_VALUES = {
    "model.code_len": 2**16, "model.class_num": 2**20, "model.fc_dim": 2**16, "model.views": 2**10,
    "batch_size": 2**20, "num_workers": 2**10, "new_size": 2**14, "new_size_a": 2**14, "new_size_b": 2**14,
    "crop_image_height": 2**14, "crop_image_width": 2**14}
SMALLEST_CROP = 63        # pixels; less leaves nothing of AlexNet's feature maps
OBJECTIVE_NAMES = ("ibc", "ibc_plus", "orthohash", "csq", "dpn", "greedyhash", "hashnet", "cross_entropy")
NOT_GIVEN: Any = None  # default of a key that only some commands need; they ask for it with Config.require


@dataclass
class ModelConfig:
    """The keys under ``model:``."""

    code_len: int = key("K: bits of a code and filters of conv_last", low=1)
    class_num: int = key("C: number of classes", low=1)
    thr_g: float = key("sum of the rule matrix (GRM) above which its L1 norm is penalised", low=0)
    is_sun: bool = key("both backbones are Places365 AlexNets (365-way), read from weights_file", False)
    multi_label: bool = key("label rows are 0/1 vectors over the classes instead of one class id", False)
    class_weights: list[float] | None = key("C weights of the classes (cross-entropy weight, or BCE pos_weight)", None)
    weights_file: str | None = key("Places365 AlexNet file, for is_sun; of another backbone: its weights, instead of "
                                   "the published ones", None)
    pretrained: str = key("imagenet: start from pretrained backbones; none: from scratch", "imagenet",
                           ("imagenet", "none"))
    trunk_init: str = key("start of the backbones without pretrained weights: PyTorch's default (what the official "
                          "code falls back to), or kaiming (He's rule, learns sooner in short runs)", "default",
                          ("default", "kaiming"))
    fc_dim: int = key("width of the fully connected layers; 4096 in AlexNet", 4096, low=1)
    dropout: float = key("share of a fully connected layer's inputs that training sets to zero; 0.5 in AlexNet", 0.5,
                         low=0)
    backbone: str = key("network in front of the heads, with its own weights and normalisation (docs/backbones.md)",
                        ALEXNET, BACKBONE_NAMES)
    freeze: str = key("none: train all; backbone: compute its features of every image once, keep them, and train the "
                      "heads", "none", ("none", "backbone"))
    views: int = key("with freeze: versions of every training image that are kept; 1: its centre, more: augmented ones "
                     "beside it", 1, low=1)


@dataclass
class PlusConfig:
    """The keys under ``plus:``, which only ``objective: ibc_plus`` reads."""

    nested_w: float = key("code classifier on the few largest gates of each class", 1.0)
    nested_bits: list[int] = key("numbers of gates that nested_w scores, each at most K", [5, 13, 32])
    contrast_w: float = key("contrastive term over all bits", 1.0)
    expert_contrast_w: float = key("contrastive term over the expert bits of an image's class", 1.0)
    contrast_bits: list[int] = key("numbers of expert bits of expert_contrast_w, its mean over them", [5])
    temperature: float = key("of both contrastive terms, whose similarities lie in [-1, 1]", 0.125, low=1e-3)
    quantise_w: float = key("quantisation error; rises from 0 over the first half of the run", 0.1)


@dataclass
class Config:
    """A whole configuration, whose fields are the keys of the file. Keys without a default must be in it."""

    model: ModelConfig = key("the network")
    # Optimisation
    lr: float = key("Adam step size of the pretrained layers; fresh layers and the GRM take ten times it", low=0)
    beta1: float = key("Adam: decay of the first moment", low=0)
    beta2: float = key("Adam: decay of the second moment", low=0)
    weight_decay: float = key("Adam: coupled L2 penalty on every parameter, the GRM included", low=0)
    init: str = key("start of the fresh linear layers", choices=("gaussian", "xavier", "kaiming", "orthogonal",
                                                                  "default"))
    # Weights of the paper's seven loss terms
    hash_std_w: float = key("code classifier, plain half of the batch (ibc_plus: all of it)")
    hash_mask_w: float = key("code classifier, masked half (ibc_plus: gated, all of it)")
    GRM_w: float = key("sparsity of the rule matrix")
    align_w: float = key("alignment of bits with filters (KL)")
    real_std_w: float = key("real-valued classifier, plain half (ibc_plus: all of it)")
    real_mask_w: float = key("real-valued classifier, masked half (ibc_plus: gated classifier of the pooled filters)")
    sparse_w: float = key("sparsity of the codes")
    objective: str = key("ibc: the paper's; ibc_plus: without the leak, few bits trained as they are used; "
                         "or a method to compare with (docs/objectives.md)", "ibc", OBJECTIVE_NAMES)
    plus: PlusConfig = key("further terms of ibc_plus", factory=PlusConfig)
    # Schedule
    lr_policy: str = key("step: multiply lr by gamma every step_size updates; cosine: half a cosine down to 0 at "
                          "max_iter; constant", "constant", ("step", "cosine", "constant"))
    warm_up: int = key("updates over which lr rises linearly at the start", 0, low=0)
    step_size: int = key("updates between two decays of the learning rate", NOT_GIVEN, low=1)
    gamma: float = key("factor of a decay", NOT_GIVEN, low=0)
    max_iter: int = key("number of updates", NOT_GIVEN, low=1)
    batch_size: int = key("images an update, over all processes; even: the second half is masked", NOT_GIVEN, low=2)
    # Bookkeeping
    model_name: str = key("names the folders of logs, checkpoints and codes", NOT_GIVEN)
    snapshot_save_iter: int = key("updates between two checkpoints", NOT_GIVEN, low=1)
    log_iter: int = key("updates between two log entries", NOT_GIVEN, low=1)
    keep_last: int = key("checkpoints kept, the newest ones; 0 keeps all", 0, low=0)
    val_iter: int = key("updates between two validations on the test list; 0: never", 0, low=0)
    val_num: int = key("test images used by a validation, spread over the list", 1000, low=2)
    seed: int = key("start of all random numbers", 1245, low=0)
    # Data
    data_folder: str = key("folder that paths in the lists are relative to, or a zip of it (ibc prepare pack)",
                           NOT_GIVEN)
    train_list_file: str = key("training list, relative to data_folder", NOT_GIVEN)
    test_list_file: str = key("test list, relative to data_folder", NOT_GIVEN)
    train_attr_list_file: str | None = key("list appended to the training list as often as it fits into it", None)
    filter_labels: list[int] | None = key("label columns to leave out", None)
    new_size: int = key("shorter side of the prepared images", NOT_GIVEN, low=1)
    new_size_a: int | None = key("new_size of training, where the two differ", None, low=1)
    new_size_b: int | None = key("new_size of testing, where the two differ", None, low=1)
    crop_image_height: int = key("height of the crop fed to the network", NOT_GIVEN, low=SMALLEST_CROP)
    crop_image_width: int = key("width of the crop", NOT_GIVEN, low=SMALLEST_CROP)
    crop: str = key("training images. official: crop at random and mirror; strong: a random part of 40 to 100 % of "
                    "the area, resized, mirrored, with other brightness, contrast and saturation", "official",
                    ("official", "strong"))
    resize: str = key("small: enlarge only images smaller than the crop (the official loader never resizes); "
                       "always: bring every shorter side to new_size", "small", ("small", "always"))
    num_workers: int = key("processes that decode images, at most one a core; on a CPU one for four cores, so that "
                           "they do not hold up the network; 0: none beside the main one", 4, low=0)
    decoder: str = key("JPEG decoder; auto takes the fastest that the device allows", "auto",
                        ("auto", "pillow", "turbo", "nvjpeg"))
    cache: str = key("keep decoded images in device or host memory, as far as they fit (GPU runs)", "off",
                     ("off", "device", "host"))
    input_dim: int | None = key("unused, kept because the official files hold it", None)

    source: str = dataclasses.field(default="", metadata={"hidden": True})  # the file it came from, for messages

    def require(self, *names: str) -> None:
        """Raise ConfigError unless every key of these names has a value."""
        for name in names:
            if getattr(self, name) is None:
                raise input_error(self.source or None, f"no key '{name}'", f"'{name}' ({doc(Config, name)})",
                                  f"add '{name}: ...'", kind=ConfigError)

    def require_data(self, list_key: str) -> None:
        """Raise ConfigError unless the keys that locate and crop images have values.

        list_key: ``train_list_file``, ``train_attr_list_file`` or ``test_list_file``.
        """
        size = "new_size_a" if list_key.startswith("train") else "new_size_b"
        self.require("data_folder", list_key, "crop_image_height", "crop_image_width",
                     *(["new_size"] if getattr(self, size) is None else []))

    @property
    def train_size(self) -> int:
        """Shorter side of the training images, in pixels."""
        return self.new_size_a or self.new_size

    @property
    def test_size(self) -> int:
        """Shorter side of the test images, in pixels."""
        return self.new_size_b or self.new_size

    @property
    def crop_size(self) -> tuple[int, int]:
        """(height, width) of the network's input, in pixels."""
        return self.crop_image_height, self.crop_image_width

    def as_dict(self) -> dict[str, Any]:
        """All keys that have a value, as a nested dict of plain types; ``config_from_dict`` reads it back."""
        values = dataclasses.asdict(self)
        del values["source"]
        if self.objective == "ibc":
            del values["plus"]
        for name, usual in ((field.name, field.default) for field in dataclasses.fields(ModelConfig)
                            if field.name in ("backbone", "freeze", "views")):
            if values["model"][name] == usual:  # so that the file is as before there were others
                del values["model"][name]
        return {key: value for key, value in values.items() if value is not None}


def doc(kind: type, name: str) -> str:
    """What the key ``name`` of the dataclass ``kind`` means."""
    return next(field.metadata["doc"] for field in dataclasses.fields(kind) if field.name == name)


def load_config(path: str | os.PathLike, overrides: Iterable[str] = ()) -> Config:
    """Read and check a YAML file.

    overrides: ``key=value`` texts such as ``model.code_len=64`` that replace values of the file; their values are read
    as YAML. Raises ConfigError, which names the file, the line, what was found and what was expected.
    """
    path = Path(path)
    tree = read_tree(path)
    for text in overrides:
        override(tree, text)
    config = build(Config, tree, os.fspath(path))
    config.source = os.fspath(path)
    _check(config, tree)
    return config


def config_from_dict(values: dict[str, Any], source: str = "config") -> Config:
    """A Config from the nested dict of a file or checkpoint, checked like a file. source: named in messages."""
    tree = wrap(values, source)
    config = build(Config, tree, source)
    config.source = source
    _check(config, tree)
    return config


def _check(config: Config, tree: Entry) -> None:
    """Raise ConfigError for a combination of values that no run can use."""
    model = config.model

    def wrong(name: str, found: str, expected: str, do: str | None = None) -> InputError:
        entry: Entry | None = tree
        for part in name.split("."):
            entry = entry.value.get(part) if entry else None
        place = entry or tree
        return input_error(place.where, found, expected, do, line=place.line, kind=ConfigError)

    if config.batch_size is not None and config.batch_size % 2:
        raise wrong("batch_size", f"batch_size: {config.batch_size}", "an even number",
                    "the batch is split into a plain and a masked half")
    if config.lr_policy == "step":
        for name in ("step_size", "gamma"):
            if getattr(config, name) is None:
                raise wrong("lr_policy", f"lr_policy: step and no key '{name}'", f"'{name}' ({doc(Config, name)})")
    if config.lr_policy == "cosine" and config.max_iter is None:
        raise wrong("lr_policy", "lr_policy: cosine and no key 'max_iter'", "'max_iter', where the cosine ends")
    for name in ("nested_bits", "contrast_bits"):
        if min(counts := getattr(config.plus, name), default=0) < 1:
            raise wrong(f"plus.{name}", f"{name}: {counts}", "numbers of bits from 1")
    for name in ("beta1", "beta2"):
        if getattr(config, name) >= 1:
            raise wrong(name, f"{name}: {getattr(config, name)}", "a number below 1")
    for side in ("crop_image_height", "crop_image_width"):
        for size in ("new_size", "new_size_a", "new_size_b"):
            crop, image = getattr(config, side), getattr(config, size)
            if crop is not None and image is not None and crop > image:
                raise wrong(side, f"{side}: {crop}", f"at most {size}, which is {image}")
    if model.class_weights is not None and len(model.class_weights) != model.class_num:
        raise wrong("model.class_weights", f"{len(model.class_weights)} class_weights",
                    f"{model.class_num}, one for each class")
    if model.class_weights is not None and min(model.class_weights) < 0:
        raise wrong("model.class_weights", "a negative class weight", "weights of at least 0")
    if model.dropout >= 1:
        raise wrong("model.dropout", f"dropout: {model.dropout}", "a number below 1")
    if model.is_sun and model.backbone != ALEXNET:
        raise wrong("model.backbone", f"backbone: {model.backbone} with is_sun: true", f"{ALEXNET}",
                    "leave is_sun out: other backbones need no Places365 weights")
    if model.fc_dim != PRETRAINED_FC_DIM and model.pretrained != "none" and model.backbone == ALEXNET:
        raise wrong("model.fc_dim", f"fc_dim: {model.fc_dim} with pretrained: {model.pretrained}",
                    f"pretrained weights of width {PRETRAINED_FC_DIM}", "set pretrained: none")
    name = config.model_name
    if name is not None and not is_plain_name(name):
        raise wrong("model_name", f"model_name: {name}", "a plain folder name, without '/'")
    for name, largest in LARGEST_VALUES.items():
        value = getattr(model if "." in name else config, name.rpartition(".")[2])
        if value is not None and value > largest:
            raise wrong(name, f"{name}: {value}", f"at most {largest}")
