"""The encoder as ONNX: onnxruntime gives torch's codes for any batch, and the file says what it is."""

import json

import numpy as np
import pytest
import torch

from ibc.config import ModelConfig
from ibc.errors import InputError
from ibc.export import onnx_model
from ibc.export.onnx_model import TOLERANCE, write_onnx
from ibc.extraction import encode_pixels
from ibc.network import IBC

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return IBC(ModelConfig(64, 4, 0.5, pretrained="none", fc_dim=16), "orthogonal").eval().requires_grad_(False)


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "encoder.onnx"
    assert write_onnx(path, model, (72, 80), {"bit_names": [{"bit": 1, "concept": "sea"}], "ibc": "1"}) <= TOLERANCE
    return path


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_codes_equal_torchs(model, file, batch):
    images = np.random.default_rng(batch).integers(0, 256, (batch, 3, 72, 80), np.uint8)
    images[0] = 255
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    codes, = session.run(["codes"], {"images": images})
    wanted = encode_pixels(model, torch.from_numpy(images)).numpy()
    assert codes.shape == (batch, 64) and codes.dtype == np.float32
    assert np.abs(codes - wanted).max() <= TOLERANCE
    assert wanted.std() > 0.01  # codes that say something


def test_names_and_metadata(file):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    source, target = session.get_inputs()[0], session.get_outputs()[0]
    assert (source.name, source.type, source.shape) == ("images", "tensor(uint8)", ["batch", 3, 72, 80])
    assert (target.name, target.type, target.shape) == ("codes", "tensor(float)", ["batch", 64])
    described = session.get_modelmeta().custom_metadata_map
    assert json.loads(described["bit_names"]) == [{"bit": 1, "concept": "sea"}] and described["ibc"] == "1"


def test_no_path_of_this_machine(file):
    onnx.checker.check_model(str(file))
    content = file.read_bytes()
    assert b".py" not in content and b"site-packages" not in content


def test_a_crop_that_is_too_small(model, tmp_path):
    with pytest.raises(InputError, match="32 x 80 pixels"):
        write_onnx(tmp_path / "encoder.onnx", model, (32, 80), {})


def test_a_wrong_graph_gets_no_name(model, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_model, "largest_difference", lambda *arguments: 2e-5)
    with pytest.raises(InputError, match="differ by 2e-05"):
        write_onnx(tmp_path / "encoder.onnx", model, (72, 72), {})
    assert not list(tmp_path.iterdir())
