"""Images are written through Python, which notices a disk that takes only a part of them."""

import ast

import numpy as np
import pytest
from PIL import Image

from ibc.data.image_bytes import image_bytes
from tests.conftest import ROOT


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_bytes_of_the_file(tmp_path, kind):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8))
    image.save(tmp_path / "file", kind)
    assert image_bytes(image, kind) == (tmp_path / "file").read_bytes()


def test_no_image_is_written_past_python():
    """Images go to a buffer: ``save`` of an image is called with nothing else."""
    for path in ROOT.glob("ibc/**/*.py"):
        text = path.read_text(encoding="utf-8")
        if "PIL" not in text:
            continue
        calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call) and node.args
                 and isinstance(node.func, ast.Attribute) and node.func.attr == "save"]
        assert all(ast.unparse(call.args[0]) == "buffer" for call in calls), path
