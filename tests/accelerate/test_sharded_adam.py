"""Several processes equal one process on the same global batch: gloo on CPUs, NCCL where there are two GPUs."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch

from ibc.codes import load_codes
from tests.small_run import ROOT, make_run, run

SCRIPT = """
import sys, torch
import ibc.accelerate.sharded_adam
from ibc.config import load_config
from ibc.data.batch import Batch
from ibc.processes import mean_over_processes, processes, rank, share_of_halves, world_size
from ibc.train_state import training_state
from ibc.trainer import Trainer

ibc.accelerate.sharded_adam.SHARDED = 100  # some of a small network's matrices as well

def backward_of_somebody_else(trainer, images):  # takes no step; its graph is gone before an update is captured
    trainer.gather()
    found = trainer.model(images)
    parts = (trainer.model.classify_codes(found.codes), found.maps, found.real_logits, trainer.model.GRM)
    sum(part.sum() for part in parts).backward()

def batches(count):
    generator, mine = torch.Generator().manual_seed(3), share_of_halves(8, rank(), world_size())
    for number in range(count):
        images = torch.randn(8, 3, 70, 70, generator=generator)
        labels = torch.randint(0, 4, (8, 1), generator=generator).float()
        labels[number % 8] = labels[7] = 99999  # unequal numbers of valid rows in the shares
        if number == 3:
            labels[:] = 99999  # some layers take no step
        yield Batch(images[mine], labels[mine], mine, [], None)

def train(path, device, updates, compiled, objective):
    config = load_config(path, ["model.class_weights=[1, 2, 0.5, 1]", "lr=1e-5", "align_w=100",
                                f"objective={objective}"])
    trainer = Trainer(config, device, compile_update=compiled)
    for module in trainer.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    losses = []
    for batch, values in trainer.updates(batches(updates)):
        losses.append({name: float(mean_over_processes(value.double())) for name, value in values.items()})
        if len(losses) == 2:
            backward_of_somebody_else(trainer, batch.images.to(device))
    moments = training_state(trainer)["optimizer"]["state"]
    return {"losses": losses, "weights": trainer.model.state_dict(), "moments": moments}

path, out, dtype, device, updates, compiled, *objectives = sys.argv[1:]
torch.set_default_dtype(getattr(torch, dtype))
torch.backends.cudnn.allow_tf32 = False
with processes(torch.device(device)) as device:
    found = {name: train(path, device, int(updates), bool(int(compiled)), name) for name in objectives}
    if rank() == 0:
        torch.save(found, out)
"""


two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def launch(size: int, *arguments) -> list[subprocess.CompletedProcess]:
    """Start ``size`` processes as torchrun does."""
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(size),
              "OMP_NUM_THREADS": "1"}
    running = [subprocess.Popen([sys.executable, *map(str, arguments)], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env={**common, "RANK": str(r), "LOCAL_RANK": str(r)})
               for r in range(size)]
    ended = [(process, *process.communicate(timeout=300)) for process in running]
    return [subprocess.CompletedProcess(arguments, process.returncode, out, err) for process, out, err in ended]


@pytest.mark.parametrize("size, dtype, tolerance, objectives", [
    (2, "float64", 1e-9, ["ibc", "ibc_plus", "orthohash", "hashnet"]),
    pytest.param(2, "float32", 1e-5, ["ibc"], marks=pytest.mark.slow),
    pytest.param(4, "float64", 1e-9, ["ibc"], marks=pytest.mark.slow)])
def test_several_processes_equal_one(tmp_path, size, dtype, tolerance, objectives):
    config = make_run(tmp_path / "data")
    results = []
    for count in (1, size):
        out = tmp_path / f"{count}.pt"
        for ended in launch(count, "-c", SCRIPT, config, out, dtype, "cpu", 5, 0, *objectives):
            assert ended.returncode == 0, ended.stderr
        results.append(torch.load(out, weights_only=True))
    for objective in objectives:
        one, two = (found[objective] for found in results)
        assert_same_losses(one, two, tolerance)
        if dtype == "float64":
            assert_same_state(one, two, tolerance, objective)


def assert_same_state(one: dict, two: dict, tolerance: float, objective: str) -> None:
    for name, value in one["weights"].items():
        # Batch normalisation takes the bias before it away: its gradient, and so its step, is rounding.
        slack = 100 if objective == "orthohash" and name.endswith("hash_layer.bias") else 1
        assert (value - two["weights"][name]).abs().max() < slack * tolerance, (objective, name)
    for number, state in one["moments"].items():
        for name, value in state.items():
            assert torch.allclose(two["moments"][number][name], value, rtol=1e-6, atol=tolerance), (objective, name)


def assert_same_losses(one: dict, two: dict, tolerance: float) -> None:
    for expected, found in zip(one["losses"], two["losses"], strict=True):
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=tolerance, abs=tolerance), name


@two_gpus
@pytest.mark.parametrize("compiled", [0, 1])
@pytest.mark.parametrize("objective", ["ibc", "ibc_plus"])
def test_two_gpus_equal_one(tmp_path, compiled, objective):
    """Updates 1 to 20; compiled, those after the third are replays of a graph that holds NCCL's calls."""
    config = make_run(tmp_path / "data")
    results = []
    for size in (1, 2):
        out = tmp_path / f"{size}.pt"
        for ended in launch(size, "-c", SCRIPT, config, out, "float32", "cuda", 20, compiled, objective):
            assert ended.returncode == 0, ended.stderr[-3000:]
        results.append(torch.load(out, weights_only=True)[objective])
    assert_same_losses(*results, 1e-4)


def test_training_program_in_two_processes(tmp_path):
    """Rank 0 writes; a run of one process goes on where two stopped."""
    config = make_run(tmp_path / "data")
    arguments = ["train.py", "--config", config, "--output_path", tmp_path, "--device", "cpu"]
    for ended in launch(2, *arguments, "--set", "max_iter=6"):
        assert ended.returncode == 0, ended.stderr
    folder = tmp_path / "outputs/small/checkpoints"
    assert sorted(p.name for p in folder.iterdir()) == ["checkpoint_00000005.pt", "checkpoint_00000006.pt",
                                                        "optimizer.pt"]
    (ended,) = launch(1, *arguments, "--resume", "--set", "max_iter=8")
    assert ended.returncode == 0, ended.stderr
    assert torch.load(folder / "checkpoint_00000008.pt", weights_only=True)["iteration"] == 8


LOSE_RANK_1 = """
import os, sys
import ibc.trainer
step = ibc.trainer.Trainer._step
def dying(self, *given):
    if self.iteration == 6 and os.environ["RANK"] == "1" and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0":
        os._exit(9)
    return step(self, *given)
ibc.trainer.Trainer._step = dying
import train
sys.exit(train.COMMAND(sys.argv[1:]))
"""


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=two_gpus)])
def test_lost_process_ends_with_a_message_and_a_state_to_resume(tmp_path, device):
    config = make_run(tmp_path / "data", log_iter=7)  # the update that is lost: on GPUs nobody may wait for its values
    arguments = ["--config", config, "--output_path", tmp_path, "--device", device]
    survivor, lost = launch(2, "-c", LOSE_RANK_1, *arguments)
    assert lost.returncode == 9
    assert survivor.returncode == 2 and "another process of this run was lost or not found" in survivor.stderr
    assert "--resume" in survivor.stderr and "Traceback" not in survivor.stderr
    (ended,) = launch(1, "train.py", *arguments, "--resume", "--set", "max_iter=7")
    assert ended.returncode == 0, ended.stderr


def test_elastic_restart_goes_on_from_the_checkpoint(tmp_path):
    config = make_run(tmp_path / "data")
    (tmp_path / "dying.py").write_text(LOSE_RANK_1)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
               "--max_restarts", "1", str(tmp_path / "dying.py"), "--config", str(config),
               "--output_path", str(tmp_path), "--device", "cpu"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200,
                           env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)})
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert (tmp_path / "outputs/small/checkpoints/checkpoint_00000014.pt").exists()


@pytest.mark.parametrize("device, sizes", [("cpu", (1, 3)), pytest.param("cuda", (1, 2), marks=two_gpus)])
def test_extraction_is_shared_and_gathered_in_order(tmp_path, device, sizes):
    config = make_run(tmp_path / "data", images=37, max_iter=2)
    assert run("train.py", "--config", config, "--output_path", tmp_path).returncode == 0
    (tmp_path / "data/images/005.jpg").write_bytes(b"")
    codes = []
    for size in sizes:
        for ended in launch(size, "fea_extraction.py", "--config", config, "--checkpoint", tmp_path / "outputs/small",
                            "--save_name", f"n{size}", "--output_path", tmp_path, "--device", device,
                            "--skip_bad_images"):
            assert ended.returncode == 0, ended.stderr
        codes.append(load_codes(tmp_path / f"results/small/n{size}.npz"))
    one, several = codes
    assert one.paths == several.paths and len(one) == 36
    tolerance = 1e-6 if device == "cpu" else 1e-3  # on a GPU another batch may take another convolution kernel
    assert np.array_equal(one.labels, several.labels)
    assert np.abs(one.binary_codes - several.binary_codes).max() < tolerance


def test_batch_must_divide(tmp_path):
    config = make_run(tmp_path / "data", batch_size=6)
    for ended in launch(2, "train.py", "--config", config, "--output_path", tmp_path, "--device", "cpu"):
        assert ended.returncode == 2 and "a multiple of 4" in ended.stderr and "Traceback" not in ended.stderr
