"""A run's files are found from any corner of its folders, and complaints say what is there."""

import numpy as np
import pytest

from ibc.codes import CodeSet, save_codes
from ibc.errors import InputError
from ibc.report.locate import find_run, read_config, read_scalars


@pytest.fixture
def out(tmp_path):
    """Two models; the first has everything, the second only codes."""
    codes = CodeSet(np.ones((2, 3), np.float32), np.zeros((2, 1), np.float32))
    for name in ("first", "second"):
        save_codes(tmp_path / "results" / name / "old.npz", codes)
    for ending in (".mat", ".npz"):
        save_codes(tmp_path / "results" / "first" / f"test{ending}", codes)
    folder = tmp_path / "outputs" / "first"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("lr: 1e-3\nmodel:\n  code_len: 3\n")
    (tmp_path / "logs" / "first").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("corner", ["outputs/first", "results/first", "logs/first", "results/first/test.npz"])
def test_every_corner_leads_to_the_run(out, corner):
    run = find_run(out / corner)
    assert (run.name, run.codes) == ("first", out / "results" / "first" / "test.npz")
    assert run.config == out / "outputs" / "first" / "config.yaml" and run.logs == out / "logs" / "first"


def test_codes_by_name_or_file(out):
    assert find_run(out / "outputs" / "first", "old").codes == out / "results" / "first" / "old.npz"
    other = out / "results" / "second" / "old.npz"
    assert find_run(out / "outputs" / "first", str(other)).codes == other


def test_missing_parts_are_left_out(out, tmp_path):
    run = find_run(out / "results" / "second")
    assert run.config is None and run.logs is None
    alone = tmp_path / "codes.mat"
    alone.touch()
    assert find_run(alone).name == "codes" and find_run(alone).config is None


def test_relative_paths_stay_relative(out, monkeypatch):
    monkeypatch.chdir(out)
    assert str(find_run("outputs/first").codes) == "results/first/test.npz"


@pytest.mark.parametrize(("corner", "codes", "message"), [
    (".", None, "the models first, second, third, expected one model"),
    ("nowhere", None, "no such file or folder"),
    ("outputs/first", "tset", "no codes 'tset'.*present: old, test"),
    ("outputs", None, "neither outputs/ nor results/"),
    ("outputs/third", None, "no codes file.*run fea_extraction.py"),
    ("results/first/test.npz", "old", "leave one out"),
])
def test_complaints(out, corner, codes, message):
    (out / "outputs" / "third").mkdir()
    with pytest.raises(InputError, match=message):
        find_run(out / corner, codes)


def test_one_model_is_found_from_above(out):
    for folder in (out / "results" / "second",):
        for item in folder.iterdir():
            item.unlink()
        folder.rmdir()
    assert find_run(out).name == "first"


def test_config_is_flat_and_may_be_odd(out, tmp_path):
    assert read_config(out / "outputs" / "first" / "config.yaml") == {"lr": "1e-3", "model.code_len": 3}
    assert read_config(None) == {}
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1")
    with pytest.raises(InputError, match=r"broken\.yaml:1: found text that is not YAML"):
        read_config(broken)


def test_scalars_of_a_resumed_run(out):
    from torch.utils.tensorboard import SummaryWriter

    for start in (1, 4):  # the second process goes on from update 3
        with SummaryWriter(str(out / "logs" / "first"), purge_step=start if start > 1 else None) as writer:
            for step in range(start, start + 4):
                writer.add_scalar("loss_total", 10 * start + step, step)
    steps, values = read_scalars(out / "logs" / "first")["loss_total"]
    assert steps.tolist() == [1, 2, 3, 4, 5, 6, 7] and values.tolist() == [11, 12, 13, 44, 45, 46, 47]
    assert read_scalars(None) == {}
