"""The settings file of the official tool."""

from pathlib import Path

from ibc.commands.dissect_defaults import read_settings_file
from ibc.dissection.settings import DissectionSettings
from netdissect_lite import settings as settings_file


def test_the_settings_file_holds_the_defaults():
    """What is written down twice, for people to edit, agrees."""
    assert read_settings_file(settings_file).settings == DissectionSettings()


def test_paths_start_at_the_folder_of_the_file():
    defaults = read_settings_file(settings_file)
    folder = Path(settings_file.__file__).parent
    assert defaults.checkpoint == folder / "../outputs/imagenet100/checkpoints"
    assert defaults.broden == folder / "../datasets/broden1_227"
    assert defaults.output == folder / "result" / "imagenet100"
    assert defaults.network is None
