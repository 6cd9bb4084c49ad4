"""The report: one self-contained, escaped page with every number, for one run and for several."""

import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from ibc.codes import save_codes
from ibc.commands.report import COMMAND
from ibc.report.scores import ScoreSettings, score_run
from ibc.retrieval.average_precision import mean_average_precision
from ibc.retrieval.bits import on_expert_bits
from ibc.retrieval.mutual_info import mutual_info_score
from tests.commands.test_evaluate import label_codes, make_codes

FAST = ["--draws", "3", "--max_queries", "40"]


def run(*arguments):
    return COMMAND([str(item) for item in arguments])


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Two runs in the folders that training and extraction write, with hostile names."""
    from torch.utils.tensorboard import SummaryWriter

    folder = tmp_path_factory.mktemp("out")
    for name, seed in (("plain", 0), ("a<script>&b", 1)):
        save_codes(folder / "results" / name / "test.npz", make_codes(seed, bits=20))
        config = folder / "outputs" / name / "config.yaml"
        config.parent.mkdir(parents=True)
        data = folder / f"data{seed}"
        data.mkdir()
        (data / "classes.txt").write_text("".join(f"<i>name {label}\n" for label in range(5)))
        config.write_text(f"lr: 1e-4\nseed: {seed}\ndata_folder: {data}\nnote: '</td><script>x</script>'\n")
        with SummaryWriter(str(folder / "logs" / name)) as writer:
            for step in range(1, 6):
                writer.add_scalar("loss_total", 1 / step, step)
                writer.add_scalar("loss_rule_sparse", 0.0, step)
                writer.add_scalar("val_map", 0.1 * step, step)
    return folder


@pytest.fixture(scope="module")
def page(out):
    assert run(out / "outputs" / "plain", out / "outputs" / "a<script>&b", "--output", out / "report", *FAST, "--json",
               out / "report.json") == 0
    return (out / "report" / "report.html").read_text()


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_nothing_is_fetched_from_elsewhere(page):
    tags = Tags(page).tags
    assert not re.search(r"(?:https?:)?//[a-z]", re.sub(r"data:image/png;base64,[^\"]+", "", page))
    images = [attrs for tag, attrs in tags if tag == "img"]
    assert len(images) > 6 and all(attrs["alt"] for attrs in images)
    assert all(attrs["src"].startswith("data:image/png;base64,") for attrs in images)
    assert not [attrs for tag, attrs in tags if tag == "script" and "src" in attrs]
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in tags


def test_texts_from_files_are_escaped(page):
    assert "a<script>" not in page and "a&lt;script&gt;&amp;b" in page
    assert "<i>name" not in page and "&lt;i&gt;name 3" in page
    assert len([tag for tag, _ in Tags(page).tags if tag == "script"]) == 1


def test_figures_are_beside_the_page(out, page):
    names = {item.stem for item in (out / "report" / "figures").iterdir()}
    assert names == {"losses", "val_map", "precision_recall", "expert_bits", "grm_1", "grm_2", "health_1", "health_2"}
    assert all((out / "report" / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in names)
    assert page.count("<figure") == len(names)


def test_the_numbers_are_those_of_the_metrics(out, page):
    report = json.loads((out / "report.json").read_text())
    assert ["/".join(item["path"].split("/")[-2:]) for item in report["inputs"]] == [
        "plain/test.npz", "plain/config.yaml", "a<script>&b/test.npz", "a<script>&b/config.yaml"]
    for name, seed in (("plain", 0), ("a<script>&b", 1)):
        codes = make_codes(seed, bits=20)
        bits, labels = codes.bits, codes.categories
        metrics = report["metrics"][name]
        kept = mean_average_precision(bits, labels, bits, labels, self_match="keep")
        left_out = mean_average_precision(bits, labels, bits, labels, self_match="exclude", ties="bounds")
        assert metrics["category_map"] == float(kept)
        for text in (f"<td>{kept:.4f}</td>", f"{left_out:.4f} <span class=\"extra\">[{left_out.pessimistic:.4f}, "
                     f"{left_out.optimistic:.4f}]", f"{metrics['mis_knn']:.4f}"):
            assert text in page
    assert re.search(r'<tr class="differs"><td>seed</td><td class="value">0</td><td class="value">1</td>', page)


def test_expert_curve_is_the_map_of_the_sampled_queries():
    codes = make_codes(2, bits=20)
    curve = score_run(codes, ScoreSettings(top_k=3, draws=2, queries=50, seed=4)).curve
    rows = np.sort(np.random.default_rng(4).permutation(len(codes))[:50])
    assert curve.bits == [1, 2, 3, 4, 6, 8, 12, 16] and curve.queries == 50
    queries = on_expert_bits(codes.bits[rows], codes.categories[rows], codes.grm, 3)
    score = mean_average_precision(queries, codes.categories[rows], codes.bits, codes.categories, self_match="exclude",
                                   ties="expected", query_index=rows)
    assert curve.expert[2] == float(score)


def test_a_codes_file_alone_and_without_a_grm(tmp_path, capsys):
    codes = make_codes(3)
    codes.grm = None
    save_codes(tmp_path / "codes.npz", codes)
    assert run(tmp_path / "codes.npz", "--output", tmp_path / "report", *FAST) == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert 'id="training"' not in page and 'id="rules"' not in page and 'id="config"' not in page
    assert "<td>–</td>" in page


def test_codes_without_any_category(tmp_path, capsys):
    codes = make_codes(4, count=30)
    codes.labels[:, 0] = 99999
    save_codes(tmp_path / "codes.npz", codes)
    assert run(tmp_path / "codes.npz", "--output", tmp_path / "report", *FAST) == 0


def test_several_labels_an_image(tmp_path, capsys):
    """The configuration says so, or the flag."""
    codes = label_codes(5, count=60)
    save_codes(tmp_path / "results" / "sets" / "test.npz", codes)
    (tmp_path / "outputs" / "sets").mkdir(parents=True)
    (tmp_path / "outputs" / "sets" / "config.yaml").write_text("model:\n  multi_label: true\n")
    save_codes(tmp_path / "bare.npz", codes)
    for run_path, flags in ((tmp_path, []), (tmp_path / "bare.npz", ["--multi_label"])):
        assert run(run_path, "--output", tmp_path / "r", *FAST, *flags, "--json", tmp_path / "r.json") == 0
        report = json.loads((tmp_path / "r.json").read_text())
        name, = report["metrics"]
        score = mean_average_precision(codes.bits, codes.labels, codes.bits, codes.labels, self_match="keep")
        assert report["metrics"][name]["category_map"] == float(score)
        assert report["metrics"][name]["mis_exact"] == float(
            mutual_info_score(codes.bits, codes.labels, estimator="exact", samples=100, seed=0))
        assert report["protocol"]["relevant"] == {name: "any shared label"}
        page = (tmp_path / "r" / "report.html").read_text()
        assert "<td>any shared label</td>" in page
        sizes = (codes.labels == 1).sum(axis=0)
        assert f"<td>4</td><td>{sizes[4]}</td>" in page


def test_equal_names_are_told_apart(tmp_path, capsys):
    for place in ("one", "two"):
        save_codes(tmp_path / place / "test.npz", make_codes(count=20))
    files = [tmp_path / "one" / "test.npz", tmp_path / "two" / "test.npz"]
    assert run(*files, "--output", tmp_path / "r", *FAST, "--json", tmp_path / "r.json") == 0
    assert len(json.loads((tmp_path / "r.json").read_text())["metrics"]) == 2
    assert run(*files, "--names", "old", "new", "--output", tmp_path / "r", *FAST, "--json", tmp_path / "r.json") == 0
    assert list(json.loads((tmp_path / "r.json").read_text())["metrics"]) == ["old", "new"]


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "at least one codes file or folder"),
    (["{codes}", "--draws", "1"], "--draws"),
    (["{codes}", "--diff", "a.json", "b.json"], "--diff: found runs or --json beside it"),
    (["{codes}", "--names", "a", "b"], "1 different names"),
    (["{codes}", "--class_names", "{codes}.txt"], "No such file"),
    (["{empty}"], "no codes"),
    (["{codes}x"], "no such file or folder"),
])
def test_bad_input_is_one_line(tmp_path, arguments, message, capsys):
    names = {"codes": tmp_path / "codes.npz", "empty": tmp_path / "empty.npz"}
    save_codes(names["codes"], make_codes(count=10))
    save_codes(names["empty"], make_codes(count=0))
    assert run(*(item.format(**names) for item in arguments), "--output", tmp_path / "r") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and message in error
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200])
def test_in_a_browser(out, page, width):
    webdriver = pytest.importorskip("selenium.webdriver")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no Chromium")
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if width < 600:
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": {"width": width, "height": 844,
                                                                              "pixelRatio": 2}})
    browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        browser.get((out / "report" / "report.html").as_uri())
        assert browser.get_log("browser") == []
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        assert browser.execute_script("return [...document.images].every((image) => image.naturalWidth > 300)")
        column = "return [...document.querySelectorAll('.sortable tbody tr')].map((row) => row.cells[3].textContent)"
        for descending in (False, True):
            browser.execute_script("document.querySelectorAll('.sortable th')[3].click()")
            values = [float(text) for text in browser.execute_script(column)]
            assert values == sorted(values, reverse=descending)
    finally:
        browser.quit()
