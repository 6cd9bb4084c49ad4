"""Torch files of any program: read without running code, or refused with what they are and what to do."""

import argparse
import collections
import datetime
import enum
import io
import os
import pathlib
import tempfile
import warnings
import zipfile
import zlib

import numpy as np
import pytest
import torch
from torch import nn

from ibc.errors import InputError
from ibc.state_dict import plain_names, state_dict_of
from ibc.torch_file import read_torch_file


class Settings(dict):
    """A dict with attributes, as many programs have one."""


class Names(list):
    """Another program's kind of list."""


class Mode(enum.Enum):
    FAST = 1


Size = collections.namedtuple("Size", "height width")


def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Linear(4, 2)))


def read(path):
    return state_dict_of(read_torch_file(path), path)


BESIDE = {
    "numpy number": np.float64(0.7), "numpy array": np.arange(6.0), "numpy text": np.array(["a", "bc"]),
    "numpy dtype": np.dtype("f4"), "namespace": argparse.Namespace(lr=0.1, layers=[1, 2]),
    "path": pathlib.Path("runs/1"), "settings": Settings(lr=0.1, inner=Settings(a=1)), "names": Names(["a", "b"]),
    "defaultdict": collections.defaultdict(list, {"a": [1]}), "time": datetime.datetime(2024, 1, 1), "enum": Mode.FAST,
    "tuple": Size(1, 2), "set": {1, 2}, "function": torch.nn.functional.relu, "class": nn.ReLU,
    "deque": collections.deque([1, 2]), "module": nn.Linear(2, 2), "device": torch.device("cpu"), "dtype": torch.half,
    "generator state": torch.get_rng_state(), "complex": 1j, "bytes": b"abc", "range": range(3), "slice": slice(1, 2)}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("what", BESIDE)
def test_what_lies_beside_the_weights_hinders_nothing(tmp_path, what, legacy):
    if legacy and what in ("class", "module"):
        pytest.skip("such a file holds the source of the class too: it is refused, with what to do")
    weights = network().state_dict()
    torch.save({"state_dict": weights, "other": BESIDE[what]}, tmp_path / "a.pt",
               _use_new_zipfile_serialization=not legacy)
    found = read(tmp_path / "a.pt")
    assert list(found) == list(weights) and all(torch.equal(found[name], weights[name]) for name in weights)
    assert found._metadata == weights._metadata


WRAPPED = {
    "bare": lambda net: net.state_dict(), "plain dict": lambda net: dict(net.state_dict()),
    "model": lambda net: {"model": net.state_dict(), "model_ema": net.state_dict(), "epoch": 3},
    "net": lambda net: {"net": net.state_dict(), "acc": 90.0}, "params": lambda net: {"params": net.state_dict()},
    "nested": lambda net: {"checkpoint": {"model": {"state_dict": net.state_dict()}}},
    "settings": lambda net: Settings(model=Settings(net.state_dict())),
    "own name": lambda net: {"resnet": net.state_dict(), "optimizer": torch.optim.Adam(net.parameters()).state_dict()},
    "whole model": lambda net: net, "whole model inside": lambda net: {"model": net, "epoch": np.int64(2)},
    "DataParallel": lambda net: {"state_dict": nn.DataParallel(net).state_dict()},
    "whole DataParallel": nn.DataParallel, "compiled": lambda net: torch.compile(net).state_dict(),
    "compiled and parallel": lambda net: {f"module._orig_mod.{k}": v for k, v in net.state_dict().items()},
    "a part parallel": lambda net: {k.replace("2.0.", "2.module.0."): v for k, v in net.state_dict().items()},
    "Lightning": lambda net: {"state_dict": {f"model.{k}": v for k, v in net.state_dict().items()}, "epoch": 1,
                              "hyper_parameters": Settings(lr=0.1), "callbacks": {Mode: {"best": np.float32(1)}}},
    "encoder": lambda net: {f"student.backbone.{k}": v for k, v in net.state_dict().items()}}


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_wrapped_weights_are_found_under_the_names_of_the_network(tmp_path, wrapper):
    net = network()
    wanted = net.state_dict()
    torch.save(WRAPPED[wrapper](net), tmp_path / "a.pt")
    found = plain_names(read(tmp_path / "a.pt"), wanted)
    assert set(found) == set(wanted) and all(torch.equal(found[name], wanted[name]) for name in wanted)
    network().load_state_dict(found)


def test_buffers_of_a_whole_model_that_are_not_saved_stay_out(tmp_path):
    net = network()
    net.register_buffer("scratch", torch.zeros(2), persistent=False)
    net.tied = net[2]  # under two names, as in a state dict
    torch.save(net, tmp_path / "a.pt")
    assert set(read(tmp_path / "a.pt")) == set(net.state_dict())


class Calls:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("call", [(exec, "raise SystemExit('ran')"), (eval, "1/0"), (open, "made", "w"),
                                  (__import__, "os"), (zipfile.os.system, "touch made"), (zipfile.shutil.rmtree, "x")])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_call_that_no_weights_need_is_refused(tmp_path, monkeypatch, call, legacy):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": network().state_dict(), "x": Calls(*call)}, "a.pt",
               _use_new_zipfile_serialization=not legacy)
    with pytest.raises(InputError, match=r"a\.pt: found a call of .*nothing of it has run"):
        read("a.pt")
    assert not pathlib.Path("made").exists()


def test_another_call_is_not_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": network().state_dict(), "x": Calls(tempfile.mkdtemp, None, "made", ".")}, "a.pt")
    assert read("a.pt") and [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def saved(content, **more):
    handle = io.BytesIO()
    torch.save(content, handle, **more)
    return handle.getvalue()


def scripted():
    handle = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), handle)
    return handle.getvalue()


def arrays():
    handle = io.BytesIO()
    np.savez(handle, a=np.ones(2))
    return handle.getvalue()


DAMAGED = {
    "empty": (b"", "an empty file"), "cut": (lambda: saved(network().state_dict())[:-50], "cut off"),
    "cut early": (lambda: saved(network().state_dict())[:600], "cut off"),
    "legacy cut": (lambda: saved(network().state_dict(), _use_new_zipfile_serialization=False)[:-50], "an unreadable"),
    "text": (b"hello", "does not begin as"), "web page": (b"\n<!DOCTYPE html><html>", "a web page")}
FOREIGN = {
    "safetensors": ((16).to_bytes(8, "little") + b'{"a":{"dtype":1}}', "a safetensors file"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "gzip": (b"\x1f\x8b\x08" + b"0" * 40, "unpack"),
    "hdf5": (b"\x89HDF\r\n" + b"0" * 40, "an HDF5 file"), "npz": (arrays, "NumPy arrays"),
    "script": (scripted, "a TorchScript program"), "tensor": (lambda: saved(torch.ones(2)), "a torch.Tensor"),
    "list": (lambda: saved([1]), "a list"),
    "number": (lambda: saved({"state_dict": {}, "epoch": 1}), "'state_dict', 'epoch'"),
    "two": (lambda: saved({"generator": network().state_dict(), "critic": network().state_dict()}), "2 state dicts"),
    "array weights": (lambda: saved({"a.weight": np.ones(2), "b.weight": torch.ones(2)}),
                      "'a.weight', a numpy"),
    "numbers": (lambda: saved({"state_dict": {"a": torch.ones(2), "b": 3}}), "'b', a int, among the weights"),
    "protocol": (lambda: saved({"state_dict": network().state_dict()}, pickle_protocol=4), "another pickle protocol")}


@pytest.mark.parametrize(("kind", "again"), [*((name, True) for name in DAMAGED), *((name, False) for name in FOREIGN)])
def test_download_it_again_is_said_of_damaged_files_only(tmp_path, capfd, recwarn, kind, again):
    content, message = {**DAMAGED, **FOREIGN}[kind]
    (tmp_path / "a.pt").write_bytes(content if isinstance(content, bytes) else content())
    with pytest.raises(InputError) as refused:
        read(tmp_path / "a.pt")
    text = str(refused.value)
    assert text.startswith(f"{tmp_path / 'a.pt'}: found ") and message in text and len(text) < 500
    assert ("download it again" in text) == again
    assert not recwarn.list and not any(capfd.readouterr())  # torch's own warnings stay away


@pytest.mark.parametrize("lazy", [False, True])
def test_every_flipped_bit_is_noticed(tmp_path, lazy):
    whole = saved({"state_dict": network().state_dict(), "iteration": 3})
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        records = archive.infolist()
    for record in records:
        extra = int.from_bytes(whole[record.header_offset + 28 : record.header_offset + 30], "little")
        begin = record.header_offset + 30 + len(record.filename) + extra
        for byte in {0, record.file_size // 2, record.file_size - 1}:
            damaged = bytearray(whole)
            damaged[begin + byte] ^= 1
            (tmp_path / "a.pt").write_bytes(damaged)
            with pytest.raises(InputError, match=r"a\.pt: found an unreadable file.*again"):
                read_torch_file(tmp_path / "a.pt", lazy=lazy)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.pt")
    with pytest.raises(OSError, match="no regular file"):
        read(tmp_path / "a.pt")


def test_a_file_without_checksums_is_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(network().state_dict(), tmp_path / "a.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read(tmp_path / "a.pt")


def packed(method, tmp_path, content):
    (tmp_path / "plain.pt").write_bytes(saved(content))
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain, zipfile.ZipFile(tmp_path / "a.pt", "w", method) as archive:
        for name in plain.namelist():
            archive.writestr(name, plain.read(name))


def test_an_archive_that_was_packed_anew_is_read(tmp_path):
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        packed(method, tmp_path, network().state_dict())
        assert read(tmp_path / "a.pt")


def test_a_file_that_grows_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("IBC_ARRAY_GB", "0.01")
    packed(zipfile.ZIP_DEFLATED, tmp_path, {"a": torch.zeros(10**7)})
    with pytest.raises(InputError, match=r"parts of 40 MB in a file of .*set IBC_ARRAY_GB"):
        read(tmp_path / "a.pt")


def test_texts_of_python_2(tmp_path):
    """Bytes above 127 in a pickle of Python 2 are texts in no known encoding."""
    whole = saved({"state_dict": {"a": torch.ones(2)}, "author": "Muller"}, _use_new_zipfile_serialization=False)
    old = whole.replace(b"X\x06\x00\x00\x00Muller", b"U\x06M\xfcller")
    assert old != whole
    (tmp_path / "a.pt").write_bytes(old)
    assert list(read(tmp_path / "a.pt")) == ["a"]


def test_a_model_without_end_is_refused(tmp_path):
    net = nn.Sequential(nn.Linear(1, 1))
    net._modules["again"] = net
    torch.save({"model": net}, tmp_path / "a.pt")
    with pytest.raises(InputError, match="modules 100 deep"):
        read(tmp_path / "a.pt")


def test_checksum_is_that_of_zip(tmp_path):
    """The digest that notices a flipped bit is the archive's own: official files have it too."""
    (tmp_path / "a.pt").write_bytes(saved({"a": torch.ones(3)}))
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        assert all(zlib.crc32(archive.read(record)) == record.CRC for record in archive.infolist())
