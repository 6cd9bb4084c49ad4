"""The three commands: official lines, golden JSON, flags, notes, one-line errors, both ways to start them."""

import csv
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from eval import imagenet100c_eval, imagenet150k_eval, sun_eval
from ibc.codes import CodeSet, save_codes
from ibc.commands import evaluate
from ibc.labels import NO_CATEGORY
from ibc.retrieval.average_precision import mean_average_precision
from ibc.retrieval.bits import expert_bits, on_expert_bits
from tests.retrieval.slow_ranking import average_precision, ranked_relevance

COMMANDS = {"imagenet100c": imagenet100c_eval, "imagenet150k": imagenet150k_eval, "sun": sun_eval}


def run(name, *arguments):
    return COMMANDS[name].COMMAND([str(item) for item in arguments])


def numbers(name, tmp_path, *arguments):
    assert run(name, *arguments, "--json", tmp_path / "out.json") == 0
    return json.loads((tmp_path / "out.json").read_text())


def make_codes(seed=0, count=120, bits=16, classes=5, attributes=3):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    centres = np.random.default_rng(99).random((classes, bits))
    codes = np.clip(centres[labels] + random.normal(0, 0.3, (count, bits)), 0, 1)
    flags = (random.random((count, attributes)) < 0.3).astype(int)
    grm = random.random((classes, bits))
    return CodeSet(codes.astype(np.float32), np.column_stack([labels, flags]).astype(np.float32),
                   grm.astype(np.float32), [f"img {i}.jpg" for i in range(count)])


@pytest.fixture
def codes():
    return make_codes()


@pytest.fixture
def saved(tmp_path, codes):
    save_codes(tmp_path / "codes.npz", codes)
    return tmp_path / "codes.npz"


@pytest.mark.parametrize(("name", "top_k"), [("imagenet100c", 13), ("imagenet150k", 13), ("sun", 12)])
def test_official_lines_come_first(golden, capsys, name, top_k):
    assert run(name, golden / "eval_main_inputs.mat") == 0
    results = json.loads((golden / "eval_main_results.json").read_text())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Retrieval mAP of category retrieval: {results['category_map']:.4f}"
    assert re.fullmatch(r"Retrieval mAP of category retrieval using expert bits: 0\.\d{4}", lines[1])
    if top_k == 13:
        assert lines[1].endswith(f"{results['expert_map_top13']:.4f}")
    if name == "sun":
        assert lines[2] == f"Retrieval mAP of column 1 attribute retrieval: {results['attribute_map'][0]:.4f}"


def test_golden_json(golden, tmp_path, capsys):
    results = json.loads((golden / "eval_main_results.json").read_text())
    groups = [",".join(map(str, group)) for group in results["expert_idx"]]
    report = numbers("sun", tmp_path, golden / "eval_main_inputs.mat", "--top_k_bits", 5, "--groups", *groups,
                     "--attribute", "all")
    metrics = report["metrics"]
    for key in ("category_map", "expert_map_top5", "attribute_map", "custom_map_all"):
        assert np.abs(np.array(metrics[key]) - results[key]).max() < 1e-12
    for ours, wanted in zip(metrics["custom_per_attribute"], results["custom_per_attribute"], strict=True):
        assert ours["attribute"] == wanted["attribute"] == ours["attribute_index"] + 1
        for key in ("best_choice", "best_choice_full1"):
            assert ours[key] == wanted[key] == [group + 1 for group in ours[f"{key}_index"]]
        assert abs(ours["best_full_1_map"] - wanted["best_full_1_map"]) < 1e-12
    assert metrics["group_bits_index"] == [[bit - 1 for bit in group] for group in results["expert_idx"]]
    assert report["protocol"]["self"] == "keep" and report["protocol"]["ties"] == "stable"
    counted = numbers("sun", tmp_path, golden / "eval_main_inputs.mat", "--self", "hit")["metrics"]
    assert abs(counted["category_map_self_counted"] - results["category_map_self_counted"]) < 1e-12


def test_the_table_holds_what_its_lines_say(saved, codes, tmp_path, capsys):
    metrics = numbers("imagenet100c", tmp_path, saved, "--top_k_bits", 4, "--draws", 25, "--seed", 3)["metrics"]
    bits, labels = codes.bits, codes.categories
    left_out = mean_average_precision(bits, labels, bits, labels, self_match="exclude", ties="bounds")
    assert metrics["ties_category_map"]["trusted"] == {
        rule: getattr(left_out, rule) for rule in ("stable", "expected", "pessimistic", "optimistic")}
    assert len(set(metrics["random_map_4_draws"])) > 20
    assert metrics["random_map_4"] == pytest.approx(np.mean(metrics["random_map_4_draws"]))
    assert metrics["random_map_4_deviation"] == pytest.approx(np.std(metrics["random_map_4_draws"], ddof=1))
    assert 0 < metrics["class_accuracy_vote"] <= 1
    text = capsys.readouterr().out
    assert f"{left_out:.4f} [{left_out.pessimistic:.4f}, {left_out.optimistic:.4f}]" in text
    assert f"{metrics['random_map_4']:.4f} ± {metrics['random_map_4_deviation']:.4f}" in text


def test_the_classifier_chooses_expert_bits_too(saved, codes, tmp_path, capsys):
    import torch

    from ibc.checkpoint import save_checkpoint
    from ibc.config import ModelConfig
    from ibc.network import IBC

    model = IBC(ModelConfig(code_len=16, class_num=5, thr_g=0.0, pretrained="none", fc_dim=8))
    path = save_checkpoint(tmp_path, model, 1, {})
    metrics = numbers("imagenet100c", tmp_path, saved, "--top_k_bits", 4, "--checkpoint", path)["metrics"]
    with torch.inference_mode():
        classes = model.classify_codes(torch.from_numpy(codes.binary_codes)).argmax(dim=1).numpy()
    queries = on_expert_bits(codes.bits, classes, codes.grm, 4)
    score = mean_average_precision(queries, codes.categories, codes.bits, codes.categories, self_match="keep")
    assert metrics["expert_map_top4_classifier"] == float(score)
    assert metrics["class_accuracy_classifier"] == pytest.approx((classes == codes.categories).mean())


def test_a_separate_database(tmp_path, codes, saved, capsys):
    database = make_codes(seed=1, count=77)
    save_codes(tmp_path / "db.mat", database)
    report = numbers("sun", tmp_path, saved, "--database", tmp_path / "db.mat", "--groups", "1,2", "3-5",
                     "--choose_on", saved)
    score = mean_average_precision(codes.bits, codes.categories, database.bits, database.categories)
    assert report["metrics"]["category_map"] == float(score)
    assert report["protocol"]["self"] is None
    assert [item["path"] for item in report["inputs"]] == [str(saved), str(tmp_path / "db.mat"), str(saved)]
    assert not report["protocol"]["custom_chosen_on_halves"]
    assert len(report["metrics"]["custom_per_attribute"]) == 3
    assert "honest: chosen on the --choose_on file" in capsys.readouterr().out


def test_cut_offs_name_both_divisors(saved, codes, tmp_path, capsys):
    entry = numbers("imagenet100c", tmp_path, saved, "--at", 5, 30, "--ties", "expected")["metrics"]["cut_category_map"]
    bits, labels = codes.bits, codes.categories
    for cut, found in zip((5, 30), entry, strict=True):
        for key, divisor in (("map_over_all_relevant", "relevant"), ("map_over_min", "min")):
            wanted = mean_average_precision(bits, labels, bits, labels, self_match="keep", ties="expected", at=cut,
                                            divisor=divisor)
            assert found[key] == float(wanted)
    assert "mAP@R over all relevant  mAP@R over min(R, relevant)" in capsys.readouterr().out


def test_classes_and_queries_on_request(saved, codes, tmp_path, capsys):
    table = tmp_path / "queries.csv"
    metrics = numbers("imagenet100c", tmp_path, saved, "--per_class", "--per_query", table)["metrics"]
    rows = list(csv.DictReader(table.open()))
    assert [row["path"] for row in rows] == codes.paths
    values = np.array([float(row["category_map"]) for row in rows])
    assert values.mean() == pytest.approx(metrics["category_map"])
    assert metrics["category_map_per_class"]["2"] == pytest.approx(values[codes.categories == 2].mean())
    assert re.search(r"^2 +\d+ +0\.\d{4}", capsys.readouterr().out, re.MULTILINE)


def test_groups_from_a_dissection_table(saved, tmp_path, capsys):
    (tmp_path / "tally.csv").write_text("unit,category,label,score\n2,object,sea,0.1\n9,color,blue-c,0.06\n"
                                        "3,object,sea,0.05\n")
    report = numbers("sun", tmp_path, saved, "--dissection", tmp_path / "tally.csv", "--concepts", "sea, blue",
                     "--attribute", "2")
    metrics = report["metrics"]
    assert report["protocol"]["bit_groups"] == {"concepts": ["sea", "blue"], "min_iou": 0.04, "any_category": False}
    assert metrics["group_bits_index"] == [[1, 2], [8]] and metrics["group_names"] == ["sea", "blue"]
    out = capsys.readouterr().out
    assert "  sea: 2, 3\n" in out and "Retrieval mAP of column 2 attribute customized retrieval: 0." in out


def test_notes_say_what_is_odd(tmp_path, codes, capsys):
    codes.labels[0, 0] = NO_CATEGORY
    codes.labels[:, 2] = 2
    codes.binary_codes[3, 4] = 0.5
    save_codes(tmp_path / "codes.npz", codes)
    metrics = numbers("imagenet150k", tmp_path, tmp_path / "codes.npz")["metrics"]
    out = capsys.readouterr().out
    assert "note: 1 query without a relevant item: average precision 0, counted in the mean" in out
    assert "1 query without a category (99999)" in out and "1 query of a class that is none of the 5 rows" in out
    assert "1 code value of exactly 0.5" in out
    assert re.search(r"^2 +column 2 +0 +no image has it", out, re.MULTILINE)
    assert metrics["attribute_map"][1] is None
    known = [metrics["attribute_map"][0], metrics["attribute_map"][2]]
    assert metrics["attribute_map_mean"] == pytest.approx(np.mean(known))


def test_codes_without_a_grm_or_attributes(tmp_path, codes, capsys):
    save_codes(tmp_path / "codes.npz", CodeSet(codes.binary_codes, codes.labels[:, :1]))
    assert run("sun", tmp_path / "codes.npz") == 0
    out = capsys.readouterr().out
    assert "no GRM in the codes file" in out and "no attribute columns" in out
    assert "expert bits:" not in out


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_items(tmp_path, count, capsys):
    codes = make_codes(count=count)
    save_codes(tmp_path / "codes.npz", codes)
    metrics = numbers("sun", tmp_path, tmp_path / "codes.npz", "--groups", "1,2", "3")["metrics"]
    assert metrics["category_map"] == (None if count == 0 else pytest.approx(metrics["category_map"]))
    if count == 1:
        assert metrics["category_map"] == 0


def test_a_separate_database_without_the_class(tmp_path, codes, saved, capsys):
    database = make_codes(count=40)
    database.labels[:, 0] += 100
    save_codes(tmp_path / "db.npz", database)
    assert numbers("imagenet100c", tmp_path, saved, "--database", tmp_path / "db.npz")["metrics"]["category_map"] == 0
    assert "120 queries without a relevant item" in capsys.readouterr().out


def label_codes(seed=0, count=150, bits=16, classes=5):
    """Codes of items with any number of labels, one 0/1 column a class; 2 is missing."""
    random = np.random.default_rng(seed)
    labels = random.choice([0, 1, 2], (count, classes), p=[0.68, 0.3, 0.02])
    centres = np.random.default_rng(98).normal(0, 1, (classes, bits))
    codes = 1 / (1 + np.exp(-((labels == 1) @ centres + random.normal(0, 0.7, (count, bits)))))
    return CodeSet(codes.astype(np.float32), labels.astype(np.float32), random.random((classes, bits), np.float32))


def test_several_labels_an_image_against_a_slow_twin(tmp_path, capsys):
    codes = label_codes()
    save_codes(tmp_path / "codes.npz", codes)
    report = numbers("imagenet100c", tmp_path, tmp_path / "codes.npz", "--multi_label", "--top_k_bits", 4,
                     "--per_class", "--per_query", tmp_path / "q.csv")
    metrics, bits = report["metrics"], codes.bits
    sets = [frozenset(np.flatnonzero(row == 1).tolist()) for row in codes.labels]
    chosen = [np.argsort([-sum(codes.grm[label, bit].astype(float) for label in own) for bit in range(16)],
                         kind="stable")[:4] for own in sets]

    def slow(queries, match):
        return [float(average_precision(ranked_relevance(queries[i], own, bits, sets, i, match)[1]))
                for i, own in enumerate(sets)]

    masked = np.zeros_like(bits)
    for row, (own, own_bits) in enumerate(zip(sets, chosen, strict=True)):
        masked[row, own_bits] = bits[row, own_bits] if own else 0
    kept = slow(bits, "keep")
    assert metrics["category_map"] == pytest.approx(np.mean(kept), abs=1e-12)
    assert metrics["ties_category_map"]["trusted"]["stable"] == pytest.approx(np.mean(slow(bits, "exclude")), abs=1e-12)
    assert metrics["expert_map_top4"] == pytest.approx(np.mean(slow(masked, "keep")), abs=1e-12)
    third = [value for value, own in zip(kept, sets, strict=True) if 3 in own]
    assert metrics["category_map_per_class"]["3"] == pytest.approx(np.mean(third), abs=1e-12)
    assert report["protocol"]["relevant"] == "any shared label"
    assert [row["class"] for row in csv.DictReader((tmp_path / "q.csv").open())] == [
        ";".join(map(str, sorted(own))) for own in sets]
    out = capsys.readouterr().out
    without = sum(not own for own in sets)
    assert f"{without} queries without any label" in out and "of the true labels (oracle)" in out


def test_one_label_an_image_is_a_special_case(tmp_path, codes, saved, capsys):
    """One-hot rows give every number that their category ids give."""
    hot = np.eye(5, dtype=np.float32)[codes.categories]
    save_codes(tmp_path / "hot.npz", CodeSet(codes.binary_codes, hot, codes.grm, codes.paths))
    flags = ["--top_k_bits", 4, "--per_class", "--at", 7, "--draws", 3]
    ids = numbers("imagenet100c", tmp_path, saved, *flags)["metrics"]
    sets = numbers("imagenet100c", tmp_path, tmp_path / "hot.npz", "--multi_label", *flags)["metrics"]
    assert ids.keys() == sets.keys() and "expert_map_top4_vote" in ids
    for key in ids:
        if key.endswith("per_class"):
            assert sets[key] == pytest.approx(ids[key], abs=1e-12)  # summed in another order
        else:
            assert sets[key] == ids[key]


def test_every_label_is_an_attribute_too(tmp_path, capsys):
    codes = label_codes(3)
    save_codes(tmp_path / "codes.npz", codes)
    metrics = numbers("sun", tmp_path, tmp_path / "codes.npz", "--multi_label", "--groups", "1,2", "3-5",
                      "--attribute", "1")["metrics"]
    has = codes.labels[:, 0] == 1
    score = mean_average_precision(codes.bits[has], np.ones(has.sum()), codes.bits, has.astype(int))
    assert metrics["attribute_map"][0] == pytest.approx(float(score), abs=1e-12)
    assert len(metrics["attribute_map"]) == 5 and len(metrics["custom_per_attribute"]) == 1


def test_label_columns_that_look_like_sets_are_pointed_out(tmp_path, capsys):
    codes = label_codes()
    codes.labels[codes.labels == 2] = 0
    save_codes(tmp_path / "codes.npz", codes)
    assert run("imagenet100c", tmp_path / "codes.npz") == 0
    assert "give --multi_label" in capsys.readouterr().out


def test_octave_says_nan(tmp_path, codes, capsys):
    codes.labels[:, 1] = 0
    save_codes(tmp_path / "codes.npz", codes)
    assert run("sun", tmp_path / "codes.npz", "--attribute", "1", "--groups", "1", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "Retrieval mAP of column 1 attribute retrieval: NaN"
    assert lines[3] == "Retrieval mAP of column 1 attribute customized retrieval: 0.0000"


BAD = [
    ("sun", ["{codes}", "--self", "hit", "--database", "{codes}"], "--self: found hit with --database"),
    ("imagenet100c", ["{codes}", "--top_k_bits", "17"], "--top_k_bits: found 17, expected 1 to 16"),
    ("imagenet100c", ["{codes}", "--database", "{short}"], "codes of 9 bits, expected 16"),
    ("imagenet100c", ["{codes}", "--draws", "1"], "--draws"),
    ("imagenet100c", ["{codes}", "--at", "0"], "--at"),
    ("imagenet100c", ["{nan}"], "not a finite number in row 8"),
    ("imagenet100c", ["{nolab}"], "no array 'lab'"),
    ("imagenet100c", ["{nanlab}"], "{nanlab}: found the category nan in row 3 of lab"),
    ("imagenet100c", ["{codes}", "--database", "{half}"], "{half}: found the category 1.5 in row 4 of lab"),
    ("imagenet100c", ["{grmnan}"], "{grmnan}: found a GRM with entries that are not finite"),
    ("imagenet100c", ["{codes}", "--multi_label"], "{codes}: found 4 label columns with --multi_label, expected 5"),
    ("imagenet100c", ["{ids}", "--multi_label"], "in row 1 of lab with 5 columns"),
    ("imagenet100c", ["{one}", "--multi_label"], "one label column with --multi_label"),
    ("imagenet100c", ["{sets}", "--multi_label", "--database", "{fewer}"], "{fewer}: found 4 label columns"),
    ("imagenet100c", ["{missing}"], "No such file"),
    ("imagenet100c", ["{grm}"], "a GRM with 15 columns, expected 16"),
    ("sun", ["{codes}", "--attribute", "sea"], "one of the 3 attribute names"),
    ("sun", ["{codes}", "--attribute", "4"], "an attribute column from 1 to 3"),
    ("sun", ["{codes}", "--groups", "1,20"], "bits from 1 to 16"),
    ("sun", ["{codes}", "--groups", *map(str, range(1, 15))], "at most 12"),
    ("sun", ["{codes}", "--concepts", "sea"], "--dissection"),
    ("sun", ["{codes}", "--dissection", "{tally}", "--concepts", " ,"], "--concepts: found ' ,', expected names"),
    ("sun", ["{codes}", "--dissection", "{tally}", "--concepts", "see"], "near names: sea"),
    ("sun", ["{codes}", "--dissection", "{tally}", "--concepts", "sea"], "units 1 to 16"),
    ("sun", ["{codes}", "--choose_on", "{short}"], "codes of 9 bits"),
    ("sun", ["{codes}", "--attribute_names", "{tally}"], "2 names, expected 3"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), BAD, ids=[message for *_, message in BAD])
def test_bad_input_is_one_line(tmp_path, codes, saved, capsys, name, arguments, message):
    names = {key: tmp_path / f"{key}.npz" for key in ("codes", "short", "nan", "nolab", "missing", "grm")}
    save_codes(names["short"], make_codes(bits=9))
    broken = make_codes()
    broken.binary_codes[7, 2] = np.nan
    save_codes(names["nan"], broken)
    np.savez(names["grm"], binary_codes=codes.binary_codes, lab=codes.labels, GRM=codes.grm[:, :15])
    np.savez(names["nolab"], binary_codes=codes.binary_codes)
    values, labels, grm = codes.binary_codes, codes.labels, codes.grm
    odd = {"nanlab": np.where(np.arange(120)[:, None] == 2, np.nan, labels),
           "half": np.where(np.arange(120)[:, None] == 3, 1.5, labels), "ids": labels[:, [0, 0, 0, 0, 0]] + 3,
           "one": labels[:, :1], "sets": label_codes(count=120).labels, "grmnan": labels}
    for key, lab in odd.items():
        names[key] = tmp_path / f"{key}.npz"
        np.savez(names[key], binary_codes=values, lab=lab, GRM=grm * (np.nan if key == "grmnan" else 1))
    names["fewer"] = tmp_path / "fewer.npz"
    np.savez(names["fewer"], binary_codes=values, lab=odd["sets"][:, :4])
    (tmp_path / "tally.csv").write_text("unit,category,label,score\n99,object,sea,0.1\n")
    names["tally"] = tmp_path / "tally.csv"
    assert run(name, *(item.format(**names) for item in arguments)) == 2
    captured = capsys.readouterr()
    error = captured.err.splitlines()[-1]
    assert error.startswith("error: ") and message.format(**names) in error and "Traceback" not in captured.err
    assert captured.out == ""


def test_expert_bits_flag_reaches_the_metric_name(saved, codes, tmp_path, capsys):
    metrics = numbers("imagenet100c", tmp_path, saved, "--top_k_bits", 2)["metrics"]
    chosen = expert_bits(codes.grm, 2)[codes.categories]
    distance = np.array([[-(codes.bits[j, chosen[i]].astype(int) * codes.bits[i, chosen[i]]).sum()
                          for j in range(len(codes))] for i in range(len(codes))])
    order = np.argsort(distance, axis=1, kind="stable")
    relevant = (codes.categories[order] == codes.categories[:, None]) & (order != np.arange(len(codes))[:, None])
    ranks = np.arange(1, len(codes) + 1)
    precision = (np.cumsum(relevant, axis=1) / ranks * relevant).sum(axis=1) / relevant.sum(axis=1)
    assert metrics["expert_map_top2"] == pytest.approx(precision.mean(), abs=1e-12)


@pytest.mark.parametrize("start", [["eval/sun_eval.py"], ["-m", "eval.sun_eval"]])
def test_both_ways_to_start(root, saved, start):
    result = subprocess.run([sys.executable, *start, saved, "--json", "-"], cwd=root, capture_output=True, text=True,
                            check=True)
    assert json.loads(result.stdout)["command"] == "sun_eval"
    assert result.stderr.startswith("Retrieval mAP of category retrieval") or "evaluating" in result.stderr


@pytest.mark.parametrize(("data", "name"), [("imagenet100", "imagenet100c"), ("sun", "sun")])
def test_the_data_flag_gives_what_the_script_gives(saved, tmp_path, capsys, data, name):
    assert evaluate.COMMAND([str(saved), "--data", data, "--json", str(tmp_path / "flag.json")]) == 0
    printed = capsys.readouterr().out
    report = numbers(name, tmp_path, saved)
    assert capsys.readouterr().out == printed
    assert json.loads((tmp_path / "flag.json").read_text()) == report and report["command"] == f"{name}_eval"


def test_data_without_attributes_refuse_their_flags(saved, capsys):
    assert evaluate.COMMAND([str(saved), "--groups", "1,2"]) == 2
    assert "--groups: found --data imagenet100, which has no attributes" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_needs_no_heavy_import(root, name):
    probe = (f"import sys; import eval.{name}_eval as m; m.COMMAND.parser(None).format_help(); "
             "print([name for name in ('numba', 'torch', 'scipy', 'sklearn') if name in sys.modules])")
    result = subprocess.run([sys.executable, "-c", probe], cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
