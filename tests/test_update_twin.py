"""The single-pass update against the plain two-pass one, in every mode the paper's configs can ask for."""

import copy

import pytest
import torch

from ibc.config import config_from_dict
from ibc.network import IBC, pool_maps
from ibc.optimiser import project_grm
from ibc.trainer import Trainer
from tests.plain_twin import PlainTrainer

CLASSES = 5


def config_for(**changes):
    model = {"code_len": 12, "class_num": CLASSES, "thr_g": 10, "pretrained": "none", "fc_dim": 24,
             **changes.pop("model", {})}
    return config_from_dict({
        "model": model, "lr": 1e-5, "beta1": 0.9, "beta2": 0.999, "weight_decay": 5e-4, "init": "kaiming",
        "hash_std_w": 1, "hash_mask_w": 0.2, "GRM_w": 1e-2, "align_w": 1e3, "real_std_w": 1, "real_mask_w": 0.05,
        "sparse_w": 0.1, "lr_policy": "step", "step_size": 2, "gamma": 0.1, **changes})


def ids(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


MULTI = torch.tensor([[0, 1, 0, 1, 1], [1, 0, 0, 0, 0], [0, 0, 1, 1, 0], [1, 1, 1, 0, 0],
                      [0, 1, 1, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0], [1, 0, 0, 1, 1]], dtype=torch.float64)

CASES = {
    "ids": (config_for(), ids(0, 1, 2, 3, 4, 0, 1, 2)),
    "some without category": (config_for(), ids(0, 99999, 2, 3, 99999, 0, 99999, 2)),
    "one valid row a half": (config_for(), ids(99999, 99999, 2, 99999, 99999, 99999, 99999, 1)),
    "masked half without category": (config_for(), ids(0, 1, 2, 3, 99999, 99999, 99999, 99999)),
    "no category at all": (config_for(), ids(*[99999] * 8)),
    "two images": (config_for(), ids(3, 1)),
    "class weights": (config_for(model={"class_weights": [1, 2, 0.5, 3, 1]}), ids(0, 1, 2, 99999, 4, 0, 1, 2)),
    "multi-label": (config_for(model={"multi_label": True}), MULTI),
    "multi-label, class weights": (config_for(model={"multi_label": True, "class_weights": [1, 2, 0.5, 3, 1]}), MULTI),
    "256 bits": (config_for(model={"code_len": 256}), ids(0, 1, 2, 3, 4, 0, 1, 2)),
    "constant rate": (config_for(lr_policy="constant"), ids(0, 1, 2, 3, 4, 0, 1, 2)),
}


@pytest.mark.parametrize("case", CASES)
def test_single_pass_equals_two_passes(case):
    config, labels = CASES[case]
    fast = Trainer(config)
    fast.model.double()
    plain = PlainTrainer(config, model=copy.deepcopy(fast.model))
    for trainer in (fast, plain):
        for module in trainer.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    images = torch.randn(len(labels), 3, 70, 70, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for trainer in (fast, plain):
            trainer.model.GRM[:, 3] = 0   # a column of zeros must stay, not become NaN
            trainer.model.GRM[:, 4] *= -1  # its largest magnitude is negative
    for number in range(3):
        results = []
        for trainer in (fast, plain):
            torch.manual_seed(number)  # the multi-label draws
            results.append(trainer.step(images, labels))
        for name, value in results[1].items():
            assert float(results[0][name].detach()) == pytest.approx(float(value.detach()), rel=1e-6, abs=1e-9), name
        pairs = zip(fast.model.named_parameters(), plain.model.named_parameters(), strict=True)
        for (name, one), (_, other) in pairs:
            assert (one.grad is None) == (other.grad is None), name
            # Adam divides by sqrt(v) + 1e-8: gradients near 1e-8 carry rounding into the weights.
            assert torch.allclose(one, other, rtol=1e-6, atol=3e-7), name


def test_projection():
    grm = torch.tensor([[0.5, 0.0, -2.0], [0.25, 0.0, 1.0], [-0.1, 0.0, 0.5]])
    project_grm(grm)
    assert grm.tolist() == [[1.0, 0.0, 0.0], [0.5, 0.0, 0.5], [0.0, 0.0, 0.25]]


def test_optimizer_groups_are_the_official_ones(golden):
    import json
    record = json.loads((golden / "optimizer_groups_k32.json").read_text())
    trainer = Trainer(config_for(lr=1e-4, model={"code_len": 32, "class_num": 10, "fc_dim": 4096}))
    names = {}
    for name, parameter in trainer.model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    for group, official in zip(trainer.optimizer.param_groups, record, strict=True):
        assert [min(names[id(parameter)]) for parameter in group["params"]] == official["params"]
        assert group["initial_lr"] == pytest.approx(official["initial_lr"])
        for key in ("eps", "weight_decay"):
            assert group[key] == official[key]
        assert list(group["betas"]) == official["betas"]


def test_other_image_sizes_reach_the_same_layers():
    model = IBC(config_for().model).eval()
    for side in (64, 100, 160, 224, 227, 300):
        out = model(torch.randn(1, 3, side, side + 3))
        assert out.codes.shape == (1, 12) and out.maps.shape == (1, 12, 6, 6)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-14), (torch.float32, 1e-6)])
def test_maps_are_pooled_to_torchs_averages(dtype, tolerance):
    for height, width in ((13, 9), (6, 7), (1, 3), (31, 5)):
        maps = torch.randn(2, 4, height, width, dtype=dtype)
        assert (pool_maps(maps) - torch.nn.functional.adaptive_avg_pool2d(maps, 6)).abs().max() < tolerance
