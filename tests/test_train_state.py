"""The state of a run in ``optimizer.pt``: taken back where it fits, refused by name where it does not."""

import copy
import re

import numpy as np
import pytest
import torch

from ibc import checkpoint
from ibc.commands.train import COMMAND as TRAIN
from ibc.config import ModelConfig, load_config
from ibc.errors import InputError
from ibc.network import IBC
from ibc.train_state import restore_training, training_state
from ibc.trainer import Trainer
from tests.small_run import make_run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(configuration, the state after two updates)."""
    config = load_config(make_run(tmp_path_factory.mktemp("run"), images=8))
    trainer = Trainer(config, pretrained=False)
    for _ in range(2):
        trainer.step(torch.randn(8, 3, 72, 72), torch.arange(8.0)[:, None] % 4)
    return config, training_state(trainer)


def changed(state, place, value):
    state = copy.deepcopy(state)
    *path, last = place
    inner = state
    for part in path:
        inner = inner[part]
    if value is KeyError:
        del inner[last]
    else:
        inner[last] = value
    return state


MOMENTS = ("optimizer", "state", 3)
ODD = [
    (("optimizer",), KeyError), (("optimizer",), 3), (("optimizer",), []), (("optimizer", "state"), KeyError),
    (("optimizer", "state"), [1]), (("optimizer", "param_groups"), {}), (("optimizer", "param_groups"), []),
    (("optimizer", "param_groups", 1), 3), (("optimizer", "param_groups", 1, "params"), "ab"),
    (("optimizer", "param_groups", 1, "params"), [0]), (("optimizer", "param_groups", 1, "params", 0), "x"),
    (("optimizer", "state", 999), {}), (("optimizer", "state", "a"), {}), (MOMENTS, 3), (MOMENTS, {}), (MOMENTS, None),
    ((*MOMENTS, "exp_avg"), torch.zeros(256, device="meta")), ((*MOMENTS, "step"), torch.zeros(1, device="meta")),
    ((*MOMENTS, "exp_avg"), torch.zeros(2)), ((*MOMENTS, "exp_avg"), 1.0), ((*MOMENTS, "exp_avg_sq"), KeyError),
    ((*MOMENTS, "exp_avg_sq"), torch.zeros(2, 2).to_sparse()), ((*MOMENTS, "step"), "x"), ((*MOMENTS, "step"), None),
    ((*MOMENTS, "step"), float("nan")), ((*MOMENTS, "step"), -1), ((*MOMENTS, "step"), torch.zeros(3)),
    (("random", "torch"), torch.zeros(3)), (("random", "torch"), "x"), (("random", "torch"), torch.zeros(9).byte())]


@pytest.mark.parametrize(("place", "value"), ODD)
def test_a_state_that_does_not_fit_is_noticed_before_adam(trained, place, value):
    config, state = trained
    with pytest.raises(InputError, match=r"o\.pt: found an optimiser state that does not fit \(.*delete it to go on"):
        restore_training(Trainer(config, pretrained=False), changed(state, place, value), "o.pt")


@pytest.mark.parametrize("bits", [6, 12])
def test_that_of_another_network(trained, bits):
    config, state = trained
    other = copy.deepcopy(config)
    other.model.code_len = bits
    with pytest.raises(InputError, match=r"parameter \d+: exp_avg of shape \(8, .* for a weight of"):
        restore_training(Trainer(other, pretrained=False), state, "o.pt")


def test_what_fits_is_taken_back_with_the_rates_of_the_configuration(trained):
    config, state = trained
    trainer = Trainer(config, pretrained=False)
    own = changed(state, ("optimizer", "param_groups", 0, "lr"), 77.0)
    own["optimizer"]["param_groups"][0]["of another program"] = "x"
    own["optimizer"]["state"][3]["of another program"] = torch.zeros(3, device="meta")
    for entry in own["optimizer"]["state"].values():
        entry["step"] = 2  # a plain number, as the first versions of Adam kept it
    restore_training(trainer, own, "o.pt")
    assert trainer.iteration == 2
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(config.lr)
    assert "of another program" not in trainer.optimizer.param_groups[0]
    again = training_state(trainer)["optimizer"]["state"]
    for number, entry in state["optimizer"]["state"].items():
        assert all(torch.equal(entry[name], again[number][name]) for name in ("exp_avg", "exp_avg_sq", "step"))
    restore_training(Trainer(config, pretrained=False), {"optimizer": state["optimizer"]}, "o.pt")  # the official one


@pytest.mark.parametrize("change", [
    {"iteration": "5"}, {"iteration": 7}, {"iteration": None}, {"iteration": torch.ones(2)}, {"optimizer": 1},
    {"random": {"torch": 1}}])
def test_resumption_says_it_in_one_line(tmp_path, capsys, change):
    config = make_run(tmp_path / "data", max_iter=5)
    flags = ["--config", str(config), "--device", "cpu", "--output_path", str(tmp_path)]
    assert TRAIN(flags) == 0
    file = tmp_path / "outputs/small/checkpoints/optimizer.pt"
    torch.save({**torch.load(file, weights_only=True), **change}, file)
    capsys.readouterr()
    assert TRAIN([*flags, "--resume", "--set", "max_iter=6"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"error: {file}: found "), lines


@pytest.mark.parametrize("listed", [{"images": torch.ones(3)}, {"images": []}, 3, {"names": {}}])
def test_an_odd_digest_of_the_list_is_left_alone(tmp_path, capsys, listed):
    config = make_run(tmp_path / "data", max_iter=5)
    flags = ["--config", str(config), "--device", "cpu", "--output_path", str(tmp_path)]
    assert TRAIN(flags) == 0
    file = tmp_path / "outputs/small/checkpoints/optimizer.pt"
    torch.save({**torch.load(file, weights_only=True), "train_list": listed}, file)
    assert TRAIN([*flags, "--resume", "--set", "max_iter=6"]) == 0


def small_state():
    return IBC(ModelConfig(8, 4, 5.0, pretrained="none", fc_dim=16)).state_dict()


CHECKPOINTS = {
    "numbers as keys": lambda state: {"state_dict": {1: state["GRM"]}}, "a list": lambda state: list(state.values()),
    "an odd GRM": lambda state: {**state, "GRM": torch.ones(3)},
    "a scalar GRM": lambda state: {**state, "GRM": torch.tensor(1.0)},
    "a scalar layer": lambda state: {**state, "enc_style.hash_layer.weight": torch.tensor(1.0)},
    "bits that lie in one number": lambda state: {**state, "GRM": torch.ones(1).expand(10**6, 10**6)},
    "whole numbers": lambda state: {**state, "GRM": state["GRM"].long()},
    "complex numbers": lambda state: {**state, "GRM": state["GRM"] + 1j},
    "quantised": lambda state: {**state, "GRM": torch.quantize_per_tensor(state["GRM"], 0.1, 0, torch.quint8)},
    "no memory": lambda state: {**state, "GRM": state["GRM"].to("meta")},
    "nested": lambda state: {**state, "GRM": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])},
    "texts": lambda state: {"state_dict": {"GRM": "x"}}, "None": lambda state: {"state_dict": None},
    "nothing": lambda state: {},
    "empty": lambda state: {**state, "GRM": torch.ones(0, 8)}, "numpy": lambda state: {**state, "GRM": np.ones((4, 8))}}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", CHECKPOINTS)
@pytest.mark.parametrize("config", [None, ModelConfig(8, 4, 5.0, pretrained="none", fc_dim=16)])
def test_checkpoints_of_another_kind(tmp_path, kind, config):
    content = CHECKPOINTS[kind](small_state())
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'a.pt'}: found ")):
        checkpoint.load_model(tmp_path / "a.pt", config)
