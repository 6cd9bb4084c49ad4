"""From a codes file to the page's folder: the one place where the parts of the explorer meet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ibc import __version__
from ibc.codes import CodeSet
from ibc.data.zip_folder import file_of, is_zip_folder, open_zip_folder
from ibc.errors import input_error
from ibc.files import sha256
from ibc.report.explorer.cards import BitCard, bit_cards
from ibc.report.explorer.encoding import visible
from ibc.report.explorer.folder import SPRITES, claim_folder, write_page
from ibc.report.explorer.names import read_vocabulary
from ibc.report.explorer.page_data import page_data
from ibc.report.explorer.thumbnails import Sheets, spread_sample, write_sheets
from ibc.retrieval.bit_names import load_bit_names


@dataclass(frozen=True)
class ExplorerSettings:
    """What a page is made from, and how.

    codes_file: the path of the codes, for the page's provenance. images: folder or zip that their paths start from.
    dissection: results folder or table of a dissection, or None. class_names, attribute_names: files of one name a
    line, or None. thumb: pixels a side of a thumbnail. max_thumbs: images with one. top_k: expert bits of a class.
    multi_label: whether every label column is a class. workers: processes that read images. seed: of random images.
    """

    codes_file: str
    images: str
    dissection: str | None
    class_names: str | None
    attribute_names: str | None
    title: str
    thumb: int
    max_thumbs: int
    top_k: int
    multi_label: bool
    workers: int
    seed: int


@dataclass(frozen=True)
class BuiltPage:
    """index: the page's file. images: on it. sheets: of its thumbnails."""

    index: Path
    images: int
    sheets: Sheets


def build_page(folder: Path, codes: CodeSet, settings: ExplorerSettings) -> BuiltPage:
    """Write the page of ``codes`` to ``folder``.

    Raises InputError for codes without paths or images, a folder that is not ours, a dissection of another code length,
    names that do not fit, and where no image can be read.
    """
    files = image_files(codes, settings)
    vocabulary = read_vocabulary(codes, settings.codes_file, settings.multi_label, settings.class_names,
                                 settings.attribute_names)
    cards = bit_cards(codes.binary_codes, codes.grm, settings.seed)
    if settings.dissection is not None:
        _add_names(cards, settings.dissection)
    claim_folder(folder)
    shown = [place for card in cards for place in (*card.top, *card.random, *card.near)]
    chosen = spread_sample(len(codes), settings.max_thumbs, shown)
    sheets = write_sheets(folder / SPRITES, files, settings.thumb, chosen, settings.workers)
    provenance = {"codes": settings.codes_file, "sha256": sha256(settings.codes_file),
                  "model": Path(settings.codes_file).absolute().parent.name, "dissection": settings.dissection,
                  "version": __version__}
    data = page_data(codes, vocabulary, sheets, cards, title=settings.title, provenance=provenance,
                     top_k=settings.top_k, python="", sql="")
    return BuiltPage(write_page(folder, data), len(codes), sheets)


def image_files(codes: CodeSet, settings: ExplorerSettings) -> list[str]:
    """What to open for each image. Raises InputError without paths, images, or the folder."""
    if codes.paths is None:
        raise input_error(settings.codes_file, "no array 'paths'", "the path of each image",
                          "extract the codes with ibc extract, which stores them")
    if not len(codes):
        raise input_error(settings.codes_file, "no codes", "at least one image")
    if is_zip_folder(settings.images):
        open_zip_folder(settings.images)
    elif not Path(settings.images).is_dir():
        raise input_error(settings.images, "no such folder", "the folder or zip that the paths of the codes file "
                          "start from, for example its data_folder")
    return [file_of(settings.images, path) for path in codes.paths]


def _add_names(cards: list[BitCard], dissection: str) -> None:
    for name in load_bit_names(dissection, len(cards)):
        cards[name.bit].names.append({"concept": visible(name.concept), "category": visible(name.category),
                                      "iou": name.iou, "chance": name.chance, "beats_chance": name.beats_chance,
                                      "source": "dissection"})
