"""Configurations: official files work, and every slip is answered with its file and line."""

import pytest
import yaml

from ibc.config import config_from_dict, load_config
from ibc.typed_yaml import ConfigError
from tests.fuzz.harness import limits
from tests.small_run import ROOT, make_run

PAPER = {  # settings that differ between the paper's three experiments
    "imagenet100": (100, 1000, 0.2, 0.05, 0, 227, 50000),
    "imagenet": (1000, 8000, 1, 0.1, 0.1, 227, 50000),
    "sun_attr": (397, 4000, 1, 0.05, 0.1, 224, 80000),
}


@pytest.mark.parametrize("name", PAPER)
def test_paper_settings(name):
    config = load_config(ROOT / f"configs/{name}.yaml")
    found = (config.model.class_num, config.model.thr_g, config.hash_mask_w, config.real_mask_w, config.sparse_w,
             config.crop_image_height, config.max_iter)
    assert found == PAPER[name]
    common = (config.batch_size, config.lr, config.beta1, config.beta2, config.weight_decay, config.step_size,
              config.gamma, config.init, config.new_size, config.num_workers, config.model.code_len,
              config.GRM_w, config.align_w)
    assert common == (200, 1e-4, 0.9, 0.999, 5e-4, 30000, 0.1, "kaiming", 256, 4, 256, 1e-5, 1e4)
    assert config.model.is_sun == (name == "sun_attr")


SHIPPED = sorted(path for path in (ROOT / "configs").glob("*.yaml") if not path.name.startswith("study_"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_configuration_loads(path):
    load_config(path).require("max_iter", "batch_size", "model_name")


@pytest.fixture
def path(tmp_path):
    return make_run(tmp_path)


def message(path, text=None, overrides=()):
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def line_of(path, start):
    return next(i for i, line in enumerate(path.read_text().splitlines(), 1) if line.strip().startswith(start))


def test_unknown_key_suggests_the_nearest(path):
    path.write_text(path.read_text().replace("weight_decay:", "weight_decai:"))
    found = message(path)
    assert f"{path}:{line_of(path, 'weight_decai')}: " in found and "'weight_decay'" in found


def test_unknown_key_in_a_section(path):
    path.write_text(path.read_text().replace("code_len:", "code_length:"))
    found = message(path)
    assert "model.code_length" in found and "'code_len'" in found and f":{line_of(path, 'code_length')}:" in found


@pytest.mark.parametrize("key, value, expected", [
    ("lr", "fast", "a number"), ("batch_size", 7.5, "an integer"), ("batch_size", 9, "an even number"),
    ("model.code_len", 0, "at least 1"), ("init", "kaimin", "did you mean 'kaiming'"), ("beta2", 1, "below 1"),
    ("lr_policy", "linear", "step or cosine or constant"), ("model.is_sun", "maybe", "true or false"),
    ("crop_image_height", 81, "at most new_size"), ("model.class_weights", [1, 2], "4, one for each class"),
    ("model_name", "a/b", "plain folder name"), ("model.dropout", 1, "below 1"),
    ("model_name", "..", "plain folder name"), ("seed", 2**63, "at most"),
    ("filter_labels", 3, "a list of integers"), ("lr", ".nan", "a number"),
])
def test_wrong_values_name_the_line(path, key, value, expected):
    values = yaml.safe_load(path.read_text())
    *section, name = key.split(".")
    (values[section[0]] if section else values)[name] = value
    found = message(path, yaml.safe_dump(values))
    assert expected in found and f"{path}:{line_of(path, name + ':')}: " in found


@pytest.mark.parametrize("key", ["lr", "align_w", "model.code_len", "model"])
def test_missing_key_is_named(path, key):
    values = yaml.safe_load(path.read_text())
    *section, name = key.split(".")
    del (values[section[0]] if section else values)[name]
    assert f"'{key}'" in message(path, yaml.safe_dump(values))


def test_pretrained_weights_have_one_width(path):
    assert "set pretrained: none" in message(path, path.read_text().replace("pretrained: none", "pretrained: imagenet"))


def test_step_policy_needs_its_keys(path):
    values = yaml.safe_load(path.read_text())
    del values["gamma"]
    assert "no key 'gamma'" in message(path, yaml.safe_dump(values))


@pytest.mark.parametrize("text, expected", [
    ("", "an empty file"), ("a: [", "not YAML"), ("- 1\n- 2", "keys and values"), ("lr: 1\nlr: 2\n", "twice"),
    ("? [a, b]\n: 1", ":1: found a list or section as a key"), ("a: &a {b: *a}", "a section within itself"),
    ("lr: 1\nbeta1: 2024-02-31", ":2: found a value that cannot be read")])
def test_files_that_are_no_configuration(path, text, expected):
    assert expected in message(path, text)


def test_overrides(path):
    config = load_config(path, ["lr=1e-3", "model.code_len=16", "filter_labels=[1, 2]", "model.class_weights=null"])
    assert (config.lr, config.model.code_len, config.filter_labels) == (1e-3, 16, [1, 2])
    assert "--set model.codelen=3" in message(path, overrides=["model.codelen=3"])
    assert "'lr'" in message(path, overrides=["lr"])
    assert "a value that cannot be read" in message(path, overrides=["max_iter=2024-02-31"])
    assert "a value that is not YAML" in message(path, overrides=["model_name=[1"])
    assert "the key 'a' twice" in message(path, overrides=["model={a: 1, a: 2}"])
    assert "model.code_length" in message(path, overrides=["model={code_length: 4}"])
    assert "holds no keys" in message(path, overrides=["lr.x=3"])
    assert "an even number" in message(path, overrides=["batch_size=3"])
    assert "keys and values" in message(path, "- 1", overrides=["lr=1"])


def test_numbers_that_yaml_reads_as_text(path):
    assert load_config(path, ["lr=1e-5", "max_iter=5e4"]).max_iter == 50000


NAMES = ["2024", "007", "no", "on", "null", "2024-01-01", "2024-02-31", "1_000", "0x10", ".5", "12:30", "1e-3", "=",
         "<<", ".inf"]


@pytest.mark.parametrize("name", NAMES)
def test_text_is_read_as_it_is_written(path, name):
    assert load_config(path, [f"model_name={name}"]).model_name == name
    text = path.read_text().replace("model_name: small", f"model_name: {name}")
    path.write_text(text)
    config = load_config(path)
    assert config.model_name == name
    path.write_text(yaml.safe_dump(config.as_dict()))
    assert load_config(path).model_name == name


def test_a_quoted_value_and_no_value_stay(path):
    assert load_config(path, ["model_name='no'", "cache=off"]).cache == "off"
    for nothing in ("", "~"):
        assert "nothing" in message(path, overrides=[f"model_name={nothing}"])
    assert load_config(path, ["model.weights_file=null"]).model.weights_file is None


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks(path, encoding):
    before = load_config(path).as_dict()
    path.write_bytes(path.read_text().encode(encoding))
    assert load_config(path).as_dict() == before


def test_plain_types_survive_the_round_trip(path):
    config = load_config(path)
    again = config_from_dict(yaml.safe_load(yaml.safe_dump(config.as_dict())))
    assert again.as_dict() == config.as_dict()


def test_data_keys_are_asked_for_when_needed(path):
    values = yaml.safe_load(path.read_text())
    del values["test_list_file"]
    path.write_text(yaml.safe_dump(values))
    config = load_config(path)
    with pytest.raises(ConfigError, match="'test_list_file'"):
        config.require_data("test_list_file")


@pytest.mark.parametrize(("text", "found"), [
    ("b0: &b0 [1, 1]\n" + "".join(f"b{i}: &b{i} [*b{i - 1}, *b{i - 1}]\n" for i in range(1, 60)),
     "more than 50000 values"),
    ("a: &a {b: *a}", "a section within itself"), ("[" * 100_000, "a section within itself"),
    ("a: " + "x" * 600_000, "more than 524288 bytes"), ("lr: !!bool x", "a value that cannot be read"),
    ("lr: !!float ''", "a value that cannot be read"), ('model_name: "a\\0b"', "found model_name: .*, expected text"),
])
def test_hostile_files_are_refused_at_once(tmp_path, text, found):
    (tmp_path / "config.yaml").write_text(text)
    with limits(3, 100), pytest.raises(ConfigError, match=found):
        load_config(tmp_path / "config.yaml")


def test_many_class_weights_are_read(tmp_path):
    weights = ", ".join(["1.25"] * 21_841)
    text = (ROOT / "configs" / "demo.yaml").read_text().replace(
        "class_num: 24", f"class_num: 21841\n  multi_label: true\n  class_weights: [{weights}]")
    (tmp_path / "config.yaml").write_text(text)
    assert len(load_config(tmp_path / "config.yaml").model.class_weights) == 21_841
