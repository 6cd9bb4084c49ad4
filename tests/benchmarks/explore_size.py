"""How large the page of ``ibc explore`` is, how long it takes to make, and in how much memory.

    python tests/benchmarks/explore_size.py                        (50,000 images of 1,000 classes, names in order)
    python tests/benchmarks/explore_size.py --order shuffled       (... in random order)
    python tests/benchmarks/explore_size.py --images 1000000       (a million)

Codes are random: 256 bits, names as ImageNet's validation images have them, 25 attributes, a dissection of 5 concepts a
bit. The images are 1,000 files of 500 x 375 pixels, each under many names. A second run, which reuses the thumbnails,
is timed too. On a busy machine the processor's time says more than the seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
BITS, CLASSES, ATTRIBUTES, FILES = 256, 1000, 25, 1000
CATEGORIES = ("object", "part", "scene", "texture", "color")


def make_images(folder: Path, count: int) -> list[str]:
    """``count`` names val/CLASS/FILE in order; the folders of all classes are links to one."""
    random = np.random.default_rng(0)
    (folder / "files").mkdir(parents=True)
    (folder / "val").mkdir()
    per_class = -(-count // CLASSES)
    for number in range(per_class):
        file = folder / "files" / f"ILSVRC2012_val_{number:08d}.JPEG"
        if number < FILES:
            coarse = random.integers(0, 255, (12, 16, 3)).astype(np.uint8)
            Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC).save(file, quality=90)
        else:
            os.link(folder / "files" / f"ILSVRC2012_val_{number % FILES:08d}.JPEG", file)
    for number in range(CLASSES):
        (folder / "val" / f"n{1440764 + 1173 * number:08d}").symlink_to(folder / "files")
    return [f"val/n{1440764 + 1173 * (place // per_class):08d}/ILSVRC2012_val_{place % per_class:08d}.JPEG"
            for place in range(count)]


def write_dissection(folder: Path) -> None:
    """A tally.json of one concept in each category a bit."""
    random = np.random.default_rng(1)
    units = [{"unit": number, "chance": [0.05], "bit": {"correlation": 0.9}, "best": {
        category: {"label": f"concept_{int(random.integers(0, 200))}", "iou": float(random.random() / 4)}
        for category in CATEGORIES}} for number in range(1, BITS + 1)]
    folder.mkdir()
    (folder / "tally.json").write_text(json.dumps({"layer": "conv", "units": units, "settings": {"units": None}}))


def main() -> None:
    """Make the data, write the page twice, print sizes and times."""
    from ibc.codes import CodeSet, save_codes
    from ibc.commands.explore import COMMAND

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--order", choices=["sorted", "shuffled"], default="sorted")
    parser.add_argument("--folder", type=Path, help="keep the page here (default: nowhere)")
    args = parser.parse_args()
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names = make_images(folder / "images", args.images)
        labels = np.zeros((args.images, 1 + ATTRIBUTES), np.float32)
        labels[:, 0] = np.arange(args.images) * CLASSES // args.images
        labels[:, 1:] = random.random((args.images, ATTRIBUTES), np.float32) < 0.25
        if args.order == "shuffled":
            order = random.permutation(args.images)
            names, labels = [names[place] for place in order], labels[order]
        grm = random.random((CLASSES, BITS), np.float32)
        save_codes(folder / "codes.npz", CodeSet(random.random((args.images, BITS), np.float32), labels, grm, names))
        write_dissection(folder / "dissection")
        page = args.folder or folder / "page"
        flags = [str(folder / "codes.npz"), "--images", str(folder / "images"), "--dissection",
                 str(folder / "dissection"), "-o", str(page)]
        del labels, names
        for what in ("first run", "second run"):
            start, before = time.perf_counter(), time.process_time()
            assert COMMAND(flags, prog="ibc explore") == 0
            print(f"{what}: {time.perf_counter() - start:.1f} s, {time.process_time() - before:.1f} s of the processor "
                  "without the processes that read images", flush=True)
        sprites = [file.stat().st_size for file in (page / "sprites").glob("*.jpg")]
        print(f"{args.images} images, {args.order}: data.js {(page / 'data.js').stat().st_size / 1e6:.2f} MB, "
              f"{len(sprites)} sheets of {sum(sprites) / 1e6:.1f} MB together, "
              f"peak memory {_peak():.1f} GB")
        for line in (page / "data.js").read_text().splitlines():
            if len(line) > 100_000:
                print(f"  {line[:20].split(':')[0]}: {len(line) / 1e6:.2f} MB")


def _peak() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1e6


if __name__ == "__main__":
    main()
