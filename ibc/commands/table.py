"""The table of commands: what ``ibc`` offers, in the order in which a user needs it.

This is the one place that decides what is imported when: a command's file imports its parser's needs at the top and
everything else inside its ``run``; all other modules import at the top.
"""

from __future__ import annotations

from importlib import import_module

from ibc.commands.command import Command

COMMANDS = {
    "quickstart": "from a folder of photographs to a page on which one searches them, on a CPU",
    "prepare": "images and list files of a data set, from its public source or from a folder of your own",
    "doctor": "what is wrong with the data of a configuration, before training",
    "train": "train the network of a configuration",
    "itq": "codes and provisional groups of images without labels",
    "extract": "codes of a list of images, or of any folder",
    "mis": "mutual information score of codes",
    "evaluate": "mAP of codes: category, expert bits, attributes, customised retrieval",
    "health": "balance, dead and duplicate bits of codes",
    "dissect": "name each filter, and so each bit, by the concept that it responds to",
    "search": "images like these, by all bits of their codes or by those of some concepts",
    "explore": "a page on which one searches images by their codes, offline",
    "export": "codes for DuckDB, ClickHouse, Spark, PostgreSQL and faiss; the encoder as ONNX",
    "study": "methods, code lengths and seeds compared: every run of a plan, in one table",
    "report": "one page on one or several runs",
    "summary": "one table of a demo folder",
    "version": "versions and devices, for a report of an error",
}


def load(name: str) -> Command:
    """The command of a name in ``COMMANDS``."""
    return import_module(f"ibc.commands.{name}").COMMAND
