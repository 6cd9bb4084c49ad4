"""The MIS command: official output and flags, files of every kind, one-line errors."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
import scipy.io

from compute_mutual_info_offline import COMMAND
from ibc.codes import CodeSet, save_codes
from ibc.retrieval.mutual_info import mutual_info_score


@pytest.fixture
def codes():
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, (200, 1))
    likely = random.random((4, 6))[labels[:, 0]]
    values = np.clip(likely + random.normal(0, 0.2, (200, 6)), 0, 1).astype(np.float32)
    return CodeSet(values, labels.astype(np.float32), np.ones((4, 6), np.float32))


def run(*arguments):
    return COMMAND([str(item) for item in arguments])


def test_official_lines_come_first_then_both_estimates(tmp_path, codes, capsys):
    path = tmp_path / "codes.mat"
    save_codes(path, codes)
    assert run("--is_mat_file", "--class_num", 4, "--fea_file_path", path, "--label_file_path", path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["0", "1", "2", "3"]
    assert float(lines[4]) > 0
    score = mutual_info_score(codes.bits, codes.categories, estimator="knn", samples=100, seed=0)
    assert lines[5] == f"{score:.6f}"
    assert lines[8].startswith("k-NN (official)") and f"{score:.4f}" in lines[8]
    assert lines[9].startswith("exact")


@pytest.mark.parametrize("repeats", [1, 3])
def test_json_and_table_hold_every_number(tmp_path, codes, repeats, capsys):
    path = tmp_path / "codes.npz"
    save_codes(path, codes)
    assert run("--fea_file_path", path, "--is_sun", "--repeats", repeats, "--seed", 5, "--csv", tmp_path / "bits.csv",
               "--json", "-") == 0
    report = json.loads(capsys.readouterr().out)
    scores = [mutual_info_score(codes.bits, codes.categories, estimator="exact", samples=20, seed=seed)
              for seed in range(5, 5 + repeats)]
    assert report["metrics"]["mis_exact"] == pytest.approx(np.mean(scores))
    assert report["metrics"]["mis_exact_deviation"] == (
        None if repeats == 1 else pytest.approx(np.std(scores, ddof=1)))
    assert report["metrics"]["mis_random_floor"] == report["metrics"]["mis_random_floor_knn"]
    assert report["metrics"]["mis_random_floor_exact"] < report["metrics"]["mis_exact"]
    assert report["protocol"]["samples"] == 20 and report["seed"] == 5
    rows = list(csv.DictReader((tmp_path / "bits.csv").open()))
    assert [int(row["bit"]) for row in rows] == list(range(1, 7))
    assert [float(row["mi_exact"]) for row in rows] == pytest.approx(np.mean([s.per_bit for s in scores], axis=0))
    assert [float(row["share_of_ones"]) for row in rows] == pytest.approx((codes.bits > 0).mean(axis=0))


def test_raw_files_are_used_as_they_are(tmp_path, codes, capsys):
    codes.binary_codes.tofile(tmp_path / "codes.bin")
    codes.labels[:, 0].tofile(tmp_path / "labels.bin")
    assert run("--fea_file_path", tmp_path / "codes.bin", "--label_file_path", tmp_path / "labels.bin", "--fea_dim", 6,
               "--sample_num", 200, "--class_num", 4, "--json", tmp_path / "out.json") == 0
    metrics = json.loads((tmp_path / "out.json").read_text())["metrics"]
    raw = mutual_info_score(codes.binary_codes, codes.categories, estimator="knn", samples=100, seed=0)
    cut = mutual_info_score(codes.bits, codes.categories, estimator="exact", samples=100, seed=0)
    assert metrics["mis_knn"] == raw and metrics["mis_exact"] == cut
    codes.bits.astype(np.float32).tofile(tmp_path / "codes.bin")
    run("--fea_file_path", tmp_path / "codes.bin", "--label_file_path", tmp_path / "labels.bin", "--fea_dim", 6,
        "--sample_num", 200, "--class_num", 4, "--json", tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text())["metrics"]["mis_exact"] == cut


def test_codes_and_labels_may_lie_in_two_files(tmp_path, codes, capsys):
    scipy.io.savemat(tmp_path / "codes.mat", {"binary_codes": codes.binary_codes})
    scipy.io.savemat(tmp_path / "labels.mat", {"lab": codes.labels})
    files = ("--fea_file_path", tmp_path / "codes.mat", "--label_file_path", tmp_path / "labels.mat")
    assert run("--is_mat_file", *files, "--estimator", "exact") == 0
    score = mutual_info_score(codes.bits, codes.categories, estimator="exact", samples=100, seed=0)
    assert f"{score:.6f}" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("arguments", "message"), [
    (["--fea_file_path", "{npz}", "--samples", "all"], "add --estimator exact"),
    (["--fea_file_path", "{npz}", "--samples", "few"], "a number from 2, or 'all'"),
    (["--fea_file_path", "{npz}", "--samples", "1"], "at least 2"),
    (["--fea_file_path", "{npz}", "--repeats", "0"], "--repeats"),
    (["--fea_file_path", "{npz}", "--class_num", "0"], "--class_num: found 0, expected at least 1"),
    (["--fea_file_path", "{raw}"], "--label_file_path"),
    (["--fea_file_path", "{raw}", "--label_file_path", "{raw}"], "check --sample_num and --fea_dim"),
    (["--fea_file_path", "{raw}", "--is_mat_file"], "the file ending '.bin'"),
    (["--fea_file_path", "{raw}.npz"], "No such file"),
])
def test_bad_input_is_one_line(tmp_path, codes, capsys, arguments, message):
    save_codes(tmp_path / "codes.npz", codes)
    codes.binary_codes.tofile(tmp_path / "codes.bin")
    names = {"npz": tmp_path / "codes.npz", "raw": tmp_path / "codes.bin"}
    assert run(*(item.format(**names) for item in arguments)) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1 and message in captured.err


def test_help_needs_no_heavy_import(root):
    probe = ("import sys, compute_mutual_info_offline as m; m.COMMAND.parser(None).format_help(); "
             "print([name for name in ('numpy', 'numba', 'torch', 'sklearn', 'scipy') if name in sys.modules])")
    assert subprocess.run([sys.executable, "-c", probe], cwd=root, capture_output=True, text=True,
                          check=True).stdout.strip() == "[]"


def test_several_labels_an_image(tmp_path, codes, capsys):
    sets = (np.random.default_rng(1).random((200, 4)) < 0.4).astype(np.float32)
    save_codes(tmp_path / "codes.npz", CodeSet(codes.binary_codes, sets, codes.grm))
    assert run("--fea_file_path", tmp_path / "codes.npz", "--multi_label", "--json", tmp_path / "mis.json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["0", "1", "2", "3"]
    score = mutual_info_score(codes.bits, sets, estimator="knn", samples=100, seed=0)
    assert lines[5] == f"{score:.6f}"
    assert json.loads((tmp_path / "mis.json").read_text())["protocol"]["multi_label"] is True
    raw = tmp_path / "raw.bin"
    codes.binary_codes.tofile(raw)
    assert run("--fea_file_path", raw, "--label_file_path", raw, "--multi_label") == 2
    assert "raw codes with --multi_label" in capsys.readouterr().err


def test_no_category_is_no_class_without_a_grm(tmp_path, codes, capsys):
    codes.labels[:20] = 99999
    save_codes(tmp_path / "codes.npz", CodeSet(codes.binary_codes, codes.labels))
    assert run("--fea_file_path", tmp_path / "codes.npz") == 0
    assert capsys.readouterr().out.splitlines()[:4] == ["0", "1", "2", "3"]
    codes.labels[7] = np.nan
    save_codes(tmp_path / "codes.npz", codes)
    assert run("--fea_file_path", tmp_path / "codes.npz") == 2
    assert "the category nan in row 8 of lab" in capsys.readouterr().err
