"""A full or read-only disk: one line that names the file, nothing half-written, and the same result on the next try."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.commands import COMMANDS, Disturbed, compare
from tests.faults.zygote import Zygote

SIZE = 400 << 20
SHARES = (0.0, 0.3, 0.7, 0.97)  # of what the results take


class Disk:
    """A small disk that only the commands started here see.

    mount: where they see it. view: the same folder for this process.
    """

    def __init__(self, mount: Path):
        self.mount = mount
        script = f'mount -t tmpfs -o size={SIZE} tmpfs "{mount}" && exec "$@"'
        self.zygote = Zygote(("unshare", "-m", "sh", "-c", script, "sh"))
        self.view = Path(f"/proc/{self.zygote.process.pid}/root{mount}")

    def words(self, command: Disturbed) -> list[str]:
        return [str(word).replace(str(self.view), str(self.mount)) for word in command.words(self.view / "out")]

    def run(self, command: Disturbed, log: Path) -> tuple[int, str]:
        code, _ = self.zygote.run(self.words(command), log, command.cores)
        return code, log.read_text()

    def leave(self, free: int) -> None:
        """Fill the disk up to ``free`` bytes."""
        state = os.statvfs(self.view)
        with open(self.view / "filler", "wb") as handle:
            os.posix_fallocate(handle.fileno(), 0, max(state.f_bavail * state.f_frsize - free, 1))

    def empty(self) -> None:
        shutil.rmtree(self.view / "out", ignore_errors=True)
        (self.view / "filler").unlink(missing_ok=True)

    def remount(self, how: str, log: Path) -> None:
        assert self.zygote.run(["sh", "-c", f'mount -o remount,{how} "{self.mount}"'], log)[0] == 0, log.read_text()


@pytest.fixture(scope="module")
def disk(tmp_path_factory) -> Iterator[Disk]:
    folder = tmp_path_factory.mktemp("disk")
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", folder], check=False).returncode:
        pytest.skip("mounting is not permitted")
    disk = Disk(folder)
    yield disk
    disk.zygote.close()


def bytes_in(folder: Path) -> int:
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.rglob("*") if path.is_file())


def assert_one_line(text: str, disk: Disk, reason: str) -> None:
    """One error line, which names something that the user knows."""
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and "Traceback" not in text, text
    assert ".tmp" not in text and "scratch" not in text and str(disk.mount) in lines[0], text
    assert reason in lines[0] or " GB free" in lines[0], text


@pytest.fixture(params=[name for name in COMMANDS if name not in ("preparation by two workers", "search index")])
def command(request, disk, tmp_path) -> Iterator[Disturbed]:
    place = tmp_path / "in"
    place.mkdir()
    disk.empty()
    yield COMMANDS[request.param](place)
    disk.empty()


def test_full_and_read_only(command, disk, tmp_path):
    out, log, whole = disk.view / "out", tmp_path / "log", tmp_path / "whole"
    code, text = disk.run(command, log)
    assert code == 0, text
    shutil.copytree(out, whole)
    needed = bytes_in(out)
    for share in SHARES:
        disk.empty()
        disk.leave(int(share * needed))
        code, text = disk.run(command, log)
        assert code in (0, 2), text
        if code:
            assert_one_line(text, disk, "No space left on device")
            compare(command, out, whole, finished=False)
        (disk.view / "filler").unlink()
        code, text = disk.run(command, log)
        assert code == 0, text
        compare(command, out, whole, finished=True)
    disk.empty()
    out.mkdir()
    disk.remount("ro", log)
    try:
        code, text = disk.run(command, log)
        assert code == 2, text
        assert_one_line(text, disk, "Read-only file system")
    finally:
        disk.remount("rw", log)
    assert list(out.iterdir()) == []
