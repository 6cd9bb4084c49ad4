"""Every command that reads codes takes those of other programs, says so once, and takes the kind by a flag."""

import importlib

import numpy as np
import pytest

from ibc.commands.table import COMMANDS

LOGITS = np.random.default_rng(0).normal(size=(60, 16)) + np.repeat(np.random.default_rng(1).normal(size=(3, 16)) * 2,
                                                                   20, axis=0)
BASE = {"lab": np.repeat([0, 1, 2], 20), "paths": np.array([f"{number}.jpg" for number in range(60)]),
        "GRM": np.random.default_rng(2).random((3, 16))}
FORMS = {"sigmoid": 1 / (1 + np.exp(-LOGITS)), "sign": np.sign(LOGITS), "tanh": np.tanh(LOGITS / 2), "logit": LOGITS,
         "byte": np.round(255 / (1 + np.exp(-LOGITS))).astype(np.uint8), "packed": np.packbits(LOGITS > 0, axis=1)}
WORDS = {
    "evaluate": ["{codes}"], "mis": ["--fea_file_path", "{codes}", "--estimator", "exact"], "health": ["{codes}"],
    "search": ["{codes}", "--item", "3"], "report": ["{codes}", "--output", "{folder}/report", "--draws", "2"],
}


def run(name, words, capsys, **names):
    command = importlib.import_module(f"ibc.commands.{name}").COMMAND
    code = command([word.format(**names) for word in words])
    return code, capsys.readouterr()


def test_the_commands_are_in_the_table():
    assert set(WORDS) < set(COMMANDS)


@pytest.mark.parametrize("name", WORDS)
def test_all_kinds_are_the_same_bits(tmp_path, capsys, name):
    flag = "--code_kind" if name == "report" else "--codes"
    outputs = {}
    for kind, values in FORMS.items():
        if name == "report" and kind not in ("logit", "packed"):  # it reads as the others do, and draws much
            continue
        path = tmp_path / "codes.npz"
        np.savez(path, binary_codes=values, **BASE)
        code, printed = run(name, WORDS[name], capsys, codes=path, folder=tmp_path)
        notes = (printed.out + printed.err).count(" are read as ")
        if kind in ("byte", "packed"):
            assert code == (0 if kind == "byte" else 2)  # the GRM has as many columns, so these are no packed bits
            assert kind == "byte" or f"{flag}" in printed.err
        else:
            assert code == 0, printed.err
        assert notes == (0 if kind in ("sigmoid", "packed") else 1)
        code, printed = run(name, [*WORDS[name], flag, kind], capsys, codes=path, folder=tmp_path)
        assert code == 0 and " are read as " not in printed.out + printed.err, printed.err
        outputs[kind] = printed.out
    if name in ("evaluate", "search"):
        assert set(outputs.values()) == {outputs["sigmoid"]}


def test_files_that_are_compared_are_of_one_kind(tmp_path, capsys):
    np.savez(tmp_path / "db.npz", binary_codes=LOGITS, **BASE)
    np.savez(tmp_path / "q.npz", binary_codes=np.abs(LOGITS[:1] / 10), lab=[0])
    words = [str(tmp_path / "q.npz"), "--database", str(tmp_path / "db.npz")]
    code, printed = run("evaluate", words, capsys)
    assert code == 2 and "beside" in printed.err and "--codes logit" in printed.err
    assert run("evaluate", [*words, "--codes", "logit"], capsys)[0] == 0


def test_class_ids_from_1_and_one_hot_labels_are_said(tmp_path, capsys):
    grm = np.stack([FORMS["sigmoid"][label * 20 : label * 20 + 20].mean(axis=0) for label in range(3)])
    hot = np.eye(3)[BASE["lab"]]
    for labels, words in ((BASE["lab"] + 1, "class ids that begin at 1"), (hot, "give --multi_label")):
        np.savez(tmp_path / "c.npz", binary_codes=FORMS["sigmoid"], **BASE | {"lab": labels, "GRM": grm})
        for name, given in WORDS.items():
            code, printed = run(name, given, capsys, codes=tmp_path / "c.npz", folder=tmp_path)
            assert code == 0
            assert (printed.out + printed.err).count(words) == (name != "health"), name
