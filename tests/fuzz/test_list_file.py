"""List files of any bytes."""

from pathlib import Path

from ibc.data.list_file import read_list
from tests.fuzz.damage import damaged
from tests.fuzz.harness import each, fuzzed

LISTS = [b"images/a.jpg 0\nimages/b.jpg 1\n", b"# two\n\n'a b.jpg' 3 1 0 -1\n\"c\\\" d\\u000a.jpg\" 2 0 0 1\r\n",
         "é.jpg 99999 2\n".encode("utf-16"), b"/abs/x.png 16777216\n../up.jpg 1\n"]


@fuzzed(damaged(LISTS))
def test_list_file(data: bytes, folder: Path) -> None:
    (folder / "list.txt").write_bytes(data)
    each(lambda: read_list("list.txt", folder), lambda: read_list("list.txt", folder, class_num=4),
         lambda: read_list("list.txt", folder, multi_label=True, class_num=3, filter_labels=(0,)))
