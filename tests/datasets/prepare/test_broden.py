"""Broden: download that goes on where it stopped, unpacking, and the check of its structure."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ibc.commands.prepare import COMMAND as main
from ibc.datasets.prepare import broden
from tests.datasets.replicas import encode, picture, write_tree, write_zip

CATEGORIES = ("color", "object", "part", "material", "scene", "texture")


def broden_files() -> dict[str, bytes]:
    """Three images in the published layout: empty cells, two maps in a cell, whole-image labels, labels above 255."""
    maps = {}
    for number in range(3):
        plane = np.zeros((8, 8, 3), np.uint8)
        plane[number:, :, 0] = 5 + number
        plane[:, :4, 1] = number  # label = R + 256 G
        maps[f"images/ade20k/{number}_object.png"] = encode(Image.fromarray(plane), "PNG")
    maps["images/ade20k/1_part_2.png"] = maps["images/ade20k/1_object.png"]
    rows = ["image,split,ih,iw,sh,sw," + ",".join(CATEGORIES), "ade20k/0.jpg,train,16,16,8,8,,ade20k/0_object.png,,,7,",
            "ade20k/1.jpg,val,16,16,8,8,,ade20k/1_object.png,ade20k/1_object.png;ade20k/1_part_2.png,,7;8,",
            "dtd/2.jpg,train,16,16,8,8,,,,,,9"]
    images = {f"images/{row.split(',')[0]}": encode(picture(number, 16, 16)) for number, row in enumerate(rows[1:])}
    tables = {"index.csv": "\n".join(rows) + "\n",
              "category.csv": "name,first,last,count,frequency\n" + "".join(f"{name},0,9,1,1\n" for name in CATEGORIES),
              "label.csv": "number,name,category,frequency,coverage,syns\n"
                           "7,street,scene(2),2,2.0,\n9,dotted,texture(1),1,1,\n"}
    tables |= {f"c_{name}.csv": "code,number,name,frequency,coverage\n1,7,street,2,2.0\n" for name in CATEGORIES}
    return maps | images | {name: text.encode() for name, text in tables.items()}


def write_broden(path: Path) -> None:
    write_zip(path, {f"broden1_227/{name}": data for name, data in broden_files().items()}, zipfile.ZIP_STORED)


def test_a_local_zip_is_unpacked_and_checked(tmp_path, capsys):
    write_broden(tmp_path / "broden1_227.zip")
    assert main(["broden", str(tmp_path / "out"), "--source", str(tmp_path / "broden1_227.zip")]) == 0
    for name, data in broden_files().items():
        assert (tmp_path / "out" / name).read_bytes() == data
    facts = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert facts["labelled_images"] == {"color": 0, "object": 2, "part": 1, "material": 0, "scene": 2, "texture": 1}
    assert (facts["images"], facts["labels"], facts["files"]) == (3, 2, 6)
    assert main(["broden", str(tmp_path / "out")]) == 0  # what is there is checked, nothing is fetched
    assert facts["structure_sha256"] in capsys.readouterr().out


def replace(name: str, old: bytes, new: bytes):
    return lambda files: files.update({name: files[name].replace(old, new, 1)})


@pytest.mark.parametrize("spoil, complaint", [
    (lambda files: files.pop("c_part.csv"), "c_part.csv: found no such file"),
    (lambda files: files.pop("images/ade20k/1_part_2.png"), "index.csv:3: found no file images/ade20k/1_part_2.png"),
    (lambda files: files.update({"images/ade20k/0.jpg": encode(picture(0, 17, 16))}), "csv:2: found images/ade20k"),
    (lambda files: files.update({"images/dtd/2.jpg": b"?"}), "found no readable image"),
    (replace("index.csv", b"16,16", b"x,16"), "index.csv:2: found ih"),
    (replace("index.csv", b"split", b"part_of"), "no column 'split'"),
    (replace("category.csv", b"scene,", b"scenes,"), "no row 'scene'"),
])
def test_faults_of_the_structure_are_named(tmp_path, capsys, spoil, complaint):
    files = broden_files()
    spoil(files)
    write_tree(tmp_path / "broden", files)
    assert main(["broden", str(tmp_path / "broden")]) == 2
    assert complaint in capsys.readouterr().err


def test_another_archive_of_the_same_sizes_is_noticed(tmp_path):
    write_broden(tmp_path / "b.zip")
    assert main(["broden", str(tmp_path / "out"), "--source", str(tmp_path / "b.zip")]) == 0
    image = next(path for path in sorted((tmp_path / "out").rglob("*.jpg")))
    good = image.read_bytes()
    image.write_bytes(good[:-20] + bytes(18) + good[-2:])
    assert main(["broden", str(tmp_path / "out"), "--source", str(tmp_path / "b.zip")]) == 0
    assert image.read_bytes() == good


def test_unpacking_goes_on_where_it_stopped(tmp_path, monkeypatch):
    write_broden(tmp_path / "b.zip")
    read, count = broden.member_parts, []

    def stop_in_the_middle(member):
        count.append(member)
        if len(count) == 9:
            raise KeyboardInterrupt
        return read(member)

    monkeypatch.setattr(broden, "member_parts", stop_in_the_middle)
    assert main(["broden", str(tmp_path / "out"), "--source", str(tmp_path / "b.zip")]) == 130
    monkeypatch.setattr(broden, "member_parts", lambda member: count.append(member) or read(member))
    count.clear()
    assert main(["broden", str(tmp_path / "out"), "--source", str(tmp_path / "b.zip")]) == 0
    assert len(count) == len(broden_files()) - 8
    assert {name: (tmp_path / "out" / name).read_bytes() for name in broden_files()} == broden_files()


class Server(BaseHTTPRequestHandler):
    """Serves one file with ranges; drops the connection of the first request in the middle."""

    content, version, requests = b"", "one", []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.requests.append(wanted)
        start = int(wanted[6:-1]) if wanted and self.headers.get("If-Range") == self.version else 0
        rest = self.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("ETag", self.version)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: len(rest) // 2] if len(self.requests) == 1 else rest)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[type[Server]]:
    write_broden(tmp_path / "broden1_227.zip")
    Server.content, Server.version, Server.requests = (tmp_path / "broden1_227.zip").read_bytes(), "one", []
    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    monkeypatch.setattr(broden, "ADDRESS", f"http://127.0.0.1:{running.server_port}/broden1_{{size}}.zip")
    yield Server
    running.shutdown()
    running.server_close()


def test_a_broken_download_goes_on(tmp_path, server, capsys):
    assert main(["broden", str(tmp_path / "out")]) == 2
    assert "run the same command again" in capsys.readouterr().err
    assert main(["broden", str(tmp_path / "out")]) == 0
    assert server.requests == [None, f"bytes={len(server.content) // 2}-"]
    assert (tmp_path / "out" / "index.csv").read_bytes() == broden_files()["index.csv"]
    assert not (tmp_path / "out" / "download").exists()


def test_a_file_that_changed_meanwhile_is_fetched_anew(tmp_path, server):
    assert main(["broden", str(tmp_path / "out")]) == 2
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in broden_files().items():
            archive.writestr(name, data)
    server.content, server.version = buffer.getvalue(), "two"
    assert main(["broden", str(tmp_path / "out")]) == 0


def test_without_a_connection_the_message_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(broden, "ADDRESS", "http://127.0.0.1:9/broden1_{size}.zip")
    assert main(["broden", str(tmp_path / "out")]) == 2
    assert "give it by --source" in capsys.readouterr().err


def test_a_real_set_in_broden_format(tmp_path, shared_data):
    assert main(["broden", str(tmp_path), "--source", str(shared_data / "camvid-broden.zip")]) == 0
    facts = json.loads((tmp_path / "manifest.json").read_text())
    assert (facts["images"], facts["image_sizes"], facts["label_map_sizes"]) == (367, "227x227", "113x113")
    assert facts["labelled_images"] == {"object": 367, "color": 367, "scene": 367}
