"""The files of the concept scenes: lists and manifest, resuming, flags."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ibc.commands.prepare import command_of
from ibc.data.list_file import read_list
from ibc.datasets.concept_scenes import dataset as dataset_module
from ibc.datasets.concept_scenes.dataset import SceneTask, draw_image, generate
from ibc.datasets.concept_scenes.settings import SceneSettings
from ibc.datasets.concept_scenes.vocabulary import CLASSES, attribute_names, class_names
from ibc.errors import InputError
from ibc.files import sha256

main = command_of("concept_scenes")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_lists_classes_and_manifest_agree(made, settings):
    manifest = json.loads((made / "manifest.json").read_text())
    assert (made / "classes.txt").read_text().splitlines() == class_names() == manifest["classes"]
    assert (made / "attributes.txt").read_text().splitlines() == attribute_names() == manifest["attributes"]
    for split in ("train", "test"):
        images = read_list(f"{split}.txt", made, class_num=len(CLASSES))
        assert len(images) == getattr(settings, split) == manifest["lists"][f"{split}.txt"]["images"]
        assert manifest["lists"][f"{split}.txt"]["sha256"] == sha256(made / f"{split}.txt")
        for index, (file, labels) in enumerate(zip(images.files, images.labels, strict=True)):
            picture = draw_image(settings, SceneTask(split, index))
            assert labels.tolist() == [index % len(CLASSES), *picture.attributes.tolist()]
            stored = np.asarray(Image.open(file)).astype(int)
            assert np.abs(stored - picture.pixels).mean() < 12  # the same picture, but for JPEG
    assert not (made / ".unfinished").exists()
    assert Image.open(made / "overview.jpg").width > 6 * settings.size


def test_train_test_and_broden_pictures_differ(made):
    stored = [path.read_bytes() for path in made.rglob("*.jpg")]
    assert len(set(stored)) == len(stored)


def test_without_masks_there_is_no_broden_folder(tmp_path):
    generate(tmp_path / "d", SceneSettings(train=2, test=1, broden=0, size=64), workers=1)
    assert not (tmp_path / "d" / "broden").exists()


def test_files_do_not_depend_on_the_number_of_workers(made, settings, tmp_path):
    generate(tmp_path / "d", settings, workers=2)
    assert contents(tmp_path / "d") == contents(made)


def test_an_interrupted_run_continues_where_it_stopped(made, settings, tmp_path, monkeypatch):
    drawn, limit = [], 70

    def counted(settings, task):
        if len(drawn) == limit:
            raise KeyboardInterrupt
        drawn.append(task)
        return draw_image(settings, task)

    monkeypatch.setattr(dataset_module, "draw_image", counted)
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "d", settings, workers=1)
    assert not (tmp_path / "d" / "manifest.json").exists()
    journal = tmp_path / "d" / ".unfinished" / "done.jsonl"
    finished = len(journal.read_text().splitlines())
    assert 0 < finished < limit
    journal.write_text(journal.read_text() + '["train", 9')  # a line torn by a kill
    with pytest.raises(InputError, match="seed"):
        generate(tmp_path / "d", SceneSettings(**{**vars(settings), "seed": 4}), workers=1)
    drawn.clear()
    limit = 10**6
    generate(tmp_path / "d", settings, workers=1)
    assert len(drawn) == settings.train + settings.test + settings.broden - finished + len(CLASSES)  # + the overview
    assert contents(tmp_path / "d") == contents(made)


def test_a_second_run_does_nothing_and_a_missing_picture_is_drawn_again(tmp_path, monkeypatch):
    settings = SceneSettings(train=6, test=3, broden=3, size=64)
    manifest = generate(tmp_path, settings, workers=1)
    before = contents(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(dataset_module, "_draw_all", None)  # would fail if it were called
        assert generate(tmp_path, settings, workers=1) == manifest
    (tmp_path / "images" / "test" / "000001.jpg").unlink()
    generate(tmp_path, settings, workers=1)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("flags", "said"), [
    (["--size", "10"], "--size: found 10, expected a number from 64 to 1024"),
    (["--train", "0"], "--train: found 0"),
    (["--seed", "-1"], "--seed: found '-1'"),
    (["--broden", "-2"], "--broden: found -2"),
    (["--train", "many"], "invalid int value: 'many'"),
])
def test_bad_flags_are_one_line(tmp_path, capsys, flags, said):
    try:
        code = main([str(tmp_path / "d"), *flags])
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and error.startswith("error: ") and said in error and error.count("\n") == 1
    assert not (tmp_path / "d").exists()


def test_help_shows_an_example(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"], prog="python -m ibc.data.concept_scenes")
    assert stop.value.code == 0
    assert "example:\n  python -m ibc.data.concept_scenes data/scenes --train 3600" in capsys.readouterr().out


def test_other_settings_and_foreign_folders_are_refused(tmp_path, capsys):
    small = ["--test", "1", "--broden", "0", "--size", "64", "--workers", "1"]
    assert main([str(tmp_path / "d"), "--train", "2", *small]) == 0
    assert main([str(tmp_path / "d"), "--train", "2", *small]) == 0
    assert "nothing to do" in capsys.readouterr().out
    before = contents(tmp_path / "d")
    assert main([str(tmp_path / "d"), "--train", "3", *small]) == 2
    assert "found pictures made with train 2, expected train 3" in capsys.readouterr().err
    assert contents(tmp_path / "d") == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    assert main([str(tmp_path / "mine"), *small]) == 2
    assert "files that this command did not make" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.json").write_text("[]")
    assert main([str(tmp_path / "other"), *small]) == 2
    assert "manifest.json" in capsys.readouterr().err
