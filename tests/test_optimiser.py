"""The optimiser's groups beside the official ones, and the projection of the rule matrix by hand."""

import pytest
import torch
from torch import nn

from ibc.config import ModelConfig, load_config
from ibc.network import IBC
from ibc.optimiser import make_optimizer, project_grm
from ibc.ready_configs import ready_config


def test_layers_of_an_objective_are_one_group_more_at_ten_times_the_rate():
    config = load_config(ready_config("demo.yaml"), ["lr=0.003"])
    model, own = IBC(ModelConfig(8, 4, 5.0, pretrained="none", fc_dim=16)), nn.Parameter(torch.ones(2))
    assert len(make_optimizer(model, config).param_groups) == 8
    group = make_optimizer(model, config, [own]).param_groups[8]
    assert group["params"] == [own] and group["lr"] == group["initial_lr"] == pytest.approx(0.03)


def test_projection_by_hand():
    grm = torch.tensor([[2.0, -0.5, 0.0, 0.25], [1.0, -0.25, 0.0, -1.0], [-4.0, 0.1, 0.0, 0.5]])
    project_grm(grm)
    wanted = [[0.5, 0, 0, 0.25], [0.25, 0, 0, 0], [0, 0.2, 0, 0.5]]
    assert torch.allclose(grm, torch.tensor(wanted))
