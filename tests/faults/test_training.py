"""Training when something around it fails: it ends in one line with its state saved, or goes on."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ibc.checkpoint import list_checkpoints
from tests.faults.programs import ENVIRONMENT, children, command, finish, ibc, leftovers, one_error, start, wait_until
from tests.small_run import ROOT, make_run
from tests.test_train_loop import assert_same_checkpoint, final

CORES = 8  # so that two loader workers start


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("data"), num_workers=2, log_iter=1)


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    assert ibc(*words(config, folder), cores=CORES).returncode == 0
    return folder


def words(config: Path, folder: Path, updates: int = 14) -> list:
    return ["train", "--config", config, "--output_path", folder, "--set", f"max_iter={updates}"]


def checkpoints(folder: Path) -> list[int]:
    return [number for number, _ in list_checkpoints(folder / "outputs/small/checkpoints")]


def started(config: Path, folder: Path, **options) -> subprocess.Popen:
    """A long run that has done one update."""
    log = folder / "log"
    with open(log, "w") as stream:
        process = start(*words(config, folder, 4000), cores=CORES, stdout=stream, **options)
    wait_until(lambda: "Iteration: 00000001" in log.read_text(), process)
    return process


def assert_goes_on(config: Path, folder: Path, whole: Path) -> None:
    """The run, which had stopped, ends as if it had not."""
    done = checkpoints(folder)[-1]
    if done < 14:
        result = ibc(*words(config, folder), "--resume", cores=CORES)
        assert result.returncode == 0, result.stderr
        assert_same_checkpoint(final(whole), final(folder))
    assert not leftovers(folder)


def test_a_killed_worker_ends_it_in_one_line_with_its_state_saved(config, whole, tmp_path):
    process = started(config, tmp_path)
    os.kill(children(process)[0], signal.SIGKILL)
    killed = time.monotonic()
    error = one_error(finish(process))
    assert time.monotonic() - killed < 15
    assert "killed by SIGKILL" in error and f"after update {checkpoints(tmp_path)[-1]} is saved" in error
    assert_goes_on(config, tmp_path, whole)


@pytest.mark.parametrize("size", ["64m", "64k"])
def test_a_small_dev_shm(config, whole, tmp_path, size):
    mount = ("unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size={size} tmpfs /dev/shm && exec "$@"', "sh")
    if subprocess.run([*mount, "true"], check=False, capture_output=True).returncode:
        pytest.skip("mounting is not permitted")
    result = ibc(*words(config, tmp_path), cores=CORES, before=mount)
    assert result.returncode == 0, result.stderr
    assert_same_checkpoint(final(whole), final(tmp_path))


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_two_signals_end_it_at_once(config, whole, tmp_path, first, second):
    """Though a worker hangs, so that the update that the first one waits for never ends."""
    process = started(config, tmp_path)
    workers = children(process)
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    time.sleep(1)
    process.send_signal(first)
    time.sleep(0.5)
    process.send_signal(second)
    assert process.wait(5) == -second
    for worker in workers:
        with contextlib.suppress(ProcessLookupError):  # it may have ended with its parent
            os.kill(worker, signal.SIGCONT)
    finish(process)
    if checkpoints(tmp_path):
        assert_goes_on(config, tmp_path, whole)


READERS = {"head": "head -1", "nobody": "true", "a full disk": "cat > /dev/full"}


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("reader", READERS)
def test_a_reader_that_goes_away(config, whole, tmp_path, stream, reader):
    result = subprocess.run(["bash", "-c", '"$@" {}> >({}); echo "code $?"'.format(
        {"stdout": 1, "stderr": 2}[stream], READERS[reader]), "bash", *command(*words(config, tmp_path), cores=CORES)],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120)
    assert "code 0" in result.stdout and "Traceback" not in result.stderr and "Broken" not in result.stderr
    assert_same_checkpoint(final(whole), final(tmp_path))


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full"])
def test_streams_that_are_closed_or_full(config, whole, tmp_path, streams):
    result = subprocess.run(["bash", "-c", f'"$@" {streams}; echo "code $?"', "bash",
                             *command(*words(config, tmp_path), cores=CORES)],
                            cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120)
    full = streams == ">/dev/full"
    assert f"code {2 if full else 0}" in result.stdout
    assert ("error: stdout: No space left on device" in result.stderr) == full
    assert "Traceback" not in result.stderr
    assert_same_checkpoint(final(whole), final(tmp_path))


def test_few_file_descriptors(config, whole, tmp_path):
    """Either they are enough, or one line says that they are not."""
    for limit in (16, 24, 32, 48, 64):
        folder = tmp_path / str(limit)
        result = ibc(*words(config, folder), cores=CORES, prepare=(
            f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))"))
        if result.returncode == 0:
            assert_same_checkpoint(final(whole), final(folder))
        else:
            one_error(result)
    assert result.returncode == 0


def test_an_image_removed_while_it_runs(config, whole, tmp_path):
    """The updates done are saved; with the image there again the run goes on."""
    data = tmp_path / "data"
    config = make_run(data, num_workers=2, log_iter=1)
    process = started(config, tmp_path)
    wait_until(lambda: checkpoints(tmp_path), process)
    image = data / "images/003.jpg"
    image.rename(data / "kept.jpg")
    error = one_error(finish(process))
    assert str(image) in error and f"after update {checkpoints(tmp_path)[-1]} is saved" in error
    (data / "kept.jpg").rename(image)
    assert_goes_on(config, tmp_path, whole)
