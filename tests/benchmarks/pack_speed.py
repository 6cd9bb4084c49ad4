"""Reading a data set from a folder and from its archive: what the processes that read for a GPU reach.

Real JPEGs of 256 px, repeated, are read in a random order, as training does: first with the files
dropped from the page cache, then with all of them in it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from ibc.cores import cores_here
from ibc.data.list_file import read_list, write_list
from ibc.data.loader import MOST_READERS
from ibc.datasets.prepare.pack import pack_folder
from tests.benchmarks.train_speed import reading_rate, unzip

BATCH = 200  # files read together


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, metavar="ZIP", help="JPEGs to repeat")
    parser.add_argument("--count", type=int, default=20000, help="images of the data set")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", help="a folder on the disk to measure (default: the system's temporary one)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        folder, archive = Path(scratch, "data"), Path(scratch, "data.zip")
        pictures = [path.read_bytes() for path in unzip(args.images, Path(scratch, "unzipped"))]
        names = [f"images/{number}.jpg" for number in range(args.count)]
        (folder / "images").mkdir(parents=True)
        for number, name in enumerate(names):
            (folder / name).write_bytes(pictures[number % len(pictures)])
        write_list(folder / "train.txt", names, [[0]] * len(names))
        start = time.perf_counter()
        images, size = pack_folder(folder, archive)
        print(f"packed: {images} images, {size / 1e6:.0f} MB in {time.perf_counter() - start:.1f} s")
        order = np.random.default_rng(0).permutation(args.count).tolist()
        for what, source in (("folder", folder), ("zip", archive)):
            files = read_list("train.txt", source).files
            paces = []
            for _ in range(args.repeats):
                forget(files if source is folder else [str(archive)])
                paces.append([pace(files, order), pace(files, order)])
            (cold, warm), (least_cold, least_warm), (most_cold, most_warm) = (
                rule(paces, axis=0) for rule in (np.median, np.min, np.max))
            print(f"{what:8} images/s not in the page cache {cold:8.0f} ({least_cold:.0f} to {most_cold:.0f}), "
                  f"in it {warm:8.0f} ({least_warm:.0f} to {most_warm:.0f})")


def pace(files: list[str], order: list[int]) -> float:
    """Images a second that the reading processes hand over."""
    batches = [order[first : first + BATCH] for first in range(0, len(order), BATCH)]
    return reading_rate(files, batches, min(MOST_READERS, cores_here()))


def forget(files: list[str]) -> None:
    """Drop written files from the page cache (their folder's entries stay)."""
    os.sync()
    for file in files:
        handle = os.open(file, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


if __name__ == "__main__":
    main()
