"""The training program: files, resume, signals, and what happens when something is wrong."""

import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from ibc.checkpoint import list_checkpoints
from tests.small_run import ROOT, error_of, make_run, run


def tensors(path):
    return torch.load(path, weights_only=True)["state_dict"]


def assert_same_checkpoint(left, right):
    one, other = tensors(left), tensors(right)
    assert list(one) == list(other)
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def final(folder):
    return folder / "outputs/small/checkpoints/checkpoint_00000014.pt"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run: (configuration, its folder)."""
    folder = tmp_path_factory.mktemp("whole")
    config = make_run(folder / "data")
    result = run("train.py", "--config", config, "--output_path", folder / "out")
    assert result.returncode == 0, result.stderr
    return config, folder / "out", result


def test_files_and_output(whole):
    _, out, result = whole
    checkpoints = out / "outputs/small/checkpoints"
    assert sorted(p.name for p in checkpoints.iterdir()) == [
        "checkpoint_00000005.pt", "checkpoint_00000010.pt", "checkpoint_00000014.pt", "optimizer.pt"]
    assert r"checkpoint\_00000014.pt, update 14 of 14" in (checkpoints.parent / "model_card.md").read_text()
    assert "Iteration: 00000005/00000014" in result.stdout and "Finish training" in result.stdout
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    events = EventAccumulator(str(out / "logs/small"))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {"loss_total", "loss_kl_div", "loss_code_cls_mask", "lr", "images_per_s"} <= tags
    assert [event.step for event in events.Scalars("loss_total")] == [5, 10, 14]
    rates = [event.value for event in events.Scalars("lr")]
    assert rates == pytest.approx([1e-3, 5e-4, 2.5e-4])


# A command that takes its two loader workers even where the machine has too few cores for them.
WITH_WORKERS = """
import os, sys
os.sched_getaffinity = lambda _: set(range(8))
import train
sys.exit(train.COMMAND(sys.argv[1:]))
"""


@pytest.fixture
def many_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))


@pytest.mark.parametrize("workers", [0, 2])
def test_interrupted_run_equals_the_whole_one(whole, tmp_path, workers):
    config, out, _ = whole
    log = tmp_path / "log"
    # 100 times as many updates leave time to interrupt; the schedule does not depend on max_iter.
    command = [sys.executable, "-c", WITH_WORKERS, "--config", str(config), "--output_path", str(tmp_path), "--set",
               f"num_workers={workers}", "--set", "log_iter=1"]
    with open(log, "wb") as stream:
        process = subprocess.Popen([*command, "--set", "max_iter=1400"], cwd=ROOT, stdout=stream, stderr=stream)
        wanted = random.randint(1, 9)
        deadline = time.time() + 120
        while f"Iteration: {wanted:08d}" not in log.read_text() and time.time() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143, log.read_text()
    assert "--resume" in log.read_text()
    stopped_at = list_checkpoints(tmp_path / "outputs/small/checkpoints")[-1][0]
    assert wanted <= stopped_at < 1400
    if stopped_at >= 14:
        pytest.skip("the machine was too busy to interrupt before update 14")
    resumed = subprocess.run([*command, "--resume"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert resumed.returncode == 0, resumed.stderr
    assert_same_checkpoint(final(out), final(tmp_path))


def test_resume_with_another_list_warns(tmp_path):
    config = make_run(tmp_path / "data")
    arguments = ["train.py", "--config", config, "--output_path", tmp_path]
    assert run(*arguments, "--set", "max_iter=5").returncode == 0
    result = run(*arguments, "--resume", "--set", "max_iter=6")
    assert result.returncode == 0 and "another than that of the run" not in result.stderr
    path = tmp_path / "data" / "train.txt"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    result = run(*arguments, "--resume", "--set", "max_iter=7")
    assert result.returncode == 0 and "the training list is another than that of the run" in result.stderr
    state_file = tmp_path / "outputs/small/checkpoints/optimizer.pt"
    state = torch.load(state_file, weights_only=True)
    del state["train_list"]  # a run of an earlier version
    torch.save(state, state_file)
    result = run(*arguments, "--resume", "--set", "max_iter=8")
    assert result.returncode == 0 and "warning" not in result.stderr


def test_resume_without_optimizer_state_warns(whole, tmp_path):
    config, _, _ = whole
    arguments = ["train.py", "--config", config, "--output_path", tmp_path]
    assert run(*arguments, "--set", "max_iter=5").returncode == 0
    (tmp_path / "outputs/small/checkpoints/optimizer.pt").unlink()
    result = run(*arguments, "--resume", "--set", "max_iter=6")
    assert result.returncode == 0 and "fresh optimiser state" in result.stderr
    result = run(*arguments, "--resume", "--set", "max_iter=6")
    assert result.returncode == 0 and "nothing left to train" in result.stdout


def test_resume_follows_the_optimizer_file(whole, tmp_path):
    """A checkpoint newer than optimizer.pt (a crash between the two) is not taken."""
    config, out, _ = whole
    arguments = ["train.py", "--config", config, "--output_path", tmp_path]
    assert run(*arguments, "--set", "max_iter=5").returncode == 0
    checkpoints = tmp_path / "outputs/small/checkpoints"
    (checkpoints / "checkpoint_00000010.pt").write_bytes((checkpoints / "checkpoint_00000005.pt").read_bytes())
    assert run(*arguments, "--resume").returncode == 0
    assert_same_checkpoint(final(out), final(tmp_path))


def test_its_own_checkpoint_is_never_pruned(whole, tmp_path):
    """Going on from an earlier update than that of the newest checkpoint, with the last one kept; interrupted again."""
    config, out, _ = whole
    arguments = ["train.py", "--config", config, "--output_path", tmp_path, "--set", "keep_last=1"]
    assert run(*arguments, "--set", "max_iter=5").returncode == 0
    checkpoints = tmp_path / "outputs/small/checkpoints"
    (checkpoints / "checkpoint_00000099.pt").write_bytes((checkpoints / "checkpoint_00000005.pt").read_bytes())
    leftover = checkpoints / ".optimizer.pt.12345.tmp"  # of a killed run
    leftover.touch()
    assert run(*arguments, "--set", "max_iter=10", "--resume").returncode == 0
    assert [n for n, _ in list_checkpoints(checkpoints)] == [10] and not leftover.exists()
    assert run(*arguments, "--resume").returncode == 0
    assert_same_checkpoint(final(out), final(tmp_path))


def test_a_full_disk_is_one_line(whole, tmp_path):
    config, _, _ = whole
    command = f"{sys.executable} train.py --config {config} --output_path {tmp_path}"
    result = subprocess.run(["bash", "-c", f"ulimit -f 100; exec {command}"], cwd=ROOT, capture_output=True, text=True,
                            timeout=200, check=False)
    assert "checkpoint_00000005.pt: " in error_of(result)
    assert not list((tmp_path / "outputs/small/checkpoints").glob(".*"))


def test_no_readable_image_at_all(whole, tmp_path):
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "train.txt").write_text("torn.jpg 0\n" * 8)
    result = run("train.py", "--config", whole[0], "--output_path", tmp_path, "--skip_bad_images",
                 "--set", f"data_folder={tmp_path}")
    assert "torn.jpg: no image of the list can be read" in error_of(result)


def test_validation_changes_nothing(whole, tmp_path):
    config, out, _ = whole
    result = run("train.py", "--config", config, "--output_path", tmp_path, "--set", "val_iter=4")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("validation at") == 4  # 4, 8, 12 and the last
    assert_same_checkpoint(final(out), final(tmp_path))


def test_keep_last(whole, tmp_path):
    config, _, _ = whole
    assert run("train.py", "--config", config, "--output_path", tmp_path, "--set", "keep_last=1").returncode == 0
    assert [n for n, _ in list_checkpoints(tmp_path / "outputs/small/checkpoints")] == [14]


def test_earlier_run_is_not_overwritten(whole):
    config, out, _ = whole
    before = final(out).read_bytes()
    assert "--resume" in error_of(run("train.py", "--config", config, "--output_path", out))
    assert final(out).read_bytes() == before


def test_resume_from_nothing(whole, tmp_path):
    config, _, _ = whole
    assert "no checkpoint to resume from" in error_of(
        run("train.py", "--config", config, "--output_path", tmp_path, "--resume"))


def test_non_finite_loss_names_update_and_term(whole, tmp_path):
    config, _, _ = whole
    message = error_of(run("train.py", "--config", config, "--output_path", tmp_path, "--set", "lr=1e30"))
    assert "update " in message and "is not finite" in message and "loss_" in message


@pytest.mark.parametrize("workers", [0, 2])
def test_truncated_image_is_named_or_skipped(tmp_path, workers, many_cores):
    config = make_run(tmp_path / "data", num_workers=workers, max_iter=5)
    broken = tmp_path / "data/images/007.jpg"
    broken.write_bytes(broken.read_bytes()[:-500])
    arguments = ["train.py", "--config", config, "--output_path", tmp_path]
    assert "007.jpg" in error_of(run(*arguments))
    result = run(*arguments, "--skip_bad_images")
    assert result.returncode == 0 and "1 unreadable image" in result.stderr


def test_missing_image_is_named(tmp_path):
    config = make_run(tmp_path / "data")
    (tmp_path / "data/images/011.jpg").unlink()
    assert "011.jpg: No such file" in error_of(run("train.py", "--config", config, "--output_path", tmp_path))


def test_an_update_that_never_ends_does_not_hold_up_a_stop_signal():
    script = ("import os, signal, time\nfrom ibc.train_loop import AgreedStop\nAgreedStop.PATIENCE = 0.2\n"
              "with AgreedStop() as stop:\n    os.kill(os.getpid(), signal.SIGTERM)\n    time.sleep(30)\n")
    start = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60,
                           check=False)
    assert ended.returncode == 143 and time.monotonic() - start < 25
    assert ended.stderr.startswith("error: stopped by SIGTERM") and "--resume" in ended.stderr
    script = script.replace("time.sleep(30)", "stop.agree(1, now=True); time.sleep(1); assert stop.agreed == 15")
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60,
                           check=False)
    assert ended.returncode == 0 and not ended.stderr
