"""Preparing data sets: every source format in miniature, resumption, hostile and odd input."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ibc.data.list_file import read_list
from ibc.data.prepare.__main__ import main
from tests.data import replicas
from tests.data.replicas import encode, jpeg, picture, write_tar, write_tree, write_zip


def prepare(*arguments: object) -> dict:
    """Run the command in this process; its manifest."""
    words = [str(word) for word in arguments]
    assert main([*words, "--workers", "1"]) == 0
    destination = words[2] if words[0] == "folder" else words[1]
    return json.loads(Path(destination, "manifest.json").read_text())


def rows(folder: Path, file: str) -> dict[str, list[int]]:
    """List row by image name without "images/" and ending; the images must be there."""
    images = read_list(file, folder)
    for path in images.files:
        assert Path(path).is_file()
    return {os.path.splitext(name)[0].removeprefix("images/"): row
            for name, row in zip(images.names, images.labels.astype(int).tolist(), strict=True)}


def skipped(folder: Path) -> dict[str, str]:
    with open(folder / "skipped.csv", newline="") as handle:
        return {row["image"]: row["reason"] for row in csv.DictReader(handle)}


def tree_digest(folder: Path) -> dict[str, str]:
    """Every file that a user sees -> SHA-256."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file() and ".prepare" not in path.parts}


def class_tree(per_class: int = 4, classes: tuple[str, ...] = ("ant", "bee")) -> dict[str, bytes]:
    return {f"{label}/{number}.jpg": jpeg(10 * place + number)
            for place, label in enumerate(classes) for number in range(per_class)}


# --- folder ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["folder", "zip", "stored", "tar", "tar.gz"])
def test_the_source_may_be_a_folder_or_any_archive(tmp_path, container):
    files = {f"wrap/{name}": data for name, data in class_tree().items()}
    source = tmp_path / f"src.{container}"
    {"folder": lambda: write_tree(source, files), "zip": lambda: write_zip(source, files),
     "stored": lambda: write_zip(source, files, 0), "tar": lambda: write_tar(source, files),
     "tar.gz": lambda: write_tar(source, files, "w:gz")}[container]()
    manifest = prepare("folder", source, tmp_path / "out", "--test_share", 0.25)
    assert manifest["classes"] == ["ant", "bee"]
    train, test = rows(tmp_path / "out", "train.txt"), rows(tmp_path / "out", "test.txt")
    assert len(train) == 6
    assert sorted(row for [row] in test.values()) == [0, 1]
    assert set(train) | set(test) == {name[:-4] for name in class_tree()}
    for name in (*train, *test):
        with Image.open(tmp_path / "out" / "images" / f"{name}.jpg") as image:
            assert image.size == (274, 256)  # 300 x 280


def test_the_manifest_proves_the_lists(tmp_path):
    write_tree(tmp_path / "src", class_tree())
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out")
    for file, facts in manifest["lists"].items():
        assert facts["sha256"] == hashlib.sha256((tmp_path / "out" / file).read_bytes()).hexdigest()
        assert facts["images"] == len(rows(tmp_path / "out", file))
    assert (tmp_path / "out" / "classes.txt").read_text().split() == ["ant", "bee"]


def test_top_folders_are_the_split_and_a_lone_val_is_the_test(tmp_path):
    files = {f"{split}/{name}": data for split in ("train", "val") for name, data in class_tree(2).items()}
    write_tree(tmp_path / "src", files)
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out")
    assert manifest["rule"] == "the split of the source's top folders"
    assert set(rows(tmp_path / "out", "train.txt")) == {"train/ant/0", "train/ant/1", "train/bee/0", "train/bee/1"}
    assert set(rows(tmp_path / "out", "test.txt")) == {"test/ant/0", "test/ant/1", "test/bee/0", "test/bee/1"}


def test_a_class_may_be_called_train(tmp_path):
    write_tree(tmp_path / "src", class_tree(2, ("car", "train")))
    assert prepare("folder", tmp_path / "src", tmp_path / "out")["classes"] == ["car", "train"]


def test_the_seeded_split_is_stable_when_images_come_and_go(tmp_path):
    write_tree(tmp_path / "src", class_tree(12))
    prepare("folder", tmp_path / "src", tmp_path / "out", "--test_share", 0.25, "--seed", 3)
    prepare("folder", tmp_path / "src", tmp_path / "other", "--test_share", 0.25, "--seed", 4)
    before = set(rows(tmp_path / "out", "test.txt"))
    assert before != set(rows(tmp_path / "other", "test.txt"))
    gone = sorted(set(rows(tmp_path / "out", "train.txt")))[0]
    (tmp_path / "src" / f"{gone}.jpg").unlink()
    prepare("folder", tmp_path / "src", tmp_path / "third", "--test_share", 0.25, "--seed", 3)
    assert set(rows(tmp_path / "third", "test.txt")) == before


def test_small_images_are_kept_byte_for_byte(tmp_path):
    files = {"a/grey.jpg": encode(picture(1, 32, 32, "L")), "a/b.jpeg": jpeg(2, 256, 400), "a/c.PNG":
             encode(picture(3, 40, 30), "PNG")}
    write_tree(tmp_path / "src", files)
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out", "--test_share", 0)
    assert manifest["images"]["kept"] == 3
    for name, stored in (("a/grey.jpg",) * 2, ("a/b.jpeg", "a/b.jpg"), ("a/c.PNG", "a/c.png")):
        assert (tmp_path / "out" / "images" / stored).read_bytes() == files[name]


def test_names_that_differ_only_in_their_ending_stay_apart(tmp_path):
    write_tree(tmp_path / "src", {"a/1.jpg": jpeg(1), "a/1.jpeg": jpeg(2), "a/1.png": encode(picture(3), "PNG"),
                                  "a/with space.jpg": jpeg(4), "a/#x.jpg": jpeg(5)})
    prepare("folder", tmp_path / "src", tmp_path / "out", "--test_share", 0)
    assert len(rows(tmp_path / "out", "train.txt")) == 5


def test_attributes_follow_the_class(tmp_path):
    write_tree(tmp_path / "src", class_tree(2))
    (tmp_path / "a.csv").write_text("image;red;round\nant/0.jpg;1;-1\n./bee/1;0;\nbee/9.jpg;1;1\n")
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out", "--attributes", tmp_path / "a.csv",
                       "--test_share", 0)
    assert manifest["attributes"] == ["red", "round"]
    text = (tmp_path / "out" / "train.txt").read_text().splitlines()
    assert text == ["images/ant/0.jpg 0 1 -1", "images/ant/1.jpg 0 2 2", "images/bee/0.jpg 1 2 2",
                    "images/bee/1.jpg 1 0 2"]
    assert skipped(tmp_path / "out") == {"bee/9.jpg": "no such image (a.csv, line 4)"}


def test_label_vectors_come_with_class_weights(tmp_path):
    files = {f"train/{number}.jpg": jpeg(number) for number in range(4)} | {"test/9.jpg": jpeg(9)}
    write_tree(tmp_path / "src", files)
    (tmp_path / "l.csv").write_text("image,sky,sea,cat\n0.jpg,1,0,0\n1.jpg,1,1,0\n2.jpg,1,0,0\n3.jpg,0,0,0\n9.jpg,1,1,1\n")
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out", "--labels", tmp_path / "l.csv")
    assert manifest["classes"] == ["sky", "sea", "cat"]
    assert manifest["class_weights"] == [0.33, 3.0, 1.0]  # 1/3, 3/1, none
    read_list("train.txt", tmp_path / "out", class_num=3, multi_label=True)
    assert rows(tmp_path / "out", "train.txt")["train/1"] == [1, 1, 0]
    assert rows(tmp_path / "out", "test.txt") == {"test/9": [1, 1, 1]}


@pytest.mark.parametrize("text, complaint", [
    ("image,red\nant/0.jpg,3\n", "a.csv:2: found '3'"),
    ("image,red\nant/0.jpg\n", "a.csv:2: found 0 values, expected 1"),
    ("image,red\nant/0.jpg,1\nant/0.jpg,1\n", "a.csv:3: found 'ant/0.jpg' again"),
    ("image,red,red\nant/0.jpg,1,1\n", "a.csv:1: found two columns 'red'"),
    ("ant/0.jpg,1\n", "a.csv:1: found values in the first line"),
    ("image,red\nnothing.jpg,1\n", "a.csv:2: found no image of the source"),
])
def test_faults_of_a_table_are_named_with_their_line(tmp_path, capsys, text, complaint):
    write_tree(tmp_path / "src", class_tree(1))
    (tmp_path / "a.csv").write_text(text)
    assert main(["folder", str(tmp_path / "src"), str(tmp_path / "out"), "--attributes", str(tmp_path / "a.csv")]) == 2
    assert complaint in capsys.readouterr().err


def test_link_leaves_plain_originals_where_they_are(tmp_path):
    files = class_tree(1) | {"bee/turned.jpg": encode(picture(5), exif=exif(6))}
    write_tree(tmp_path / "src", files)
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out", "--link", "--test_share", 0)
    assert (manifest["images"]["linked"], manifest["images"]["resized"]) == (2, 1)
    link = tmp_path / "out" / "images" / "ant" / "0.jpg"
    assert link.is_symlink() and link.read_bytes() == files["ant/0.jpg"]
    assert not (tmp_path / "out" / "images" / "bee" / "turned.jpg").is_symlink()
    write_zip(tmp_path / "src.zip", files)
    assert main(["folder", str(tmp_path / "src.zip"), str(tmp_path / "out2"), "--link"]) == 2


# --- odd and damaged images -----------------------------------------------------------------------


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def quarters(width: int, height: int) -> Image.Image:
    """Red, green, blue and white quarters, so that a turn is seen."""
    image = Image.new("RGB", (width, height), "red")
    image.paste("lime", (width // 2, 0, width, height // 2))
    image.paste("blue", (0, height // 2, width // 2, height))
    image.paste("white", (width // 2, height // 2, width, height))
    return image


@pytest.mark.parametrize("size", [(600, 400), (900, 1400), (100, 80)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotated_photographs_are_turned_upright(tmp_path, orientation, size):
    upright = quarters(*size)
    undo = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90",
            7: "TRANSVERSE", 8: "ROTATE_270"}
    stored = upright.transpose(Image.Transpose[undo[orientation]]) if orientation > 1 else upright
    write_tree(tmp_path / "src", {"a/x.jpg": encode(stored, exif=exif(orientation), quality=95)})
    prepare("folder", tmp_path / "src", tmp_path / "out", "--test_share", 0)
    with Image.open(tmp_path / "out" / "images" / "a" / "x.jpg") as image:
        small = min(*size) <= 256
        assert image.size == (size if small else
                              tuple(round(side * 256 / min(size)) for side in size)) or orientation == 1 and small
        if small and orientation == 1:
            return
        pixels = np.asarray(image).astype(int)
    high, wide = pixels.shape[0] // 4, pixels.shape[1] // 4
    corners = [pixels[high, wide], pixels[high, -wide], pixels[-high, wide], pixels[-high, -wide]]
    for found, wanted in zip(corners, [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)], strict=True):
        assert np.abs(found - wanted).max() < 30


def odd_images() -> dict[str, tuple[bytes, str]]:
    """Name -> (content, what the manifest counts it under)."""
    grey16 = Image.fromarray(np.linspace(0, 65535, 300 * 280).reshape(280, 300).astype(np.uint16))
    frames = [picture(seed) for seed in (1, 2, 3)]
    clear = picture(4, mode="RGBA")
    clear.putalpha(0)
    return {
        "cmyk.jpg": (encode(picture(5, mode="CMYK")), "CMYK to RGB"),
        "grey16.png": (encode(grey16, "PNG"), "16 bits to 8"),
        "grey16.tif": (encode(grey16, "TIFF"), "16 bits to 8"),
        "animated.gif": (encode(frames[0], "GIF", save_all=True, append_images=frames[1:]), "first frame of several"),
        "animated.webp": (encode(frames[0], "WEBP", save_all=True, append_images=frames[1:]), "first frame of several"),
        "clear.png": (encode(clear, "PNG"), "transparency laid on white"),
        "palette.gif": (encode(picture(6, mode="P"), "GIF"), ""),
        "really_png.jpg": (encode(picture(7), "PNG"), "wrongly named"),
        "really_jpeg.png": (jpeg(8), "wrongly named"),
        "no_ending": (jpeg(9), ""),
        "progressive.jpg": (encode(picture(10), progressive=True), ""),
        "grey.jpg": (encode(picture(11, mode="L")), ""),
        "bits.bmp": (encode(picture(12, mode="1"), "BMP"), ""),
    }


@pytest.mark.parametrize("scale", [1, 0.2])
def test_odd_images_are_handled_and_counted(tmp_path, scale):
    odd = odd_images()
    if scale != 1:  # below --size: nothing is resized, and the size is kept
        odd = {name: (shrunk(data, scale), note) for name, (data, note) in odd.items() if "animated" not in name}
    write_tree(tmp_path / "src", {f"a/{name}": data for name, (data, _) in odd.items()})
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out", "--test_share", 0)
    assert skipped(tmp_path / "out") == {}
    wanted: dict[str, int] = {}
    for _, note in odd.values():
        if note:
            wanted[note] = wanted.get(note, 0) + 1
    assert {note: manifest["images"]["handled"].get(note) for note in wanted} == wanted
    for path in read_list("train.txt", tmp_path / "out").files:
        with Image.open(path) as image:
            assert image.mode in ("RGB", "L")
            assert image.size == ((274, 256) if scale == 1 else (60, 56))
    blank = next((tmp_path / "out" / "images" / "a").glob("clear.*"))
    assert np.asarray(Image.open(blank)).min() > 250
    ramp = np.asarray(Image.open(next((tmp_path / "out" / "images" / "a").glob("grey16.*"))).convert("L"))
    assert ramp[0].max() < 10 and ramp[-1].min() > 245


def shrunk(data: bytes, scale: float) -> bytes:
    import io

    with Image.open(io.BytesIO(data)) as image:
        small = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.NEAREST)
        return encode(small, image.format)


def broken_images() -> dict[str, tuple[bytes, str]]:
    """Name -> (content, part of the reason)."""
    whole = jpeg(1, 500, 400)
    middle = len(whole) // 2
    rng = np.random.default_rng(0)
    bomb = Image.new("L", (20000, 20000))
    return {
        "empty.jpg": (b"", "empty file"),
        "zeros.jpg": (bytes(5000), "empty file"),
        "text.jpg": (b"<html>404 not found</html>", "not an image"),
        "cut.jpg": (whole[:middle], "damaged"),
        "small_cut.jpg": (jpeg(2, 60, 60)[:-200], "damaged"),
        "garbage.jpg": (whole[:middle] + rng.bytes(2000) + whole[middle + 2000 :], "damaged"),
        "hole.jpg": (whole[:middle] + whole[middle + 512 :], "damaged"),
        "cut.png": (encode(picture(3), "PNG")[:-4000], "damaged"),
        "float.tif": (encode(Image.fromarray(np.zeros((300, 300), np.float32)), "TIFF"), "range is not known"),
        "bomb.png": (encode(bomb, "PNG"), "million pixels"),
        "header.gif": (b"GIF89a" + bytes(20), ""),
    }


def test_damaged_images_are_listed_with_a_reason_and_the_rest_is_used(tmp_path):
    broken = broken_images()
    write_tree(tmp_path / "src", class_tree(3) | {f"bee/{name}": data for name, (data, _) in broken.items()})
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out", "--test_share", 0)
    reasons = skipped(tmp_path / "out")
    assert set(reasons) == {f"bee/{name}" for name in broken}
    for name, (_, reason) in broken.items():
        assert reason in reasons[f"bee/{name}"], name
    assert manifest["images"]["skipped"] == len(broken)
    assert set(rows(tmp_path / "out", "train.txt")) == {name[:-4] for name in class_tree(3)}


def test_one_percent_of_corrupt_files_is_found(tmp_path):
    files = {f"c{number % 4}/{number}.jpg": jpeg(number, 90, 70) for number in range(300)}
    rng = np.random.default_rng(1)
    bad = [f"c{number % 4}/{number}.jpg" for number in rng.choice(300, 3, replace=False)]
    for name in bad:
        files[name] = files[name][: len(files[name]) // 2]
    write_zip(tmp_path / "src.zip", files)
    prepare("folder", tmp_path / "src.zip", tmp_path / "out")
    assert set(skipped(tmp_path / "out")) == set(bad)
    assert len(rows(tmp_path / "out", "train.txt")) + len(rows(tmp_path / "out", "test.txt")) == 297


def test_nothing_usable_is_an_error_that_points_to_the_reasons(tmp_path, capsys):
    write_tree(tmp_path / "src", {"a/x.jpg": b"no", "a/y.jpg": b"no"})
    assert main(["folder", str(tmp_path / "src"), str(tmp_path / "out"), "--workers", "1"]) == 2
    assert "skipped.csv" in capsys.readouterr().err
    assert len(skipped(tmp_path / "out")) == 2


# --- archives -------------------------------------------------------------------------------------


def linked_tar(path: Path, kind: bytes) -> None:
    import io
    import tarfile

    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo("a/x.jpg")
        entry.type, entry.linkname = kind, "/etc/passwd"
        tar.addfile(entry)
        data = jpeg(1)
        plain = tarfile.TarInfo("a/y.jpg")
        plain.size = len(data)
        tar.addfile(plain, io.BytesIO(data))


@pytest.mark.parametrize("name", ["../x.jpg", "a/../../x.jpg", "/tmp/x.jpg", "C:/x.jpg"])
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_paths_that_leave_an_archive_are_refused(tmp_path, capsys, kind, name):
    source = tmp_path / f"src.{kind}"
    files = {"a/1.jpg": jpeg(1), name: jpeg(2)}
    write_zip(source, files) if kind == "zip" else write_tar(source, files, "w:gz" if kind == "tar.gz" else "w")
    assert main(["folder", str(source), str(tmp_path / "deep" / "out"), "--workers", "1"]) == 2
    assert f"'{name}'" in capsys.readouterr().err
    assert not list(tmp_path.rglob("x.jpg"))


def test_links_in_archives_are_refused(tmp_path, capsys):
    import tarfile
    import zipfile

    linked_tar(tmp_path / "soft.tar", tarfile.SYMTYPE)
    linked_tar(tmp_path / "hard.tar", tarfile.LNKTYPE)
    with zipfile.ZipFile(tmp_path / "soft.zip", "w") as archive:
        entry = zipfile.ZipInfo("a/x.jpg")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    for source in ("soft.tar", "hard.tar", "soft.zip"):
        assert main(["folder", str(tmp_path / source), str(tmp_path / "out"), "--workers", "1"]) == 2
        assert "a link: 'a/x.jpg'" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_cut_archive_is_an_error(tmp_path, capsys, kind):
    source = tmp_path / f"src.{kind}"
    files = class_tree()
    write_zip(source, files) if kind == "zip" else write_tar(source, files, "w:gz" if kind == "tar.gz" else "w")
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    assert main(["folder", str(source), str(tmp_path / "out"), "--workers", "1"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1


def test_an_encrypted_or_flipped_zip_entry_is_found(tmp_path):
    write_zip(tmp_path / "src.zip", class_tree(2), 0)
    data = bytearray((tmp_path / "src.zip").read_bytes())
    place = data.index(class_tree(2)["ant/0.jpg"][600:640])
    data[place] ^= 255
    (tmp_path / "src.zip").write_bytes(data)
    prepare("folder", tmp_path / "src.zip", tmp_path / "out", "--test_share", 0)
    assert list(skipped(tmp_path / "out")) == ["ant/0.jpg"]
    assert "checksum" in skipped(tmp_path / "out")["ant/0.jpg"]


# --- resumption -----------------------------------------------------------------------------------


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


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_and_resumed_gives_the_same_bytes(tmp_path, root, kind):
    files = {f"c{number % 3}/{number}.jpg": jpeg(number, 900, 700) for number in range(20)}
    files = {f"{copy}_{name.replace('/', '_')}": data for copy in range(15) for name, data in files.items()}
    files = {f"c{place % 3}/{name}": data for place, (name, data) in enumerate(files.items())}
    files["c1/bad.jpg"] = b"no image"
    write_tar(tmp_path / "src.tar", files)
    command = [sys.executable, "-m", "ibc.data.prepare", "folder", str(tmp_path / "src.tar")]
    subprocess.run([*command, str(tmp_path / "whole" / "out"), "--workers", "2"], cwd=root, check=True,
                   capture_output=True)
    out = tmp_path / "broken" / "out"
    run = subprocess.Popen([*command, str(out), "--workers", "2"], cwd=root, stderr=subprocess.PIPE,
                           stdout=subprocess.DEVNULL)
    while run.poll() is None and len(list(out.glob("images/*/*.jpg"))) < 40:
        time.sleep(0.02)
    run.send_signal(kind)
    run.communicate()
    assert run.returncode == (130 if kind == signal.SIGINT else -kind)
    assert 40 <= len(list(out.glob("images/*/*.jpg"))) < 300
    assert not (out / "manifest.json").exists()
    subprocess.run([*command, str(out), "--workers", "2"], cwd=root, check=True, capture_output=True)
    assert tree_digest(out) == tree_digest(tmp_path / "whole" / "out")
    assert not list(out.rglob("*.tmp")) and not (out / ".prepare" / "scratch").exists()


def test_a_full_disk_is_refused_before_the_work(tmp_path, monkeypatch, capsys):
    write_tree(tmp_path / "src", class_tree(2))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6, 10**4))
    assert main(["folder", str(tmp_path / "src"), str(tmp_path / "out"), "--workers", "1"]) == 2
    assert "GB free" in capsys.readouterr().err
    assert not (tmp_path / "out" / "images").exists()


# --- the paper's data sets ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ilsvrc(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ilsvrc")
    replicas.write_ilsvrc(folder)
    replicas.write_dataset_info(folder / "dataset_info.mat")
    return folder


def test_imagenet150k_from_the_published_archives(tmp_path, ilsvrc):
    manifest = prepare("imagenet150k", tmp_path, "--source", ilsvrc)
    assert manifest["classes"] == replicas.SYNSETS
    assert manifest["attributes"] == [f"attribute {number}" for number in range(4)]
    assert manifest["train_parts"] == {"class_and_attributes": 6, "attributes_only": 6, "class_only": 6}
    assert manifest["class_words"][2] == "thing 2, stuff"
    train, test, mis = (rows(tmp_path, file) for file in ("train.txt", "test.txt", "test_mis.txt"))
    assert (len(train), len(test), len(mis)) == (18, 12, 18)
    for place, synset in enumerate(replicas.SYNSETS):
        assert train[f"train/{synset}/{synset}_1"][0] == place
        assert train[f"train/{synset}/{synset}_2"][0] == 99999
        assert train[f"train/{synset}/{synset}_3"] == [place, 2, 2, 2, 2]
    for number in range(1, 19):
        name = f"val/ILSVRC2012_val_{number:08d}"
        assert mis[name][0] == replicas.val_class(number)
        assert mis[name][1:] == (test[name][1:] if number <= 12 else [2, 2, 2, 2])
    source = replicas.picture(101)  # class 1, image 1
    with Image.open(tmp_path / "images" / "train" / replicas.SYNSETS[1] / f"{replicas.SYNSETS[1]}_1.jpg") as image:
        assert np.abs(np.asarray(image.resize((7, 6))).astype(int) - np.asarray(source.resize((7, 6)))).max() < 12


def test_imagenet150k_from_folders_recovers_classes(tmp_path, ilsvrc):
    files = {f"train/{name}": data for name, data in replicas.ilsvrc_train_files().items()}
    files |= {f"val/{name}": data for name, data in replicas.ilsvrc_val_files().items()}
    lost = f"train/{replicas.SYNSETS[0]}/{replicas.SYNSETS[0]}_3.JPEG"
    del files[lost]
    write_tree(tmp_path / "src", files)
    manifest = prepare("imagenet150k", tmp_path / "out", "--source", tmp_path / "src", "--info",
                       ilsvrc / "dataset_info.mat", "--recover_classes")
    train = rows(tmp_path / "out", "train.txt")
    assert all(row[0] == replicas.SYNSETS.index(name.split("/")[1]) for name, row in train.items())
    assert skipped(tmp_path / "out") == {lost.removeprefix("train/"): "not in the source"}
    assert "devkit" in manifest["notes"][0] and not (tmp_path / "out" / "test_mis.txt").exists()


def test_imagenet100_takes_classes_by_rule_or_from_a_file(tmp_path, ilsvrc, monkeypatch):
    from ibc.data.prepare import imagenet

    (tmp_path / "classes.txt").write_text(f"# mine\n{replicas.SYNSETS[4]} strawberry\n\n{replicas.SYNSETS[0]}\n")
    manifest = prepare("imagenet100", tmp_path / "listed", "--source", ilsvrc, "--classes", tmp_path / "classes.txt")
    assert manifest["classes"] == [replicas.SYNSETS[4], replicas.SYNSETS[0]]
    assert len(rows(tmp_path / "listed", "train.txt")) == 6
    test = rows(tmp_path / "listed", "test.txt")
    assert test == {f"val/ILSVRC2012_val_{number:08d}": [0 if replicas.val_class(number) == 4 else 1]
                    for number in range(1, 19) if replicas.val_class(number) in (0, 4)}
    plans = [imagenet.plan_imagenet100([str(ilsvrc)], None, seed=seed, class_num=3) for seed in (0, 0, 1)]
    by_hash = sorted(replicas.SYNSETS, key=lambda name: hashlib.sha256(f"0:{name}".encode()).digest())[:3]
    assert plans[0].classes == plans[1].classes == sorted(by_hash)
    assert plans[2].classes != plans[0].classes


def test_kaggles_layout_is_understood(tmp_path):
    prefix = "ILSVRC/Data/CLS-LOC/"
    files = {f"{prefix}train/{name}": data for name, data in replicas.ilsvrc_train_files().items()}
    files |= {f"{prefix}val/{name}": data for name, data in replicas.ilsvrc_val_files().items()}
    files["LOC_val_solution.csv"] = ("ImageId,PredictionString\n" + "".join(
        f"ILSVRC2012_val_{number:08d},{replicas.SYNSETS[replicas.val_class(number)]} 1 2 3 4 \n"
        for number in range(1, 19))).encode()
    write_zip(tmp_path / "imagenet-object-localization-challenge.zip", files)
    replicas.write_dataset_info(tmp_path / "dataset_info.mat")
    prepare("imagenet150k", tmp_path / "out", "--info", tmp_path / "dataset_info.mat", "--source",
            tmp_path / "imagenet-object-localization-challenge.zip")
    assert {name: row[0] for name, row in rows(tmp_path / "out", "test_mis.txt").items()} == {
        f"val/ILSVRC2012_val_{number:08d}": replicas.val_class(number) for number in range(1, 19)}


def test_a_devkit_of_other_classes_is_refused(tmp_path, ilsvrc, capsys):
    from scipy.io import loadmat, savemat

    content = loadmat(ilsvrc / "dataset_info.mat")
    content["label_test"][3] = (content["label_test"][3] + 1) % 6
    savemat(tmp_path / "wrong.mat", content)
    assert main(["imagenet150k", str(tmp_path / "out"), "--source", str(ilsvrc), "--info",
                 str(tmp_path / "wrong.mat")]) == 2
    assert "ILSVRC2012_val_00000004" in capsys.readouterr().err


def test_the_real_definition_of_imagenet150k(tmp_path, shared_data):
    info = shared_data / "imagenet150k" / "dataset_info.mat"
    start = time.monotonic()
    manifest = prepare("imagenet150k", tmp_path, "--lists_only", "--info", info)
    seconds = time.monotonic() - start
    assert seconds < 20
    assert {file: facts["images"] for file, facts in manifest["lists"].items()} == {"train.txt": 148_000,
                                                                                    "test.txt": 2_000}
    assert (manifest["class_num"], len(manifest["attributes"])) == (1000, 25)
    assert manifest["train_parts"] == {"class_and_attributes": 5_000, "attributes_only": 43_000, "class_only": 100_000}
    lines = [line.split() for line in (tmp_path / "train.txt").read_text().splitlines()]
    labels = np.array([line[1:] for line in lines], dtype=int)
    assert (labels[:5000, 0] < 1000).all() and (labels[:5000, 1:] != 2).all()
    assert (labels[5000:48000, 0] == 99999).all() and (labels[5000:48000, 1:] != 2).all()
    assert (labels[48000:, 0] < 1000).all() and (labels[48000:, 1:] == 2).all()
    # The class of every synset is stated by the labelled rows; the recovered ones must be those.
    stated = {line[0].split("/")[2]: int(line[1]) for line in lines if line[1] != "99999"}
    prepare("imagenet150k", tmp_path, "--lists_only", "--info", info, "--recover_classes")
    recovered = [line.split() for line in (tmp_path / "train.txt").read_text().splitlines()]
    assert sum(int(line[1]) == stated[line[0].split("/")[2]] for line in recovered[5000:48000]) == 43_000


def test_sun_joins_scenes_and_attributes(tmp_path):
    votes = replicas.write_sun(tmp_path / "src")
    manifest = prepare("sun", tmp_path / "out", "--source", tmp_path / "src")
    assert manifest["classes"] == ["abbey", "apse/indoor", "beach"]
    assert manifest["attributes"][1] == "ocean"
    train, test = rows(tmp_path / "out", "train.txt"), rows(tmp_path / "out", "test.txt")
    assert (len(train) + len(test), len(test)) == (3 * 17 + 3, 30)
    for name, row in {**train, **test}.items():
        scene = os.path.dirname(name)
        assert row[0] == (replicas.SCENES.index(scene) if scene in replicas.SCENES else 99999)
        shares = votes.get(f"{name}.jpg")
        assert row[1:] == ([2] * 5 if shares is None else [int(round(3 * share) >= 2) for share in shares])
    for scene in replicas.SCENES:  # 2 shared and 3 own images of each scene are annotated: all of them are tested
        inside = [name for name in test if os.path.dirname(name) == scene]
        assert (len(inside), sum(f"{name}.jpg" in votes for name in inside)) == (10, 5)
    assert {f"{name}.jpg" for name in rows(tmp_path / "out", "train_attr.txt")} == set(votes) - {
        f"{name}.jpg" for name in test}


@pytest.mark.parametrize("missing, complaint", [("SUN397.tar.gz", "no ClassName.txt"),
                                                ("SUNAttributeDB.tar.gz", "no images.mat")])
def test_sun_says_which_part_is_missing(tmp_path, capsys, missing, complaint):
    replicas.write_sun(tmp_path / "src", per_scene=3, shared=1, own=1)
    (tmp_path / "src" / missing).unlink()
    assert main(["sun", str(tmp_path / "out"), "--source", str(tmp_path / "src")]) == 2
    assert complaint in capsys.readouterr().err


def test_cifar10_from_the_official_archive_keeps_every_pixel(tmp_path):
    pixels = replicas.write_cifar10(tmp_path / "cifar-10-python.tar.gz")
    manifest = prepare("cifar10", tmp_path / "out", "--source", tmp_path / "cifar-10-python.tar.gz")
    assert manifest["classes"] == ["airplane", "automobile", "bird"]
    for split, images in pixels.items():
        listed = rows(tmp_path / "out", f"{split}.txt")
        assert len(listed) == len(images)
        for name, [label] in listed.items():
            number = int(os.path.basename(name))
            stored = np.asarray(Image.open(tmp_path / "out" / "images" / f"{name}.png"))
            assert np.array_equal(stored, images[number].transpose(1, 2, 0))
            assert label == number % 4 % 3
    assert not (tmp_path / "out" / ".prepare" / "pixels.tar").exists()


def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path, capsys):
    replicas.write_tar(tmp_path / "evil.tar.gz", {
        f"cifar-10-batches-py/{name}": b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR."
        for name in ["batches.meta", "test_batch", *(f"data_batch_{number}" for number in range(1, 6))]}, "w:gz")
    assert main(["cifar10", str(tmp_path / "out"), "--source", str(tmp_path / "evil.tar.gz")]) == 2
    assert "it asks for os.system" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


def test_cifar10_as_jpegs(tmp_path, shared_data):
    manifest = prepare("cifar10", tmp_path, "--source", shared_data / "cifar10-40k.zip", "--lists_only")
    assert {file: facts["images"] for file, facts in manifest["lists"].items()} == {"train.txt": 30_000,
                                                                                    "test.txt": 10_000}


def test_caltech101_from_the_published_archive(tmp_path):
    replicas.write_caltech101(tmp_path / "caltech-101.zip")
    manifest = prepare("caltech101", tmp_path / "out", "--source", tmp_path / "caltech-101.zip")
    assert manifest["classes"] == ["Faces", "accordion"]
    train, test = rows(tmp_path / "out", "train.txt"), rows(tmp_path / "out", "test.txt")
    assert (len(train), len(test)) == (60, 6)
    assert not set(train) & set(test)


def test_without_a_connection_the_message_says_what_to_fetch(tmp_path, capsys, monkeypatch):
    from torchvision.datasets import utils

    def refuse(*_: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(utils, "download_url", refuse)
    assert main(["cifar10", str(tmp_path / "out")]) == 2
    assert "fetch cifar-10-python.tar.gz" in capsys.readouterr().err


def test_a_training_step_follows_preparation(tmp_path, root, ilsvrc):
    import torch

    from ibc.config import load_config
    from ibc.data.loader import train_batches, train_images
    from ibc.trainer import Trainer

    prepare("imagenet150k", tmp_path / "i150", "--source", ilsvrc)
    replicas.write_sun(tmp_path / "src")
    prepare("sun", tmp_path / "sun", "--source", tmp_path / "src")
    for name, folder, class_num in (("imagenet", "i150", 6), ("sun_attr", "sun", 3)):
        config = load_config(root / "configs" / f"{name}.yaml", [
            f"data_folder={tmp_path / folder}", f"model.class_num={class_num}", "batch_size=8", "num_workers=0",
            "model.pretrained=none", "model.fc_dim=64", "model.code_len=16", "max_iter=1"])
        batch = next(iter(train_batches(config, train_images(config), 0)))
        losses = Trainer(config).step(batch.images, batch.labels)
        assert torch.isfinite(losses["loss_total"])
