"""Octave's text format, as its ``save`` writes it."""

import numpy as np
import pytest

from ibc.arrays import octave_text
from ibc.arrays.limits import MemoryLimit
from ibc.errors import InputError

HEAD = "# Created by Octave 8.4.0, Mon Jan 01 00:00:00 2024 UTC <user@host>\n"
FILE = HEAD + """# name: m
# type: matrix
# rows: 2
# columns: 3
 1 2.5 -3e-05
 NaN Inf 4


# name: number
# type: scalar
16


# name: one
# type: float matrix
# rows: 1
# columns: 2
 1 2


# name: empty
# type: matrix
# rows: 0
# columns: 5


# name: whole
# type: int32 matrix
# ndims: 2
 2 3
  1
  2
  3
  4
  5
  6


# name: flags
# type: bool matrix
# ndims: 2
 1 2
 1
 0


# name: s
# type: sparse matrix
# nnz: 2
# rows: 3
# columns: 2
1 1 5
3 2 -1


# name: d
# type: diagonal matrix
# rows: 2
# columns: 2
1
7


# name: word
# type: string
# elements: 2
# length: 3
abc
# length: 3
de \n\n
# name: paths
# type: cell
# rows: 3
# columns: 1
# name: <cell-element>
# type: sq_string
# elements: 1
# length: 7
a/b.jpg


# name: <cell-element>
# type: string
# elements: 0
# length: 0


# name: <cell-element>
# type: string
# elements: 1
# length: 1
c



# name: record
# type: scalar struct
# ndims: 2
 1 1
# length: 0


"""


def read(text, name):
    return octave_text.variables(text, "f.mat", MemoryLimit("f.mat", 0))[name]()


@pytest.mark.parametrize(("name", "expected"), [
    ("m", [[1, 2.5, -3e-05], [np.nan, np.inf, 4]]), ("number", [[16]]), ("one", [[1, 2]]),
    ("whole", [[1, 3, 5], [2, 4, 6]]), ("flags", [[1, 0]]), ("s", [[5, 0], [0, 0], [0, -1]]), ("d", [[1, 0], [0, 7]]),
])
def test_numbers(name, expected):
    assert np.array_equal(read(FILE, name), expected, equal_nan=True)


def test_texts_and_empty_matrices():
    assert read(FILE, "word").tolist() == ["abc", "de "]
    assert read(FILE, "paths").tolist() == ["a/b.jpg", "", "c"]
    assert read(FILE, "empty").shape == (0, 5)


def test_windows_line_ends():
    assert np.array_equal(read(FILE.replace("\n", "\r\n"), "whole"), [[1, 3, 5], [2, 4, 6]])


@pytest.mark.parametrize(("old", "new", "name", "words"), [
    ("# rows: 2", "# rows: 3", "m", "numbers"), ("# rows: 2", "# rows: -1", "m", "rows"),
    ("2.5", "x", "m", "no number"),
    ("# rows: 2", "# rows: 99999999999", "m", "lines for"), ("3 2 -1", "4 2 -1", "s", "outside"),
    ("# rows: 3\n# columns: 2", "# rows: 99999999\n# columns: 99999", "s", "IBC_ARRAY_GB"),
    ("", "", "record", "save -v7"), (" 2 3\n", " 2 x\n", "whole", "no number"),
])
def test_damage_is_named_with_its_line(old, new, name, words):
    with pytest.raises(InputError, match=words) as error:
        read(FILE.replace(old, new, 1), name)
    assert "f.mat" in str(error.value)
