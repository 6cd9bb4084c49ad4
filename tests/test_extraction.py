"""Code extraction: the official codes, the official files, and bad input."""

import json
import os
import shutil

import numpy as np
import pytest
import scipy.io
import torch

from ibc import checkpoint
from ibc.codes import load_codes
from ibc.config import load_config
from ibc.network import IBC
from tests.official_weights import set_official_weights
from tests.plain_twin import plain_codes, plain_loader
from tests.small_run import error_of, make_run, run


def test_official_codes_of_real_photographs(golden, golden_photographs, tmp_path):
    config = make_run(tmp_path / "data", model={"code_len": 32, "class_num": 10, "thr_g": 20, "fc_dim": 4096},
                      data_folder=f"{golden_photographs}/extract_data/", test_list_file="list.txt", new_size=256,
                      crop_image_height=227, crop_image_width=227, batch_size=6, num_workers=2)
    model = IBC(load_config(config).model)
    set_official_weights(model)
    path = checkpoint.save_checkpoint(tmp_path, model, 1, {})
    for decoder in ("auto", "pillow"):
        result = run("fea_extraction.py", "--config", config, "--checkpoint", path, "--save_name", decoder,
                     "--output_path", tmp_path, "--set", f"decoder={decoder}", "--device", "cpu")
        assert result.returncode == 0, result.stderr
        official = np.load(golden / "extract_codes.npz")
        for written in (np.load(tmp_path / f"results/small/{decoder}.npz"),
                        scipy.io.loadmat(tmp_path / f"results/small/{decoder}.mat")):
            assert np.abs(written["binary_codes"] - official["binary_codes"]).max() < 2e-6
            assert np.array_equal(written["lab"], official["lab"])
            assert np.array_equal(written["GRM"], official["GRM"])
            assert int(np.asarray(written["code_length"]).item()) == 32


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(configuration, output folder) of a short run."""
    folder = tmp_path_factory.mktemp("trained")
    config = make_run(folder / "data", max_iter=4)
    assert run("train.py", "--config", config, "--output_path", folder).returncode == 0
    return config, folder


def extract(trained, name, *more):
    config, folder = trained
    return run("fea_extraction.py", "--config", config, "--checkpoint", folder / "outputs/small", "--save_name", name,
               "--output_path", folder, *more)


def test_codes_equal_the_plain_program(trained):
    config, folder = trained
    assert extract(trained, "test").returncode == 0
    codes = np.load(folder / "results/small/test.npz")
    loaded = load_config(config)
    from ibc.data.loader import images_for_testing as images_of
    images = images_of(loaded)
    model = checkpoint.load_model(checkpoint.find_checkpoint(folder / "outputs/small"), loaded.model)
    batches = plain_loader(images, loaded.crop_size, 7, 0, train=False)
    expected = np.concatenate([plain_codes(model, pixels) for pixels, _ in batches])
    assert np.abs(codes["binary_codes"] - expected).max() < 1e-5
    assert codes["paths"].tolist() == images.names and np.array_equal(codes["lab"], images.labels)


def test_options(trained, tmp_path):
    _, folder = trained
    result = extract(trained, "few", "--split", "train", "--max_num", "11", "--json", tmp_path / "e.json")
    assert result.returncode == 0, result.stderr
    assert len(np.load(folder / "results/small/few.npz")["binary_codes"]) == 11
    report = json.loads((tmp_path / "e.json").read_text())
    assert report["metrics"]["images"] == 11 and report["command"] == "fea_extraction" and len(report["inputs"]) == 2
    result = extract(trained, "folder", "--images", folder / "data/images", "--json", "-")
    assert result.returncode == 0 and json.loads(result.stdout)["metrics"]["images"] == 40
    assert np.unique(np.load(folder / "results/small/folder.npz")["lab"]).tolist() == [99999]


def test_bad_images_are_named_or_left_out(trained):
    _, folder = trained
    victim = folder / "data/images/013.jpg"
    whole = victim.read_bytes()
    try:
        for content in (whole[:-400], b"", b"not an image"):
            victim.write_bytes(content)
            assert "013.jpg" in error_of(extract(trained, "bad"))
            result = extract(trained, "bad", "--skip_bad_images")
            assert result.returncode == 0 and "1 unreadable" in result.stdout and "013.jpg" in result.stderr
            assert len(np.load(folder / "results/small/bad.npz")["binary_codes"]) == 39
    finally:
        victim.write_bytes(whole)


@pytest.mark.parametrize("more, message", [
    (["--set", "model.code_len=16"], "code length 8, expected 16"),
    (["--checkpoint", "nowhere/checkpoint_1.pt"], "no such file"),
    (["--max_num", "0"], "at least 1"),
    (["--save_name", "a/b"], "plain file name"),
    (["--save_name", ""], "plain file name"),
    (["--images", ""], "--images: found ''"),
    (["--checkpoint", "README.md"], "README.md: found an unreadable file"),
    (["--seed", "-1"], "expected a whole number from 0"),
    (["--images", "nowhere"], "no such folder"),
    (["--set", "test_list_file=absent.txt"], "absent.txt"),
    (["--config", "absent.yaml"], "absent.yaml"),
    (["--max_num", "x"], "invalid int value"),
])
def test_bad_input(trained, more, message):
    assert message in error_of(extract(trained, "bad", *more))


def test_codes_that_are_not_finite_are_not_written(trained, tmp_path):
    path = next((trained[1] / "outputs/small/checkpoints").glob("checkpoint_*.pt"))
    content = torch.load(path, weights_only=True)
    content["state_dict"]["enc_style.hash_layer.bias"][3] = float("nan")
    torch.save(content, tmp_path / "nan.pt")
    assert "nan.pt: found weights that give codes which are not finite" in error_of(
        extract(trained, "nan", "--checkpoint", tmp_path / "nan.pt"))
    assert not list(trained[1].rglob("nan.npz"))


def test_a_name_that_is_not_utf8(trained, tmp_path):
    folder = os.fsencode(tmp_path / "odd")
    os.mkdir(folder)
    shutil.copy(next((trained[0].parent / "images").glob("*.jpg")), folder + b"/lat\xe9.jpg")
    result = extract(trained, "odd", "--images", tmp_path / "odd")
    assert result.returncode == 0, result.stderr
    for ending in ("npz", "mat"):
        assert len(load_codes(trained[1] / f"results/small/odd.{ending}")) == 1


def test_both_branches_are_not_computed(trained):
    _, folder = trained
    model = checkpoint.load_model(checkpoint.find_checkpoint(folder / "outputs/small"))
    called = []
    for name in ("classifier", "conv_last", "real_prediction"):
        getattr(model.enc_style, name).register_forward_hook(lambda *_, name=name: called.append(name))
    model.encode(torch.randn(1, 3, 72, 72))
    assert called == []
    model.concept_maps(torch.randn(1, 3, 72, 72))
    assert called == ["conv_last"]
