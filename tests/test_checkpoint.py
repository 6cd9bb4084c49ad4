"""Checkpoints: official names and shapes, both directions, and refusals that say why."""

import json

import pytest
import torch

from ibc import checkpoint
from ibc.config import ModelConfig
from ibc.errors import InputError
from ibc.network import IBC, alias_groups
from ibc.pretrained import load_pretrained


def small(bits=8, classes=4, **changes):
    return ModelConfig(bits, classes, 5.0, **{"pretrained": "none", "fc_dim": 16, **changes})


@pytest.mark.parametrize("bits", [32, pytest.param(256, marks=pytest.mark.slow)])
def test_names_order_shapes_and_aliases_are_the_official_ones(golden, tmp_path, bits):
    official = json.loads((golden / f"state_dict_k{bits}.json").read_text())
    model = IBC(ModelConfig(bits, 10, 20.0))
    path = checkpoint.save_checkpoint(tmp_path, model, 7, {})
    written = torch.load(path, weights_only=True)["state_dict"]
    assert [(name, list(value.shape)) for name, value in written.items()] == list(official["keys"].items())
    shared = sorted(sorted(names) for names in alias_groups(model) if len(names) > 1)
    assert shared == sorted(sorted(names) for names in official["aliases"])
    for names in shared:
        assert all(torch.equal(written[names[0]], written[name]) for name in names)


@pytest.mark.parametrize("bits", [8, 256])
def test_an_official_file_loads(tmp_path, bits):
    """The official program writes {'state_dict'} alone, every alias a tensor of its own."""
    model = IBC(small(bits)).eval()
    torch.save({"state_dict": {name: value.clone() for name, value in model.state_dict().items()}}, tmp_path / "c.pt")
    images = torch.randn(2, 3, 64, 64)
    for config in (small(bits), None):
        loaded = checkpoint.load_model(tmp_path / "c.pt", config)
        assert torch.equal(loaded.encode(images), model.encode(images))
        assert torch.equal(loaded(images).real_logits, model(images).real_logits)
        assert len(alias_groups(loaded)) == len(alias_groups(model))  # still one tensor under its names
    other = IBC(small(bits))
    checkpoint.load_weights(other, tmp_path / "c.pt")
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())


def test_what_does_not_fit_is_said(tmp_path):
    path = checkpoint.save_checkpoint(tmp_path, IBC(small()), 1, {})
    with pytest.raises(InputError, match=r"code length 8, expected 16.*model\.code_len to 8"):
        checkpoint.load_model(path, small(16))
    with pytest.raises(InputError, match=r"number of classes 4, expected 5.*model\.class_num"):
        checkpoint.load_model(path, small(classes=5))
    with pytest.raises(InputError, match="fc_dim"):
        checkpoint.load_model(path, small(fc_dim=32))
    state = IBC(small()).state_dict()
    torch.save({"state_dict": {**state, "enc_style.fc1.weight": state["enc_style.fc1.weight"] + 1}}, tmp_path / "d.pt")
    with pytest.raises(InputError, match="differ"):
        checkpoint.load_model(tmp_path / "d.pt", small())
    del state["enc_style.hash_layer.bias"]
    torch.save({"state_dict": state}, tmp_path / "e.pt")
    with pytest.raises(InputError, match=r"no weight 'enc_style\.hash_layer\.bias'"):
        checkpoint.load_model(tmp_path / "e.pt", small())


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('ran code from a file')",))


def test_no_file_is_trusted(tmp_path):
    whole = checkpoint.save_checkpoint(tmp_path, IBC(small()), 1, {}).read_bytes()
    torch.save({"state_dict": Evil()}, tmp_path / "evil.pt")
    for name, content in {"empty.pt": b"", "text.pt": b"hello", "torn.pt": whole[: len(whole) // 2]}.items():
        (tmp_path / name).write_bytes(content)
    torch.save([1, 2], tmp_path / "list.pt")
    for name in ("evil.pt", "empty.pt", "text.pt", "torn.pt", "list.pt"):
        with pytest.raises(InputError, match=name):
            checkpoint.load_model(tmp_path / name, small())


def test_half_precision_is_read_and_whole_numbers_are_not(tmp_path):
    model = IBC(small()).eval()
    halves = {name: value.half() for name, value in model.state_dict().items()}
    torch.save({"state_dict": halves}, tmp_path / "half.pt")
    loaded = checkpoint.load_model(tmp_path / "half.pt")
    assert all(torch.equal(value, halves[name].float()) for name, value in loaded.state_dict().items())
    for odd in (halves["GRM"].int(), halves["GRM"].float().to_sparse()):
        torch.save({"state_dict": {**halves, "GRM": odd}}, tmp_path / "odd.pt")
        with pytest.raises(InputError, match=r"odd\.pt: found 'GRM' of torch\."):
            checkpoint.load_model(tmp_path / "odd.pt")


def test_checkpoints_are_found_by_number(tmp_path):
    path = checkpoint.save_checkpoint(tmp_path, IBC(small()), 80000, {})
    assert path.name == "checkpoint_00080000.pt"
    for name in ("checkpoint_80000.pt", "checkpoint_00080000.pt", ""):
        assert checkpoint.find_checkpoint(tmp_path / name) == path
    with pytest.raises(InputError, match=r"present: checkpoint_00080000\.pt"):
        checkpoint.find_checkpoint(tmp_path / "checkpoint_70000.pt")


def test_interrupted_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "checkpoint_00000001.pt"
    checkpoint.save_file(path, {"state_dict": {}})
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        checkpoint.save_file(path, {"state_dict": lambda: None})  # cannot be pickled: fails half way
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [path.name]


def test_places365_file(tmp_path):
    """Published as {'state_dict'} with 'module.' in the keys and 365 outputs."""
    config = ModelConfig(8, 4, 5.0, is_sun=True, weights_file=str(tmp_path / "places.pth.tar"))
    source = IBC(config).enc_style.alexnet.state_dict()
    renamed = {name.replace("features.", "features.module."): value for name, value in source.items()}
    torch.save({"state_dict": renamed, "epoch": 90}, config.weights_file)
    model = IBC(config)
    load_pretrained(model, config)
    encoder = model.enc_style
    assert all(torch.equal(value, source[name]) for name, value in encoder.alexnet.state_dict().items())
    assert torch.equal(encoder.second_fc[1].weight, source["classifier.4.weight"])
    assert encoder.second_fc[0].weight.shape != source["classifier.1.weight"].shape  # fc1 is fresh
    del renamed["classifier.6.bias"]
    torch.save({"state_dict": renamed}, config.weights_file)
    with pytest.raises(InputError, match=r"classifier\.6\.bias"):
        load_pretrained(model, config)


def test_pretrained_weights_that_cannot_be_fetched(tmp_path, monkeypatch):
    from urllib.error import URLError

    def offline(*_, **__):
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(InputError, match=rf"alexnet-owt-7be5be79\.pth; put it at {tmp_path}.*pretrained=none"):
        load_pretrained(IBC(ModelConfig(8, 4, 5.0)), ModelConfig(8, 4, 5.0))


@pytest.mark.parametrize("wrapper", ["module", "_orig_mod", "model", "module._orig_mod", "whole", "whole inside",
                                     "net"])
def test_wrapped_ibc_checkpoints(tmp_path, wrapper):
    model = IBC(small()).eval()
    state = model.state_dict()
    content = {"whole": model, "whole inside": {"model": model, "args": [1]}, "net": {"net": state, "best": 0.5}}.get(
        wrapper, {"state_dict": {f"{wrapper}.{name}": value for name, value in state.items()}})
    torch.save(content, tmp_path / "a.pt")
    loaded = checkpoint.load_model(tmp_path / "a.pt")
    assert all(torch.equal(value, state[name]) for name, value in loaded.state_dict().items())
    assert checkpoint.read_config(tmp_path / "a.pt") == {}
