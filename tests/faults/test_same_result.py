"""What docs/reproducibility.md promises: bit for bit, or to a tolerance, whatever makes the batches."""

import itertools

import numpy as np
import pytest
import torch

from tests.dissection.data import write_broden
from tests.faults.commands import codes_file, same_file
from tests.faults.programs import ENVIRONMENT, ibc, names_below
from tests.small_run import make_images, make_run

CORES = 16  # so that four loader workers start
WORKERS = (0, 1, 2, 4)
CODE_TOLERANCE = 1e-5    # of a code, for another batch size or number of threads
WEIGHT_TOLERANCE = 1e-2  # of a weight, after a short training with another number of threads


def run(*words: object, threads: int = 1, cores: int = CORES) -> str:
    numbers = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), str(threads))
    result = ibc(*words, cores=cores, env={**ENVIRONMENT, **numbers})
    assert result.returncode == 0, result.stderr
    return result.stdout


def settings(**values: object) -> list[str]:
    return list(itertools.chain(*(["--set", f"{name}={value}"] for name, value in values.items())))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """(configuration, folder, the same data packed)"""
    place = tmp_path_factory.mktemp("same")
    config = make_run(place / "data", images=64)
    run("prepare", "pack", place / "data", place / "packed.zip")
    return config, place / "data", place / "packed.zip"


def train(data, out, *, threads: int = 1, cores: int = CORES, **values: object):
    run("train", "--config", data[0], "--output_path", out, *settings(**values), threads=threads, cores=cores)
    return out / "outputs/small/checkpoints/checkpoint_00000014.pt"


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    return train(data, tmp_path_factory.mktemp("trained"))


@pytest.mark.parametrize("workers", WORKERS[1:])
def test_training_is_the_same_with_any_number_of_workers(data, trained, tmp_path, workers):
    other = train(data, tmp_path, num_workers=workers)
    assert same_file(trained, other)
    assert same_file(trained.parent / "optimizer.pt", other.parent / "optimizer.pt")


@pytest.mark.parametrize("workers", [0, 2])
def test_training_is_the_same_from_a_zip(data, trained, tmp_path, workers):
    assert same_file(trained, train(data, tmp_path, data_folder=data[2], num_workers=workers))


def test_training_with_fewer_decoding_threads_is_the_same(data, trained, tmp_path):
    assert same_file(trained, train(data, tmp_path, cores=1))


@pytest.mark.parametrize("threads", [2, 4])
def test_training_with_more_threads_is_close(data, trained, tmp_path, threads):
    one, other = (torch.load(path, weights_only=True)["state_dict"] for path in
                  (trained, train(data, tmp_path, threads=threads)))
    assert all(torch.allclose(value, other[name], rtol=0, atol=WEIGHT_TOLERANCE) for name, value in one.items())


def extract(data, trained, out, *, threads: int = 1, **values: object):
    run("extract", "--config", data[0], "--checkpoint", trained, "--save_name", "test", "--output_path", out,
        *settings(**values), threads=threads)
    return out / "results/small"


def test_codes_files_are_the_same_bytes(data, trained, tmp_path):
    """With any number of workers, from folder or zip, .npz and .mat."""
    first = extract(data, trained, tmp_path / "first")
    variants = [{"num_workers": workers} for workers in WORKERS[1:]] + [{"data_folder": data[2]},
                                                                      {"data_folder": data[2], "num_workers": 2}]
    for number, values in enumerate(variants):
        other = extract(data, trained, tmp_path / str(number), **values)
        assert names_below(other) == names_below(first) == ["test.mat", "test.npz"]
        for name in names_below(first):
            assert (first / name).read_bytes() == (other / name).read_bytes(), (name, values)


def test_codes_are_close_for_other_batches_and_threads(data, trained, tmp_path):
    first = np.load(extract(data, trained, tmp_path / "first") / "test.npz")["binary_codes"]
    for number, (threads, batch) in enumerate(itertools.product((1, 2), (2, 6, 64))):
        other = extract(data, trained, tmp_path / str(number), threads=threads, batch_size=batch)
        codes = np.load(other / "test.npz")["binary_codes"]
        np.testing.assert_allclose(codes, first, rtol=0, atol=CODE_TOLERANCE)


def test_dissections_are_the_same_files(data, trained, tmp_path):
    broden = write_broden(tmp_path / "broden", 60)

    def dissect(name: str, *more: object) -> dict[str, bytes]:
        out = tmp_path / name
        run("dissect", "--checkpoint", trained, "--broden", broden, "--output", out, "--image_size", 72, "--device",
            "cpu", "--null", 1, "--quantile", 0.05, "--batch_size", 4, *more)
        return {file: (out / file).read_bytes() for file in names_below(out)}

    first = dissect("first", "--workers", 0)
    for workers in WORKERS[1:]:
        assert dissect(str(workers), "--workers", workers) == first


def test_prepared_folders_are_the_same_files(tmp_path):
    for name in "abc":
        make_images(tmp_path / "photos" / name, 40, size=150, seed=ord(name))
    found = []
    for workers in WORKERS[1:]:
        out = tmp_path / str(workers) / "data"
        run("prepare", "folder", tmp_path / "photos", out, "--size", 64, "--workers", workers)
        found.append({name: (out / name).read_bytes() for name in names_below(out)
                      if not name.startswith(".prepare") and name != "config.yaml"})
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("words", [["mis", "--fea_file_path"], ["evaluate", "--data", "sun", "--attribute", "all"]])
def test_scores_are_the_same_numbers(tmp_path, words):
    """With any number of threads, to the last digit printed."""
    codes = codes_file(tmp_path, 400)
    texts = []
    for threads in (1, 2, 4):
        lines = run(*(part for word in words for part in ((word, codes) if word in ("--fea_file_path", "evaluate")
                                                          else (word,))), threads=threads).splitlines()
        texts.append(lines[:4] + lines[5:] if words[0] == "mis" else lines)  # the fifth line of mis is its seconds
    assert texts[0] == texts[1] == texts[2]


