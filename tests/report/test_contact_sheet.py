"""Contact sheets: their size, what they show of odd input, and both file types."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ibc.codes import CodeSet
from ibc.labels import Labels
from ibc.report.contact_sheet import SCALE, contact_sheet
from ibc.report.search_page import search_page
from ibc.report.search_report import QueryImage, SearchReport
from ibc.report.thumbnails import thumbnail
from ibc.retrieval.bit_choice import all_bits
from ibc.retrieval.explained_search import explained_search
from ibc.retrieval.wishes import query_of_examples
from tests.small_run import make_images

HOSTILE = "<img src=x onerror=alert(1)>"


def make_report(folder: Path, count: int = 20, top: int = 10, missing: int = 0) -> SearchReport:
    names = make_images(folder, count, size=40)
    names[1 : 1 + missing] = [f"{HOSTILE}{number}.jpg" for number in range(missing)]
    values = np.random.default_rng(0).random((count, 8)).astype(np.float32)
    codes = CodeSet(values, np.zeros((count, 1), np.float32), None, names)
    ranked = explained_search(codes.bits, query_of_examples(values[:1]), all_bits(8, []), top, [0])
    return SearchReport(codes, Labels(np.zeros(count, np.int64)), names[0], [QueryImage(names[0], names[0], True, 1)],
                        [ranked], [f"{HOSTILE} a rather long name of a class\nof two lines"], str(folder))


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_the_sheet_grows_with_lines_and_columns(tmp_path):
    report = make_report(tmp_path)
    wide, narrow = opened(contact_sheet(report, 10)), opened(contact_sheet(report, 4))
    assert wide.width > narrow.width
    assert wide.height < narrow.height
    assert wide.width % SCALE == 0
    assert wide.format == "PNG"
    assert opened(contact_sheet(report, 10, "JPEG")).format == "JPEG"


def test_an_image_that_is_shown_is_the_image(tmp_path):
    report = make_report(tmp_path)
    sheet = np.asarray(opened(contact_sheet(report, 10)).convert("RGB")).astype(int)
    shown = thumbnail(str(tmp_path / report.codes.paths[0]), 60)
    colour = np.asarray(shown)[20:40, 20:40].reshape(-1, 3).mean(axis=0)
    # the query is at the left, below its heading
    assert np.abs(sheet[250:300, 150:250].reshape(-1, 3).mean(axis=0) - colour).max() < 60


def test_missing_images_and_hostile_names_are_only_text(tmp_path):
    report = make_report(tmp_path, missing=5, top=19)
    contact_sheet(report, 5)
    page = search_page(report)
    assert "5 images were not found" in page
    assert HOSTILE not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_images_of_zips_and_files_that_are_none(tmp_path):
    (tmp_path / "text.jpg").write_text("not an image")
    assert thumbnail(str(tmp_path / "text.jpg"), 8) is None
    assert thumbnail(str(tmp_path / "none.jpg"), 8) is None
    assert thumbnail(None, 8) is None
    Image.new("CMYK", (30, 20)).save(tmp_path / "odd.jpg")
    assert thumbnail(str(tmp_path / "odd.jpg"), 8).size == (8, 8)
    report = make_report(tmp_path / "images")
    object.__setattr__(report, "folder", str(tmp_path / "elsewhere"))
    with pytest.raises(ValueError, match="have they moved"):
        contact_sheet(report, 5)
