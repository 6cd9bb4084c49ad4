"""A run with ``ibc_plus``: goes on bit for bit, and its checkpoint is an official one with a layer beside it."""

import torch

from ibc.checkpoint import infer_model_config, load_model
from ibc.network import IBC
from tests.small_run import error_of, make_run, run

# Nothing that depends on max_iter, so that a shorter run is the beginning of a longer one.
PLUS = ["--set", "objective=ibc_plus", "--set", "plus.quantise_w=0", "--set", "lr_policy=constant",
        "--set", "crop=strong"]


def train(config, folder, *words):
    return run("train.py", "--config", config, "--output_path", folder, "--device", "cpu", *words)


def saved(folder, number):
    return torch.load(folder / f"outputs/small/checkpoints/checkpoint_{number:08d}.pt", weights_only=True)


def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path):
    config = make_run(tmp_path / "data", max_iter=10)
    assert train(config, tmp_path / "whole", *PLUS).returncode == 0
    assert train(config, tmp_path / "parts", *PLUS, "--set", "max_iter=5").returncode == 0
    assert train(config, tmp_path / "parts", *PLUS, "--resume").returncode == 0
    whole, parts = saved(tmp_path / "whole", 10), saved(tmp_path / "parts", 10)
    assert set(whole["objective"]) == {"filter_classifier.weight", "filter_classifier.bias"}
    for section in ("state_dict", "objective"):
        assert all(torch.equal(value, parts[section][name]) for name, value in whole[section].items())
    assert not torch.equal(saved(tmp_path / "parts", 5)["objective"]["filter_classifier.weight"],
                           whole["objective"]["filter_classifier.weight"])


def test_checkpoints_have_the_official_names(tmp_path):
    config = make_run(tmp_path / "data", max_iter=2)
    assert train(config, tmp_path, *PLUS).returncode == 0
    content = saved(tmp_path, 2)
    official = IBC(infer_model_config(content["state_dict"], "checkpoint"))
    official.load_state_dict(content["state_dict"])
    model = load_model(tmp_path / "outputs/small/checkpoints/checkpoint_00000002.pt")
    images = torch.randn(2, 3, 72, 72)
    assert torch.allclose(model.encode(images), official.eval().encode(images), atol=1e-6)


def test_a_run_of_another_objective_is_not_resumed(tmp_path):
    config = make_run(tmp_path / "data", max_iter=2)
    assert train(config, tmp_path).returncode == 0
    line = error_of(train(config, tmp_path, *PLUS, "--set", "max_iter=4", "--resume"))
    assert "objective" in line and "--init_from" in line
    assert train(config, tmp_path / "new", *PLUS, "--init_from",
                 tmp_path / "outputs/small/checkpoints").returncode == 0
