"""How fast images are prepared, against plain ``Image.open().convert().resize().save()`` in the same run.

    python tests/benchmarks/prepare_speed.py --photos ZIP_OR_FOLDER
    python tests/benchmarks/prepare_speed.py --photos ZIP_OR_FOLDER --quality
    python tests/benchmarks/prepare_speed.py --photos ZIP_OR_FOLDER --damage

Test images are mosaics of real photographs, saved as JPEG of quality 90, 4:2:0: "dense" at their own
scale (256 px photographs hold more detail a pixel than a camera's, the hard case), "soft" enlarged
twice (as camera pictures of that size are). Without --photos, noise of a falling spectrum instead.
Both ways read from disk and write to disk. ``--quality`` shows what decoding at reduced scale costs, ``--damage``
how much of the damage inside a JPEG is found.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from PIL import Image

from ibc.datasets.building import image as image_module
from ibc.datasets.building.archive import list_members, read_member
from ibc.datasets.building.convert import convert_all
from ibc.datasets.building.image import Recipe, Unusable, prepare_image

ROOT = Path(__file__).resolve().parents[2]
SIZES = ((500, 375), (1600, 1200))
RECIPE = Recipe(size=256, quality=95)
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", help="zip or folder of real photographs")
    parser.add_argument("--quality", action="store_true", help="compare pixels instead of times")
    parser.add_argument("--damage", action="store_true", help="count damaged photographs that are found")
    parser.add_argument("--images", type=int, default=32, help="test images of each kind (default: 32)")
    args = parser.parse_args()
    photos = Photos(args.photos)
    if args.quality:
        for enlarged in (1, 2):
            compare_pixels(photos, enlarged)
        return
    if args.damage:
        count_found(photos)
        return
    print(f"{len(os.sched_getaffinity(0))} cores; pictures: {photos.what}")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            for enlarged, kind in ((1, "dense"), (2, "soft")):
                sources = write_mosaics(photos, Path(folder, f"{size[0]}{kind}"), size, enlarged, args.images)
                one_core(f"{size[0]} x {size[1]} {kind}", sources, Path(folder))
        for size in SIZES:
            all_cores(size, Path(folder, f"{size[0]}dense"), Path(folder))
        whole_command(Path(folder, "1600dense"), Path(folder))


class Photos:
    """An endless row of 256 px pictures to make mosaics of."""

    def __init__(self, source: str | None):
        self.members = list_members(source) if source else []
        self.members = [member for member in self.members if member.name.lower().endswith((".jpg", ".jpeg"))]
        self.what = f"mosaics of {len(self.members)} photographs" if self.members else "noise of a falling spectrum"
        self.rng = np.random.default_rng(0)

    def next(self) -> Image.Image:
        if self.members:
            data = read_member(self.members[self.rng.integers(len(self.members))])
            return Image.open(io.BytesIO(data)).convert("RGB")
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
        planes = [np.fft.ifft2(np.fft.fft2(self.rng.normal(size=(256, 256))) / (frequency + 1 / 256) ** 1.3).real
                  for _ in range(4)]
        light, *colours = (plane / plane.std() for plane in planes)
        pixels = np.stack([128 + 45 * light + 12 * colour for colour in colours], axis=2)
        return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))

    def mosaic(self, size: tuple[int, int], enlarged: int) -> bytes:
        canvas, side = Image.new("RGB", size), 256 * enlarged
        for top in range(0, size[1], side):
            for left in range(0, size[0], side):
                tile = self.next()
                canvas.paste(tile.resize((side, side), Image.Resampling.LANCZOS), (left, top))
        buffer = io.BytesIO()
        canvas.save(buffer, "JPEG", quality=90)
        return buffer.getvalue()


def write_mosaics(photos: Photos, folder: Path, size: tuple[int, int], enlarged: int, count: int) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for path in paths:
        path.write_bytes(photos.mosaic(size, enlarged))
    return paths


def plain(source: Path, target: Path) -> None:
    image = Image.open(source).convert("RGB")
    scale = RECIPE.size / min(image.size)
    image.resize((round(image.width * scale), round(image.height * scale))).save(target, quality=RECIPE.quality)


def prepared(source: Path, target: Path) -> None:
    target.write_bytes(prepare_image(source.read_bytes(), RECIPE, ".jpg").data)


def one_core(what: str, sources: list[Path], folder: Path) -> None:
    """Best of some rounds, the two ways in turn, one thread."""
    import torch

    torch.set_num_threads(1)
    seconds = {plain: float("inf"), prepared: float("inf")}
    for _ in range(ROUNDS):
        for way, best in seconds.items():
            start = time.perf_counter()
            for source in sources:
                way(source, folder / "out.jpg")
            seconds[way] = min(best, time.perf_counter() - start)
    rates = {way.__name__: len(sources) / best for way, best in seconds.items()}
    size = sum(path.stat().st_size for path in sources) / len(sources)
    print(f"{what:17s} ({size / 1e3:3.0f} kB): plain {rates['plain']:5.0f} images/s a core, prepared "
          f"{rates['prepared']:5.0f}, ratio {rates['prepared'] / rates['plain']:.2f}", flush=True)


def all_cores(size: tuple[int, int], sources: Path, folder: Path) -> None:
    """Pace of the pool with 1, 2, 4 ... workers, once it runs."""
    members = list_members(sources)
    copies = 400_000_000 // (size[0] * size[1]) // len(members) + 1
    tasks = {f"{copy}/{number}": member for copy in range(copies) for number, member in enumerate(members)}
    cores = len(os.sched_getaffinity(0))
    first = None
    for workers in sorted({min(2**power, cores) for power in range(8)}):
        target = Path(tempfile.mkdtemp(dir=folder))
        pace = _pace(convert_all(tasks, target, target, RECIPE, False, workers, "converting"))
        first = first or pace
        print(f"{size[0]} x {size[1]} dense, {workers} workers: {pace:.0f} images/s, {pace / first / workers:.0%} of "
              f"{workers} times one", flush=True)


def whole_command(sources: Path, folder: Path) -> None:
    """Memory and time of the command as a user runs it, on a class folder."""
    for copy in range(20):
        (folder / "tree" / f"class{copy}").mkdir(parents=True)
        for path in sources.iterdir():
            os.link(path, folder / "tree" / f"class{copy}" / path.name)
    command = [sys.executable, "-m", "ibc.data.prepare", "folder", str(folder / "tree"), str(folder / "made")]
    start = time.perf_counter()
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    peak = 0
    while run.poll() is None:
        peak = max(peak, sum(map(_memory, _family(run.pid))))
        time.sleep(0.1)
    count = len(list((folder / "made" / "images").rglob("*.jpg")))
    print(f"whole command: {count} images in {time.perf_counter() - start:.1f} s, peak memory {peak / 1e6:.0f} MB "
          "(all processes, shared pages once)")


def _pace(batches: Iterator[list]) -> float:
    """Images a second from the first finished batch on: starting the processes is left out."""
    next(batches)
    start = time.perf_counter()
    count = sum(len(batch) for batch in batches)
    return count / (time.perf_counter() - start)


def _family(process: int) -> list[int]:
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []
    return [process, *(other for child in children for other in _family(int(child)))]


def _memory(process: int) -> int:
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def compare_pixels(photos: Photos, enlarged: int) -> None:
    """PSNR of the prepared image, before it is encoded, against full decoding and Pillow's bicubic filter."""
    recorded: list[np.ndarray] = []
    encode: Callable = image_module._encode_jpeg
    image_module._encode_jpeg = lambda pixels, quality: recorded.append(pixels) or b""
    print(f"{'dense' if enlarged == 1 else 'soft'}: dB against full decoding and the bicubic filter")
    try:
        for side in (375, 525, 589, 600, 768, 1024, 1178, 1200, 1536, 2048, 2356, 2560):
            found, other, size = [], [], (round(side * 4 / 3), side)
            for _ in range(4):
                data = photos.mosaic(size, enlarged)
                prepare_image(data, RECIPE)
                pixels = recorded.pop()
                full = Image.open(io.BytesIO(data))
                bicubic = full.resize(pixels.shape[1::-1], Image.Resampling.BICUBIC)
                found.append(psnr(pixels, bicubic))
                other.append(psnr(full.resize(bicubic.size, Image.Resampling.BILINEAR), bicubic))
            by = image_module._reduction(side, RECIPE.size)
            print(f"  {size[0]:4d} x {side:4d}, decoded at 1/{by} ({side / by / RECIPE.size:.2f} times the target): "
                  f"{np.mean(found):.1f} (bilinear instead of bicubic: {np.mean(other):.1f})", flush=True)
    finally:
        image_module._encode_jpeg = encode


def count_found(photos: Photos) -> None:
    """Damage 300 photographs in the middle, each way; count those refused, here and by Pillow's decoder alone."""
    rng = np.random.default_rng(0)
    originals = [data for member in photos.members if len(data := read_member(member)) > 9000][:300]
    length = 512
    ways: dict[str, Callable[[bytes, int], bytes]] = {
        "untouched": lambda data, place: data,
        "cut off": lambda data, place: data[:place],
        "512 bytes missing": lambda data, place: data[:place] + data[place + length :],
        "512 bytes of noise": lambda data, place: data[:place] + rng.bytes(length) + data[place + length :],
        "512 bytes of zeros": lambda data, place: data[:place] + bytes(length) + data[place + length :]}
    for what, damage in ways.items():
        found = {_refused: 0, _refused_by_pillow: 0}
        for data in originals:
            broken = damage(data, int(rng.integers(700, len(data) - length - 10)))
            for check in found:
                found[check] += check(broken)
        print(f"{what}: found in {found[_refused]} of {len(originals)}, by Pillow alone {found[_refused_by_pillow]}")


def _refused(data: bytes) -> bool:
    try:
        prepare_image(data, RECIPE)
    except Unusable:
        return True
    return False


def _refused_by_pillow(data: bytes) -> bool:
    try:
        Image.open(io.BytesIO(data)).load()
    except Exception:  # of a damaged file, Pillow's readers stumble over anything
        return True
    return False


def psnr(left: np.ndarray | Image.Image, right: np.ndarray | Image.Image) -> float:
    error = np.mean((np.asarray(left, np.float64) - np.asarray(right, np.float64)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


if __name__ == "__main__":
    main()
