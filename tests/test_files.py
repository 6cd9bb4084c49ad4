"""Files appear whole or not at all; what a killed writer left is recognised; one command at a time keeps a folder."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from ibc import files
from ibc.errors import InputError
from ibc.files import atomic_write, errors_name, only_writer, remove_leftovers
from tests.small_run import ROOT


@pytest.fixture(autouse=True)
def forgetful():
    """As in a new process."""
    files._clean_once.cache_clear()


def names(folder):
    return sorted(os.listdir(folder))


def killed_writer(path, how="os.kill(os.getpid(), 9)"):
    """A process that dies while it writes."""
    code = (f"import os\nfrom ibc.files import atomic_write\nwith atomic_write({str(path)!r}) as handle:\n"
            f"    handle.write(b'half'); handle.flush(); {how}")
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)


def test_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / "new" / "file"
    with atomic_write(path, "w") as handle:
        handle.write("one\n")
    with pytest.raises(ZeroDivisionError), atomic_write(path, "w") as handle:
        handle.write("two\n")
        raise ZeroDivisionError
    assert (path.read_text(), names(path.parent)) == ("one\n", ["file"])
    assert path.stat().st_mode & 0o777 == 0o666 & ~os.umask(os.umask(0o22))


@pytest.mark.parametrize("name", ["file", "x" * 255, "é" * 127, "na\nme", os.fsdecode(b"\xff\xfe"), ".hidden.tmp"])
def test_any_name_and_what_a_killed_writer_left(tmp_path, name):
    """The next writer to the folder deletes it, whatever it writes there."""
    killed_writer(tmp_path / name)
    assert [left.endswith(".tmp") for left in names(tmp_path)] == [True]
    with atomic_write(tmp_path / "other") as handle:
        handle.write(b"whole")
    assert names(tmp_path) == ["other"]
    with atomic_write(tmp_path / name) as handle:
        handle.write(b"whole")
    assert (tmp_path / name).read_bytes() == b"whole" and len(names(tmp_path)) == 2


def test_only_leftovers_are_deleted(tmp_path):
    foreign = [".vim.tmp", "a.ibc-01234567.tmp", ".a.12345.tmp", ".a.ibc-0123456.tmp", ".a.ibc-01234567.tmp.jpg"]
    for name in foreign:
        (tmp_path / name).touch()
    (tmp_path / ".folder.ibc-01234567.tmp").mkdir()
    (tmp_path / ".link.ibc-01234567.tmp").symlink_to(tmp_path / foreign[0])
    os.mkfifo(tmp_path / ".pipe.ibc-01234567.tmp")
    before = names(tmp_path)
    with atomic_write(tmp_path / "file"):
        pass
    assert set(before) - set(names(tmp_path)) <= {".pipe.ibc-01234567.tmp"}
    remove_leftovers(tmp_path, ["b"])
    assert ".a.12345.tmp" in names(tmp_path)
    remove_leftovers(tmp_path)  # of an earlier version
    assert ".a.12345.tmp" not in names(tmp_path) and ".vim.tmp" in names(tmp_path)


def test_a_file_that_is_being_written_stays(tmp_path):
    with atomic_write(tmp_path / "file", "w") as handle:
        handle.write("content")
        files._clean_once.cache_clear()
        with atomic_write(tmp_path / "other"):
            pass
        remove_leftovers(tmp_path)
    assert (tmp_path / "file").read_text() == "content" and names(tmp_path) == ["file", "other"]


def _write_often(path, number):
    for _ in range(200):
        files._clean_once.cache_clear()
        with atomic_write(path) as handle:
            handle.write(bytes([number]) * 100_000)


def test_many_writers_of_one_file(tmp_path):
    """Each file is that of one of them, though all of them look for leftovers all the time."""
    path = tmp_path / "file"
    writers = [multiprocessing.Process(target=_write_often, args=(path, number)) for number in range(4)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        if path.exists():
            content = path.read_bytes()
            assert len(content) == 100_000 and len(set(content)) == 1
    assert [writer.exitcode for writer in writers] == [0] * 4 and names(tmp_path) == ["file"]


def test_links_are_followed_and_devices_written_to(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with atomic_write(tmp_path / "link", "w") as handle:
        handle.write("content")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "content"
    with atomic_write("/dev/null", "w") as handle:
        handle.write("content")
    assert not os.path.isfile("/dev/null")
    with pytest.raises(OSError) as caught, atomic_write("/dev/full", "w") as handle:
        handle.write("content")
    assert caught.value.filename == "/dev/full"


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "file"
    for number in (errno.ENOSPC, errno.EIO):
        with pytest.raises(OSError) as caught, atomic_write(path):
            raise OSError(number, os.strerror(number))
        assert caught.value.filename == str(path)
    path.mkdir()
    with pytest.raises(OSError) as caught, atomic_write(path):
        pass
    assert caught.value.filename == str(path) and caught.value.filename2 is None
    with pytest.raises(OSError) as caught, errors_name("folder", "aside"):
        open("aside/x")  # noqa: SIM115
    assert caught.value.filename == "aside/x"
    with pytest.raises(OSError) as caught, errors_name("folder", "aside"):
        open("aside")  # noqa: SIM115
    assert caught.value.filename == "folder"


HOLD = """
import sys, time
from ibc.files import only_writer
with only_writer(sys.argv[1]):
    {inside}
    print("inside", flush=True)
    time.sleep(60)
"""


def holder(folder, inside=""):
    process = subprocess.Popen([sys.executable, "-c", HOLD.format(inside=inside), folder], cwd=ROOT,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "inside\n"
    return process


def test_one_writer_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("ibc.files.LOCK_SECONDS", 0.3)
    process = holder(tmp_path / "new")
    with pytest.raises(InputError, match="found another command that is writing to it"), only_writer(tmp_path / "new"):
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with only_writer(tmp_path / "new"):
        pass
    assert names(tmp_path / "new") == []


def test_a_killed_writer_keeps_nobody_out_though_its_children_live(tmp_path):
    process = holder(tmp_path, "import os; child = os.fork()\n    if not child: time.sleep(20); os._exit(0)")
    process.kill()
    process.wait()
    started = time.monotonic()
    with only_writer(tmp_path):
        pass
    assert time.monotonic() - started < 3
