"""Building a set of images again: what is missing is made, other settings are refused, interruptions change nothing."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time

import pytest

from ibc.commands.prepare import COMMAND as main
from tests.datasets.preparing import class_tree, prepare, tree_digest
from tests.datasets.replicas import jpeg, write_tar, write_tree


def test_a_second_run_makes_only_what_is_missing(tmp_path):
    write_tree(tmp_path / "src", class_tree(5))
    prepare("folder", tmp_path / "src", tmp_path / "out")
    digest = tree_digest(tmp_path / "out")
    kept = tmp_path / "out" / "images" / "ant" / "0.jpg"
    before = kept.stat().st_mtime_ns
    (tmp_path / "out" / "images" / "bee" / "3.jpg").unlink()
    (tmp_path / "out" / "images" / "bee" / "4.jpg").write_bytes(b"torn")
    prepare("folder", tmp_path / "src", tmp_path / "out")
    assert tree_digest(tmp_path / "out") == digest
    assert kept.stat().st_mtime_ns == before


def test_a_changed_source_image_is_made_again(tmp_path):
    write_tree(tmp_path / "src", class_tree(2))
    prepare("folder", tmp_path / "src", tmp_path / "out")
    stored = tmp_path / "out" / "images" / "ant" / "0.jpg"
    before = stored.read_bytes()
    (tmp_path / "src" / "ant" / "0.jpg").write_bytes(jpeg(77, 320, 300))
    prepare("folder", tmp_path / "src", tmp_path / "out")
    assert stored.read_bytes() != before


def test_other_settings_do_not_mix_in_one_folder(tmp_path, capsys):
    write_tree(tmp_path / "src", class_tree(2))
    prepare("folder", tmp_path / "src", tmp_path / "out")
    assert main(["folder", str(tmp_path / "src"), str(tmp_path / "out"), "--size", "128"]) == 2
    assert "--size 256, expected --size 128" in capsys.readouterr().err
    (tmp_path / "own" / "images").mkdir(parents=True)
    (tmp_path / "own" / "images" / "mine.jpg").write_bytes(b"precious")
    assert main(["folder", str(tmp_path / "src"), str(tmp_path / "own")]) == 2
    assert (tmp_path / "own" / "images" / "mine.jpg").read_bytes() == b"precious"


def heed_interrupts():
    """A shell's background jobs ignore SIGINT, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, root):
    """200 images in a tar, the command that prepares them, and the digest of what it writes."""
    folder = tmp_path_factory.mktemp("prepared")
    contents = [jpeg(number, 900, 700) for number in range(20)]
    files = {f"c{number % 3}/{number}.jpg": contents[number % 20] for number in range(200)}
    write_tar(folder / "src.tar", {**files, "c1/bad.jpg": b"no image"})
    command = [sys.executable, "-m", "ibc.data.prepare", "folder", str(folder / "src.tar")]
    subprocess.run([*command, str(folder / "whole" / "out"), "--workers", "2"], cwd=root, check=True,
                   capture_output=True)
    return command, tree_digest(folder / "whole" / "out")


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_and_resumed_gives_the_same_bytes(prepared, tmp_path, root, kind):
    command, whole = prepared
    out = tmp_path / "broken" / "out"
    run = subprocess.Popen([*command, str(out), "--workers", "2"], cwd=root, stderr=subprocess.PIPE,
                           stdout=subprocess.DEVNULL, preexec_fn=heed_interrupts)  # noqa: PLW1509 - no threads yet
    while run.poll() is None and len(list(out.glob("images/*/*.jpg"))) < 40:
        time.sleep(0.02)
    for _ in range(3):  # an impatient user: more signals must not leave it hanging
        run.send_signal(kind)
        time.sleep(0.05)
    run.communicate(timeout=60)
    # 130; or ended by a signal that came while the interpreter was closing down
    assert run.returncode in {-kind, 130 if kind == signal.SIGINT else -kind}
    assert 40 <= len(list(out.glob("images/*/*.jpg"))) < 200
    assert not (out / "manifest.json").exists()
    subprocess.run([*command, str(out), "--workers", "2"], cwd=root, check=True, capture_output=True)
    assert tree_digest(out) == whole
    assert not list(out.rglob("*.tmp")) and not (out / ".prepare" / "scratch").exists()


def test_a_full_disk_is_refused_before_the_work(tmp_path, monkeypatch, capsys):
    write_tree(tmp_path / "src", class_tree(2))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6, 10**4))
    assert main(["folder", str(tmp_path / "src"), str(tmp_path / "out"), "--workers", "1"]) == 2
    assert "GB free" in capsys.readouterr().err
    assert not (tmp_path / "out" / "images").exists()
