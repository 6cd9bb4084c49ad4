"""Weights of torchvision's networks, under all the names and with all the heads that their files come with."""

import re
from inspect import signature

import pytest
import torch
from torch import nn
from torchvision import models

from ibc.dissection.torchvision_encoder import torchvision_encoder
from ibc.dissection.torchvision_weights import filled_network, published_network, published_of
from ibc.errors import InputError

VIDEO = ("mc3_18", "mvit_v1_b", "mvit_v2_s", "r2plus1d_18", "r3d_18", "s3d", "swin3d_b", "swin3d_s", "swin3d_t")
NAMES = [name for name in models.list_models() if not name.startswith(("quantized_", "raft_")) and name not in VIDEO]
SOME = ["alexnet", "densenet121", "fasterrcnn_mobilenet_v3_large_320_fpn", "googlenet", "inception_v3",
        "lraspp_mobilenet_v3_large", "maskrcnn_resnet50_fpn", "mnasnet0_5", "regnet_x_400mf", "retinanet_resnet50_fpn",
        "squeezenet1_0", "ssdlite320_mobilenet_v3_large", "swin_v2_t", "vit_b_16", "deeplabv3_mobilenet_v3_large"]
HUGE = "regnet_y_128gf"  # 2.6 GB
QUICK_OR_ALL = [name if name in SOME else pytest.param(name, marks=pytest.mark.slow) for name in NAMES if name != HUGE]


def place_for(name):
    """Networks are built without memory for their weights where torchvision can do that."""
    return torch.device("cpu" if name.startswith("regnet") else "meta")


def plain(name, **options):
    known = signature(models.get_model_builder(name)).parameters
    if "weights_backbone" in known:
        options["weights_backbone"] = None
    if name in ("googlenet", "inception_v3"):
        options.setdefault("aux_logits", True)
        options["init_weights"] = False
    return models.get_model(name, weights=None, **options)


def shapes(values):
    return {name: tuple(value.shape) for name, value in values.items()}


@pytest.mark.parametrize("name", QUICK_OR_ALL)
def test_every_network_takes_its_own_weights(name):
    options = [{}, {"num_classes": 7}]
    if "aux_loss" in signature(models.get_model_builder(name)).parameters:
        options += [{"aux_loss": True}, {"aux_loss": True, "num_classes": 7}]
    if name in ("googlenet", "inception_v3"):
        options += [{"aux_logits": False}, {"num_classes": 7, "aux_logits": False}]
    if name.startswith("vit_"):
        options += [{"image_size": 384 if name != "vit_h_14" else 518}]
    with place_for(name):
        for more in options:
            values = plain(name, **more).state_dict()
            wrapped = {f"module.{key}": value for key, value in values.items()}
            old = {key: value for key, value in values.items() if "num_batches" not in key}  # of before PyTorch 0.4.1
            for given in (values, wrapped, old):
                assert shapes(filled_network(name, given, "a.pt").state_dict()) == shapes(values)


@pytest.mark.parametrize("name", QUICK_OR_ALL)
def test_published_weights_give_the_network_of_torchvision(name, monkeypatch):
    """What torchvision makes of the weights, but for the weights: heads, scales, constants, kinds of layers."""
    for published in published_of(name):
        with place_for(name):
            with monkeypatch.context() as patch:
                patch.setattr(models.WeightsEnum, "get_state_dict", lambda *_, **__: {})
                patch.setattr(nn.Module, "load_state_dict", lambda *_, **__: None)
                theirs = models.get_model(name, weights=published)
            values = plain(name).state_dict() if name in ("googlenet", "inception_v3") else theirs.state_dict()
            ours = published_network(name, published, values, "a.pt")
        assert repr(ours) == repr(theirs) and shapes(ours.state_dict()) == shapes(theirs.state_dict())
        assert getattr(ours, "transform_input", None) == getattr(theirs, "transform_input", None)


@pytest.mark.parametrize("name", ["densenet121", pytest.param("densenet201", marks=pytest.mark.slow)])
def test_old_names_of_densenet(name, tmp_path):
    """norm.1 for norm1, as in torchvision's own files and in that of Places365, of 365 classes and DataParallel."""
    net = models.get_model(name, weights=None, num_classes=365)
    wanted = net.state_dict()
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", key): value for key, value in wanted.items()}
    torch.save({"arch": name, "state_dict": {f"module.{key}": value for key, value in old.items()}}, tmp_path / "a.pt")
    found = torchvision_encoder(name, ["features"], str(tmp_path / "a.pt")).module.state_dict()
    assert list(found) == list(wanted) and all(torch.equal(found[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_versions_of_layers_are_kept(scale):
    """Files of the first MNASNets have another first layer, which only the version in their state dict tells."""
    net = models.MNASNet(scale)
    name = "mnasnet1_0" if scale == 1 else "mnasnet0_5"
    values = net.state_dict()
    assert all(torch.equal(value, values[key]) for key, value in filled_network(name, values, "a").state_dict().items())
    without = dict(values)
    assert shapes(filled_network(name, without, "a").state_dict()) == shapes(values)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_input_is_scaled_as_torchvision_scales_it(name, tmp_path, capsys):
    net = plain(name, aux_logits=True)
    file = tmp_path / models.get_model_weights(name).IMAGENET1K_V1.url.rpartition("/")[2]
    torch.save(net.state_dict(), file)
    torch.save(net.state_dict(), tmp_path / "mine.pt")
    layer = "inception5b" if name == "googlenet" else "Mixed_7c"
    published, mine = (torchvision_encoder(name, [layer], str(path)) for path in (file, tmp_path / "mine.pt"))
    assert published.module.transform_input and not mine.module.transform_input
    assert published.fingerprint() != mine.fingerprint()  # results of the one are not taken for those of the other
    assert "transform_input off" in capsys.readouterr().err
    old = file.with_name(file.name.rpartition("-")[0] + "-1a9a5a14.pth")  # as an earlier version of torchvision had it
    file.rename(old)
    assert torchvision_encoder(name, [layer], str(old)).module.transform_input
    torch.save({"state_dict": plain(name, aux_logits=False, num_classes=3).state_dict()}, old)
    assert not torchvision_encoder(name, [layer], str(old)).module.transform_input  # somebody's own, under the name
    assert "transform_input off" in capsys.readouterr().err


def test_networks_that_find_objects_normalise_images_themselves():
    encoder = torchvision_encoder("ssdlite320_mobilenet_v3_large", ["backbone.features.0"], None)
    assert encoder.normalises and not torchvision_encoder("resnet18", ["layer1"], None).normalises


@pytest.mark.parametrize(("change", "message"), [
    ({"conv1.weight": None}, r"no weight 'conv1\.weight'\)"),
    ({"extra.weight": torch.ones(2)}, r"unknown weight 'extra\.w"),
    ({"bn1.weight": torch.ones(3)}, "size mismatch for bn1.weight"),
    ({"fc.weight": torch.ones(9, 3)}, "size mismatch")])
def test_what_does_not_fit_is_named(tmp_path, change, message):
    values = {**models.resnet18(weights=None, num_classes=3).state_dict(), **change}
    torch.save({key: value for key, value in values.items() if value is not None}, tmp_path / "a.pt")
    with pytest.raises(InputError, match=rf"a\.pt: weights that do not fit resnet18 \(.*{message}"):
        torchvision_encoder("resnet18", ["layer4"], str(tmp_path / "a.pt"))


@pytest.mark.parametrize(("name", "message"), [("quantized_resnet18", "take resnet18"), ("raft_small", "pairs of")])
def test_networks_for_something_else(name, message):
    with pytest.raises(InputError, match=message):
        torchvision_encoder(name, ["layer4"], None)
