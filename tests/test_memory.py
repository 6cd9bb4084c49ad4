"""Too little memory: one line that names the setting to lower and what was tried, exit code 2, and the run goes on."""

import numpy as np
import pytest
import torch

from ibc.accelerate.encoder import HostCodes
from ibc.checkpoint import list_checkpoints
from ibc.commands.dissect import COMMAND as DISSECT
from ibc.commands.extract import COMMAND as EXTRACT
from ibc.commands.train import COMMAND as TRAIN
from ibc.dissection.encoders import HookedEncoder
from ibc.dissection.tally_pass import TallyPass
from ibc.memory import OutOfMemory, lower_on_memory_error
from ibc.network import IBC
from ibc.retrieval import CodeIndex, mean_average_precision
from ibc.retrieval.engine import blocks, torch_ranking, torch_search
from ibc.trainer import Trainer
from tests.dissection.data import write_broden
from tests.small_run import make_run

ON_GPU = ("CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 79.11 GiB of which 1.20 GiB "
          "is free. Process 7 has 77.9 GiB memory in use. See documentation for Memory Management")


@pytest.mark.parametrize(("error", "said"), [
    (torch.OutOfMemoryError(ON_GPU), "(2.25 GiB more, of 79.11 GiB in all)"), (torch.OutOfMemoryError(), "there is,"),
    (RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to "
                  "allocate 400000000000 bytes. Error code 12"), "(400000000000 bytes more)"),
    (MemoryError(), "there is,"), (RuntimeError("CUDA error: out of memory"), "there is,"),
    (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "there is,")])
def test_every_kind_of_it_names_the_setting(error, said):
    with pytest.raises(OutOfMemory) as refused, lower_on_memory_error("batch_size", "512 images", "take fewer"):
        raise error
    text = str(refused.value)
    assert text.startswith("batch_size: found 512 images, which take more memory than there is") and said in text
    assert text.endswith("; take fewer") and "\n" not in text


def test_numpy_and_torch_themselves():
    for ask in (lambda: np.empty(2**60, np.uint8), lambda: torch.empty(2**60, dtype=torch.uint8)):
        with pytest.raises(OutOfMemory, match=r"memory than there is .*more"), lower_on_memory_error("a", "b", "c"):
            ask()


def test_the_inner_setting_comes_first_and_other_errors_pass():
    with pytest.raises(OutOfMemory, match="inner"), lower_on_memory_error("outer", "", ""), (
            lower_on_memory_error("inner", "", "")):
        raise torch.OutOfMemoryError
    with pytest.raises(RuntimeError, match="size mismatch"), lower_on_memory_error("a", "b", "c"):
        raise RuntimeError("size mismatch")


def failing(monkeypatch, kind, name, at):
    """Call number ``at`` of a method runs out of memory."""
    original, calls = getattr(kind, name), []

    def method(*arguments, **named):
        calls.append(1)
        if len(calls) == at:
            raise torch.OutOfMemoryError(ON_GPU)
        return original(*arguments, **named)

    monkeypatch.setattr(kind, name, method)


def one_line(capsys):
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(lines) == 1
    return lines[0]


def test_where_no_setting_is_to_blame(tmp_path, monkeypatch, capsys):
    """Weights and moments of a resumed run do not fit into what others leave of a GPU."""
    config = make_run(tmp_path / "data", max_iter=1)
    flags = ["--config", str(config), "--device", "cpu", "--output_path", str(tmp_path)]
    assert TRAIN(flags) == 0
    capsys.readouterr()
    failing(monkeypatch, torch.optim.Adam, "load_state_dict", 1)
    assert TRAIN([*flags, "--resume", "--set", "max_iter=2"]) == 2
    assert one_line(capsys) == (
        "error: memory: found work that takes more than there is (2.25 GiB more, of 79.11 GiB in all), expected as "
        "much of it, free; end other programs that hold memory, take smaller settings, or --device cpu")


def test_training_goes_on_from_its_last_checkpoint(tmp_path, monkeypatch, capsys):
    config = make_run(tmp_path / "data")
    flags = ["--config", str(config), "--device", "cpu", "--output_path"]
    assert TRAIN([*flags, str(tmp_path / "whole")]) == 0
    with monkeypatch.context() as patch:
        failing(patch, Trainer, "_step", 1)
        assert TRAIN([*flags, str(tmp_path / "out")]) == 2
        line = one_line(capsys)
        assert "batch_size: found updates of 8 images of 72 x 72 pixels, which take more memory" in line
        assert "2.25 GiB" in line and line.endswith("take a smaller one, as in --set batch_size=4")
    with monkeypatch.context() as patch:
        failing(patch, Trainer, "_step", 8)
        assert TRAIN([*flags, str(tmp_path / "out")]) == 2
        assert one_line(capsys).endswith("--set batch_size=4 with --resume, which goes on from update 5")
    assert TRAIN([*flags, str(tmp_path / "out"), "--resume"]) == 0
    name = "outputs/small/checkpoints/checkpoint_00000014.pt"
    one, other = (torch.load(tmp_path / run / name, weights_only=True)["state_dict"] for run in ("whole", "out"))
    assert all(torch.equal(value, other[key]) for key, value in one.items())
    assert TRAIN([*flags, str(tmp_path / "whole"), "--resume", "--set", "batch_size=4", "--set", "max_iter=16"]) == 0


def test_a_network_that_is_too_large(tmp_path, monkeypatch, capsys):
    failing(monkeypatch, IBC, "__init__", 1)
    assert TRAIN(["--config", str(make_run(tmp_path / "data")), "--device", "cpu", "--output_path", str(tmp_path)]) == 2
    assert "model.code_len: found a network of 8 bits, 4 classes and layers of 16" in one_line(capsys)
    assert not (tmp_path / "outputs").exists()


def test_what_was_trained_is_saved_where_validation_runs_out(tmp_path, monkeypatch, capsys):
    config = make_run(tmp_path / "data", val_iter=3, val_num=8)
    failing(monkeypatch, IBC, "encode", 1)
    assert TRAIN(["--config", str(config), "--device", "cpu", "--output_path", str(tmp_path)]) == 2
    assert "batch_size: found" in one_line(capsys)
    assert [number for number, _ in list_checkpoints(tmp_path / "outputs/small/checkpoints")] == [3]


def test_extraction(tmp_path, monkeypatch, capsys):
    config = make_run(tmp_path / "data", max_iter=2)
    assert TRAIN(["--config", str(config), "--device", "cpu", "--output_path", str(tmp_path)]) == 0
    failing(monkeypatch, HostCodes, "append", 2)
    assert EXTRACT(["--config", str(config), "--device", "cpu", "--output_path", str(tmp_path), "--save_name", "a",
                    "--checkpoint", str(tmp_path / "outputs/small/checkpoints")]) == 2
    line = one_line(capsys)
    assert "batch_size: found 8 x 3 x 72 x 72 pixels at a time" in line and "--set batch_size=N" in line


def test_ranking_and_search(monkeypatch):
    signs, labels = np.where(np.random.default_rng(1).random((9, 8)) > 0.5, 1, -1).astype(np.int8), np.arange(9) % 2
    with monkeypatch.context() as patch:
        failing(patch, torch_ranking, "_with_constant", 1)
        with pytest.raises(OutOfMemory, match=r"--device: found 9 queries and 9 items on cpu.*--device cpu"):
            patch.setattr(blocks, "_cpu_blocks", lambda *arguments: blocks.torch_blocks(*arguments, "cpu"))
            mean_average_precision(signs, labels, signs, labels, self_match="keep")
    failing(monkeypatch, torch_search, "DeviceDatabase", 1)
    with pytest.raises(OutOfMemory, match=r"--device: found 9 codes of 8 bits and 9 queries on cuda.*--device cpu"):
        CodeIndex(signs).search(signs, device=torch.device("cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_that_is_too_small(tmp_path, monkeypatch, capsys):
    """A real one: this process may take 256 MB of its memory, then less than the weights need."""
    config = make_run(tmp_path / "data", max_iter=2)
    flags = ["--config", str(config), "--output_path", str(tmp_path)]
    assert TRAIN(flags) == 0
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((256 << 20) / total)
    try:
        assert TRAIN([*flags, "--resume", "--set", "max_iter=4", "--set", "batch_size=4096"]) == 2
        assert "batch_size: found updates of 4096 images" in one_line(capsys)
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction((8 << 20) / total)
        assert TRAIN([*flags, "--resume", "--set", "max_iter=4"]) == 2
        assert one_line(capsys).startswith("error: m")  # of the network or of the weights, model.code_len or memory
        assert EXTRACT([*flags, "--save_name", "a", "--checkpoint", str(tmp_path / "outputs/small/checkpoints")]) == 2
        assert "more memory" in one_line(capsys) or "more than there is" in one_line(capsys)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert TRAIN([*flags, "--resume", "--set", "max_iter=4"]) == 0


def test_dissection(tmp_path, monkeypatch, capsys):
    write_broden(tmp_path / "broden", count=8)
    flags = ["--model", "resnet18", "--layer", "layer1", "--broden", str(tmp_path / "broden"), "--device", "cpu",
             "--index", "index_sm.csv", "--null", "0", "--output", str(tmp_path / "out")]
    failing(monkeypatch, HookedEncoder, "encode", 1)
    assert DISSECT(flags) == 2
    assert " images of 32 x 40 pixels at a time, which take more memory" in one_line(capsys)
    failing(monkeypatch, TallyPass, "run", 1)
    assert DISSECT(flags) == 2
    assert "--memory: found 384 MB of feature maps and tables" in one_line(capsys)
