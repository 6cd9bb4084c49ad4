"""The faster update against the plain one, written in ``ibc.update``."""

import pytest
import torch

from ibc.config import load_config
from ibc.trainer import Trainer
from tests.small_run import make_run


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_faster_update_changes_no_weight(tmp_path, compiled):
    """In float64 to rounding, dropout included: the same random numbers, in the same order."""
    config = load_config(make_run(tmp_path / "data", images=8))
    plain = Trainer(config, plain=True)
    fast = Trainer(config, compile_update=compiled)
    for trainer in (plain, fast):
        trainer.model.double()
    generator = torch.Generator().manual_seed(0)
    for number in range(3):
        images = torch.randint(0, 256, (8, 3, 70, 70), dtype=torch.uint8, generator=generator)
        labels = torch.randint(0, 4, (8, 1), generator=generator).float()
        labels[number] = 99999
        results = []
        for trainer in (plain, fast):
            torch.manual_seed(number)
            if compiled:
                for module in trainer.model.modules():
                    if isinstance(module, torch.nn.Dropout):
                        module.p = 0.0
            results.append(trainer.step(images, labels))
        for name, value in results[0].items():
            assert float(results[1][name]) == pytest.approx(float(value), rel=1e-9, abs=1e-12), name
    for (name, one), other in zip(plain.model.named_parameters(), fast.model.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-12), name
