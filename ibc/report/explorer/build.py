"""From a codes file to the page's folder: the one place where the parts of the explorer meet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ibc import __version__
from ibc.codes import CodeSet
from ibc.data.zip_folder import file_of, is_zip_folder, open_zip_folder
from ibc.errors import input_error
from ibc.files import only_writer, sha256
from ibc.labels import Labels
from ibc.report.explorer.cards import BitCard, bit_cards
from ibc.report.explorer.dissection import PageDissection, copy_strips, read_dissection
from ibc.report.explorer.encoding import visible
from ibc.report.explorer.folder import MASKS, SPRITES, claim_folder, write_page
from ibc.report.explorer.information import LabelInformation, label_information
from ibc.report.explorer.names import Vocabulary, read_vocabulary
from ibc.report.explorer.page_data import page_data
from ibc.report.explorer.snippets import python_snippet, sql_snippet
from ibc.report.explorer.thumbnails import Sheets, remove_old_sheets, spread_sample, write_sheets


@dataclass(frozen=True)
class ExplorerSettings:
    """What a page is made from, and how.

    codes_file: the path of the codes, for the page's provenance. images: folder or zip that their paths start from.
    dissection: results folder or table of a dissection, or None. train_file: path of the training codes, or None; what
    bits tell about labels is measured on them. class_names, attribute_names: files of one name a line; None:
    classes.txt and attributes.txt among the images, where they are and fit. thumb: pixels a side of a thumbnail.
    max_thumbs: images with one. top_k: expert bits of a class. multi_label: whether every label column is a class.
    workers: processes that read images. seed: of random images.
    """

    codes_file: str
    images: str
    dissection: str | None
    train_file: str | None
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


def build_page(folder: Path, codes: CodeSet, settings: ExplorerSettings, train: CodeSet | None = None) -> BuiltPage:
    """Write the page of ``codes`` to ``folder``. train: codes of the training images, where there are some.

    Raises InputError for codes without paths or images, a folder that is not ours, a dissection of another code length,
    names that do not fit, and where no image can be read.
    """
    files = image_files(codes, settings)
    vocabulary = read_vocabulary(codes, settings.codes_file, settings.multi_label, settings.images,
                                 settings.class_names, settings.attribute_names)
    dissection = PageDissection([], {}, {})
    if settings.dissection is not None:
        dissection = read_dissection(settings.dissection, codes, settings.codes_file)
    source, labels, flags = measured_on(codes, vocabulary, train, settings)
    with only_writer(folder):
        return _build_page(folder, codes, settings, files, vocabulary, dissection, source, labels, flags)


def _build_page(folder: Path, codes: CodeSet, settings: ExplorerSettings, files: list[str], vocabulary: Vocabulary,
                dissection: PageDissection, source: CodeSet, labels: Labels, flags: np.ndarray) -> BuiltPage:
    claim_folder(folder)
    cards = bit_cards(codes.binary_codes, codes.grm, settings.seed)
    _add_dissection(cards, dissection)
    signs = source.bits
    _add_information(cards, [
        label_information(signs, labels, [visible(name) for name in vocabulary.classes], "class", settings.seed),
        label_information(signs, Labels(flags), [visible(name) for name in vocabulary.attributes], "attribute",
                          settings.seed)])
    shown = [place for card in cards for place in (*card.top, *card.random, *card.near)]
    chosen = spread_sample(len(codes), settings.max_thumbs, shown)
    sheets = write_sheets(folder / SPRITES, files, settings.thumb, chosen, settings.workers)
    for bit, file in copy_strips(dissection.strips, folder / MASKS).items():
        cards[bit].masks = f"{MASKS}/{file}"
    provenance = {"codes": settings.codes_file, "sha256": sha256(settings.codes_file),
                  "model": Path(settings.codes_file).absolute().parent.name, "fingerprint": codes.model,
                  "dissection": settings.dissection, "train": settings.train_file, "version": __version__}
    data = page_data(codes, vocabulary, sheets, cards, title=settings.title, provenance=provenance,
                     top_k=settings.top_k, python=python_snippet(settings.codes_file),
                     sql=sql_snippet(codes.code_length))
    index = write_page(folder, data)
    remove_old_sheets(folder / SPRITES, sheets)
    return BuiltPage(index, len(codes), sheets)


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


def measured_on(codes: CodeSet, vocabulary: Vocabulary, train: CodeSet | None,
                settings: ExplorerSettings) -> tuple[CodeSet, Labels, np.ndarray]:
    """The codes on which information is measured, with their labels and attribute flags: the training ones, if any.

    Raises InputError for training codes of another length or with other label columns.
    """
    if train is None:
        return codes, vocabulary.labels, vocabulary.flags
    for what, own, expected in (("bits", train.code_length, codes.code_length),
                                ("label columns", train.labels.shape[1], codes.labels.shape[1])):
        if own != expected:
            raise input_error(settings.train_file, f"{own} {what}", f"{expected}, as in {settings.codes_file}",
                              "take the training codes of the same model")
    flags = train.labels[:, 1:] == 1 if vocabulary.attributes else np.zeros((len(train), 0), bool)
    return train, train.item_labels(settings.multi_label, settings.train_file), flags


def _add_dissection(cards: list[BitCard], dissection: PageDissection) -> None:
    for name in dissection.names:
        cards[name.bit].names.append({
            "concept": visible(name.concept), "category": visible(name.category), "iou": name.iou,
            "chance": name.chance, "beats_chance": name.beats_chance, "source": "dissection", "nats": None})
    for bit, correlation in dissection.alignment.items():
        cards[bit].alignment = correlation


def _add_information(cards: list[BitCard], found: Iterable[LabelInformation | None]) -> None:
    kinds = [kind for kind in found if kind is not None]
    for bit, card in enumerate(cards):
        card.names += [name for kind in kinds if (name := kind.name(bit)) is not None]
        if kinds:
            card.information = max((kind.most_told(bit) for kind in kinds), key=lambda told: told["nats"])
