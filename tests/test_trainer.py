"""One update against the official implementation, and against a plain two-pass twin."""

import json

import numpy as np
import pytest
import torch

from ibc.config import config_from_dict
from ibc.trainer import Trainer
from tests.official_weights import set_official_weights

CASES = ("train_case1", "train_case3")


def official_batch(count=8):
    return torch.randn(count, 3, 227, 227, generator=torch.Generator().manual_seed(7))


def official_config(record):
    values = {**record["config"], "batch_size": 8}
    values["model"] = {**values["model"], "pretrained": "none"}
    return config_from_dict(values)


@pytest.mark.parametrize("case", CASES)
def test_three_updates_equal_the_official_ones(golden, case):
    record = json.loads((golden / f"{case}.json").read_text())
    arrays = np.load(golden / f"{case}.npz")
    trainer = Trainer(official_config(record))
    model = trainer.model
    set_official_weights(model)
    images, labels = official_batch(), torch.from_numpy(arrays["labels"])
    seed_names = dict(zip(record["param_names"], record["param_norms_before"], strict=True))
    parameters = dict(model.named_parameters(remove_duplicate=False))

    def assert_norms(expected, tolerance):
        for name, norm in zip(seed_names, expected, strict=True):
            assert parameters[name].double().norm().item() == pytest.approx(norm, rel=tolerance), name

    assert_norms(record["param_norms_before"], 1e-5)
    model.eval()
    with torch.no_grad():
        out = model(images)
        assert torch.equal(model.encode(images), out.codes)
    assert np.abs(out.codes.numpy() - arrays["codes_before"]).max() < 2e-6
    assert np.abs(out.maps[0].numpy() - arrays["conv_out_before_img0"]).max() < 2e-5
    assert out.real_logits.numpy() == pytest.approx(arrays["real_logits_before"], abs=2e-5)
    model.train()
    for number, expected in enumerate(record["losses"]):
        values = trainer.step(images, labels)
        assert tuple(values) == trainer.objective.loss_names
        for name, value in expected.items():
            assert float(values[name]) == pytest.approx(value, rel=1e-5 if number == 0 else 2e-4, abs=1e-9), name
        rates = [group["lr"] for group in trainer.optimizer.param_groups]
        assert rates == pytest.approx(record["lr_after_step"][number], rel=1e-12)
        for name, norm in zip(record["param_names"], record["grad_norms_at_step"][number], strict=True):
            gradient = parameters[name].grad
            assert (gradient is None) == (norm is None), name
            if norm is not None and number == 0:
                assert gradient.double().norm().item() == pytest.approx(norm, rel=1e-5), name
        assert_norms(record["param_norms_after_step"][number], 1e-5)
        assert np.abs(model.grm.detach().numpy() - arrays[f"GRM_after_step{number + 1}"]).max() < 2e-6
    model.eval()
    with torch.no_grad():
        assert np.abs(model.encode(images).numpy() - arrays["codes_after"]).max() < 2e-4
