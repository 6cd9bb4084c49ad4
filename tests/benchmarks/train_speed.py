"""How fast this machine trains and extracts, against its own floor and against a plain loop.

    python tests/benchmarks/train_speed.py --images FOLDER_OR_ZIP          (GPU: batch 200; CPU: batch 32)

One run prints two measured ceilings (matrix product, device copy) and the floor they give; the
update alone in each variant; the data path alone in each variant; training and extraction end to
end; and a plain loop (float32, two passes, Pillow) in the same run.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ibc.device import keep_freed_memory, tune_process

tune_process()  # before torch, as in the commands: OpenMP and CUDA read their settings when they are loaded

# ruff: noqa: E402
import numpy as np
import torch

from ibc.accelerate.encoder import encoder
from ibc.accelerate.trunk import for_inference
from ibc.config import Config, load_config
from ibc.data.batch import Batch
from ibc.data.gpu.file_batch import FileBatchReader
from ibc.data.gpu.file_readers import FileReaders
from ibc.data.gpu.nvjpeg import BatchDecoder
from ibc.data.list_file import ImageList, read_list, write_list
from ibc.data.loader import MOST_READERS, encoding_batches, training_batches
from ibc.extraction import encode_batches
from ibc.network import IBC
from ibc.trainer import Trainer
from tests.plain_twin import PlainTrainer, plain_codes, plain_loader

ROOT = Path(__file__).resolve().parents[2]
CLASSES = 100
FLOP_PER_IMAGE = 4.7e9  # multiply-adds x 2, forward and backward, both branches, 227 px, K = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, help="folder or zip of real 256 px JPEGs; repeated as needed")
    parser.add_argument("--batch", type=int, help="images an update (default: 200 on a GPU, 32 on a CPU)")
    parser.add_argument("--updates", type=int, help="updates timed end to end (default: 300 on a GPU, 10 on a CPU)")
    parser.add_argument("--paths", default="turbo,nvjpeg,device,host",
                        help="data paths to time on a GPU (default: %(default)s)")
    parser.add_argument("--skip", default="", help="parts to leave out: ceilings,updates,data,train,extract,plain")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    keep_freed_memory(device)  # as the commands do
    gpu = device.type == "cuda"
    batch, updates = args.batch or (200 if gpu else 32), args.updates or (300 if gpu else 10)
    skip = set(args.skip.split(","))
    options = data_options(device, args.paths.split(","))
    name = torch.cuda.get_device_name() if gpu else "CPU"
    print(f"machine: {name}, {len(os.sched_getaffinity(0))} cores, torch {torch.__version__}, batch {batch}")
    with tempfile.TemporaryDirectory() as folder:
        config = data_set(Path(folder), args.images, 20_000 if gpu else 2000, batch, updates)
        if "ceilings" not in skip and gpu:
            ceilings(device, batch)
        if "updates" not in skip:
            update_variants(config, device, batch)
        if "extract" not in skip:  # before gigabytes are kept in main memory, whose map starting a worker copies
            extraction(config, device)
        if "data" not in skip:
            data_variants(config, device, updates, options)
        if "train" not in skip:
            training(config, device, updates, options)
        if "plain" not in skip:
            plain_loop(config, device, updates)


def data_set(folder: Path, source: str, count: int, batch: int, updates: int) -> Config:
    """A list of ``count`` images over the real files of ``source``, and the paper's configuration on it."""
    files = sorted(Path(source).rglob("*.jpg")) if os.path.isdir(source) else unzip(source, folder / "images")
    names = [str(files[i % len(files)]) for i in range(count)]
    write_list(folder / "train.txt", names, [[i % CLASSES] for i in range(count)])
    return configuration(folder, batch, updates)


def configuration(folder: Path, batch: int, updates: int) -> Config:
    """The paper's settings on the list that ``data_set`` wrote."""
    return load_config(ROOT / "configs/imagenet100.yaml", [
        f"data_folder={folder}/", "test_list_file=train.txt", f"batch_size={batch}", "model.pretrained=none",
        f"max_iter={updates}", f"num_workers={min(16, len(os.sched_getaffinity(0)))}"])


def unzip(source: str, folder: Path) -> list[Path]:
    with zipfile.ZipFile(source) as archive:
        archive.extractall(folder)
    return sorted(folder.rglob("*.jpg"))


def seconds(call: Callable[[], object], repeats: int, warm_up: int, in_a_row: int = 1) -> float:
    """Median seconds of a call, the device's work included; ``in_a_row`` calls are waited for together."""
    times = []
    for number in range(warm_up + repeats):
        synchronise()
        start = time.perf_counter()
        for _ in range(in_a_row):
            call()
        synchronise()
        if number >= warm_up:
            times.append((time.perf_counter() - start) / in_a_row)
    return statistics.median(times)


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def row(what: str, value: float, unit: str, note: str = "") -> None:
    print(f"  {what:<52}{value:>10,.2f} {unit:<9}{note}", flush=True)


def ceilings(device: torch.device, batch: int) -> None:
    print("ceilings, measured")
    a, b = (torch.randn(8192, 8192, device=device, dtype=torch.bfloat16) for _ in range(2))
    flops = 2 * 8192**3 / seconds(lambda: a @ b, 10, 3)
    copied = copy_rate(device)
    row("bf16 matrix product", flops / 1e12, "TFLOP/s")
    row("device copy, bytes read and written", copied / 1e12, "TB/s")
    parameters = 115e6
    arithmetic, traffic = batch * FLOP_PER_IMAGE / flops, 28 * parameters / copied
    row("floor of an update: arithmetic + Adam's 28 bytes/weight", 1e3 * (arithmetic + traffic), "ms")


def copy_rate(device: torch.device) -> float:
    """Bytes read and written a second by a large copy on the device."""
    x = torch.randn(2**28, device=device)
    y = torch.empty_like(x)
    return 2 * x.nbytes / seconds(lambda: y.copy_(x), 10, 3)


def update_variants(config: Config, device: torch.device, batch: int) -> None:
    print("update alone, ten in a row" if device.type == "cuda" else "update alone")
    images, labels = random_batch(batch, device)
    gpu = device.type == "cuda"
    repeats, warm_up, row_of = (5, 2, 10) if gpu else (5, 1, 1)  # training does not wait for the GPU in between
    floats = images.float() / 255
    base = 1e3 * seconds(partial(PlainTrainer(config, str(device)).step, floats, labels), repeats, warm_up, row_of)
    row("plain: two passes, float32, unfused Adam", base, "ms")
    variants: list[tuple[str, dict]] = [("single pass, float32", {})]
    if gpu:
        variants += [("bf16", {"amp": "bf16"}), ("float32, compiled and captured", {"compile_update": True}),
                     ("bf16, compiled and captured", {"amp": "bf16", "compile_update": True})]
    for what, options in variants:
        trainer = Trainer(config, device, pretrained=False, **options)
        if gpu:
            torch.cuda.reset_peak_memory_stats()
        elapsed = 1e3 * seconds(partial(trainer.step, images, labels), repeats, warm_up, row_of)
        note = f"{base / elapsed:.2f} x plain"
        if gpu:
            alone = 1e3 * seconds(partial(trainer.step, images, labels), 30, 0)
            note += f", {alone:.2f} ms one by one, {torch.cuda.max_memory_allocated() / 1e9:.1f} GB"
        row(what, elapsed, "ms", note)
        del trainer


def random_batch(count: int, device: torch.device, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """(count, 3, 227, 227) uint8 on the device, and (count, 1) labels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 3, 227, 227), dtype=torch.uint8, generator=generator).to(device)
    return images, torch.randint(0, CLASSES, (count, 1), generator=generator).float()


def data_variants(config: Config, device: torch.device, updates: int, paths: list[tuple[str, dict]]) -> None:
    print("data path alone: read, decode, crop, flip, on the device")
    images = read_list("train.txt", config.data_folder)
    updates = max(updates, 50)  # more than what lies ready when the clock starts
    for workers in sorted({min(4, config.num_workers), config.num_workers}):
        loader = plain_loader(images, config.crop_size, config.batch_size, workers, train=True)
        count = min(updates, len(loader) - 5)
        row(f"plain: Pillow, float tensors, {workers} workers", rate(iter(loader), count, config), "images/s")
    if device.type == "cuda":
        stages(images, config, device, updates)
    for what, options in paths:
        changed = changed_config(config, **options, max_iter=10**9)
        batches = training_batches(changed, images, 0, device)
        epoch = len(images) // config.batch_size if options.get("cache", "off") != "off" else 0
        row(f"{what}", rate(batches, updates, config, skip=max(epoch, 5)), "images/s")


def stages(images: ImageList, config: Config, device: torch.device, count: int) -> None:
    """The two stages before a GPU's batches by themselves: files to memory, and from memory to pixels."""
    size = config.batch_size
    order = [list(range(first, first + size)) for first in range(0, len(images) - size, size)]
    workers = min(config.num_workers, MOST_READERS)
    row(f"files read by {workers} processes", reading_rate(images.files, list(islice(cycle(order), count)), workers),
        "images/s")
    contents = FileBatchReader(images.files).read(order[0], 1 << 30)
    lengths = np.diff(contents.starts)

    def decode_some(decoder: BatchDecoder) -> None:
        with torch.cuda.stream(torch.cuda.Stream(device)):
            for _ in range(20):
                decoder.decode(contents.data, contents.starts[:-1], lengths, contents.sizes)

    for threads in (1, 2, 3):
        decoders = [BatchDecoder(device) for _ in range(threads)]
        with ThreadPoolExecutor(threads) as pool:
            elapsed = seconds(lambda: list(pool.map(decode_some, decoders)), 5, 1)  # noqa: B023  (called at once)
        row(f"nvJPEG from memory, {threads} threads", 20 * threads * size / elapsed, "images/s")


def reading_rate(files: Sequence[str], order: list[list[int]], workers: int) -> float:
    """Images a second that reading processes hand over, their start not included."""
    slots = 2 * workers  # nobody looks at the contents
    with (FileReaders(files, workers, slots=slots, batch_size=len(order[0])) as readers,
          ThreadPoolExecutor(workers) as threads):
        start = time.perf_counter()
        read = list(threads.map(readers.read, cycle(range(slots)), order))
        elapsed = time.perf_counter() - start
    count = sum(len(contents.indices) for contents in read)
    assert count == sum(map(len, order))
    return count / elapsed


def data_options(device: torch.device, wanted: list[str]) -> list[tuple[str, dict]]:
    """(name, config keys) of the data paths to time."""
    paths = {"turbo": ("libjpeg-turbo, uint8", {"decoder": "turbo"})}
    if device.type == "cuda":
        paths |= {"nvjpeg": ("nvJPEG", {"decoder": "nvjpeg"}),
                  "device": ("decoded cache on the device", {"cache": "device"}),
                  "host": ("decoded cache in main memory", {"cache": "host"})}
    return [paths[name] for name in wanted if name in paths]


def changed_config(config: Config, **changes) -> Config:
    import copy

    changed = copy.deepcopy(config)
    for key, value in changes.items():
        setattr(changed, key, value)
    return changed


def rate(batches: Iterator, count: int, config: Config, skip: int = 5) -> float:
    """Images a second of a stream of batches, after ``skip`` of them."""
    for _ in range(skip):
        next(batches)
    synchronise()
    start = time.perf_counter()
    done = 0
    for batch in batches:
        images = batch.images if isinstance(batch, Batch) else batch[0]
        if torch.cuda.is_available():
            images.to("cuda", non_blocking=True)
        done += 1
        if done == max(count, 2):
            break
    synchronise()
    return done * config.batch_size / (time.perf_counter() - start)


def training(config: Config, device: torch.device, updates: int, paths: list[tuple[str, dict]]) -> None:
    print("training end to end")
    images = read_list("train.txt", config.data_folder)
    gpu = device.type == "cuda"
    trainer = Trainer(config, device, pretrained=False, **({"amp": "bf16", "compile_update": True} if gpu else {}))
    for what, options in paths:
        batches = training_batches(changed_config(config, **options, max_iter=10**9), images, 0, device)
        if gpu:
            warm_up = len(images) // config.batch_size  # fills the cache, and the memory that torch keeps
            elapsed = training_seconds(trainer, batches, warm_up, updates)
            row(f"{what}, bf16 captured", updates * config.batch_size / elapsed, "images/s",
                f"{device_memory():.1f} GB of the GPU in use")
        else:
            step = partial(trainer.step, *random_batch(config.batch_size, device))
            in_turn = [(seconds(step, updates, 1), training_seconds(trainer, batches, 1, updates) / updates)
                       for _ in range(3)]  # machines are faster and slower from minute to minute
            alone, elapsed = (statistics.median(values) for values in zip(*in_turn, strict=True))
            row(what, config.batch_size / elapsed, "images/s",
                f"{alone / elapsed:.0%} of the update alone, medians of 3")
        del batches


def device_memory() -> float:
    """GB in use on the GPU, the libraries' share included, what torch could give back not."""
    gc.collect()  # earlier trainers hold themselves
    torch.cuda.empty_cache()
    free, whole = torch.cuda.mem_get_info()
    return (whole - free) / 1e9


def training_seconds(trainer: Trainer, batches: Iterator[Batch], warm_up: int, updates: int,
                     ready: Callable[[], None] = lambda: None) -> float:
    """Seconds of ``updates`` updates with their data, after ``warm_up`` of them and ``ready()``."""
    made = trainer.updates(batches)
    for number in range(warm_up + updates):
        if number == warm_up:
            synchronise()
            ready()
            start = time.perf_counter()
        _, values = next(made)
    assert torch.isfinite(values["loss_total"])  # waits for the device
    return time.perf_counter() - start


def extraction(config: Config, device: torch.device) -> None:
    print("extraction end to end")
    images = read_list("train.txt", config.data_folder)
    model = IBC(config.model).to(device).eval()
    encoded_rate(model, config, images.subset(range(3 * config.batch_size)), device)  # loads libraries, makes decoders
    if device.type == "cpu":
        x = torch.randn(config.batch_size, 3, 227, 227)
        y = x.contiguous(memory_format=torch.channels_last)
        encode = torch.inference_mode()(for_inference(model).encode)
        some = images.subset(range(2000))
        in_turn = [(config.batch_size / seconds(lambda: plain_codes(model, x), 10, 3),
                    config.batch_size / seconds(lambda: encode(y), 10, 3), encoded_rate(model, config, some, device))
                   for _ in range(3)]  # machines are faster and slower from minute to minute
        both, one, whole = (statistics.median(values) for values in zip(*in_turn, strict=True))
        row("plain: both branches, encoder alone", both, "images/s")
        row("hash branch, encoder alone", one, "images/s", f"{one / both:.2f} x plain")
        row("whole path, start of the workers included", whole, "images/s",
            f"{whole / one:.0%} of the encoder alone, medians of 3")
        return
    x = torch.randint(0, 256, (config.batch_size, 3, 227, 227), dtype=torch.uint8, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    with encoder(model, device) as encode:
        row("encoder alone", config.batch_size / seconds(lambda: encode(x), 10, 3, in_a_row=10), "images/s")
    images = images.subset(list(range(len(images))) * 5)
    in_turn = [(rate(encoding_batches(config, images, device), len(images) // config.batch_size - 20, config),
                decoded_rate(config, images, device), encoded_rate(model, config, images, device))
               for _ in range(7)]  # what decoders give varies from second to second
    running, started, whole = (statistics.median(values) for values in zip(*in_turn, strict=True))
    row("data path alone, once it runs", running, "images/s")
    row("data path alone, start of the workers included", started, "images/s")
    row("whole path, start of the workers included", whole, "images/s",
        f"{whole / running:.0%} and {whole / started:.0%} of these, medians of 7")


def decoded_rate(config: Config, images: ImageList, device: torch.device) -> float:
    """Images a second, from files to cut pixels on the device, start and end of the workers included."""
    start = time.perf_counter()
    for batch in encoding_batches(config, images, device):
        del batch  # its memory serves the next one
    synchronise()
    return len(images) / (time.perf_counter() - start)


def encoded_rate(model: IBC, config: Config, images: ImageList, device: torch.device) -> float:
    """Images a second, from files to codes in main memory, start and end of the workers included."""
    start = time.perf_counter()
    encode_batches(model, encoding_batches(config, images, device), len(images), device)
    return len(images) / (time.perf_counter() - start)


def plain_loop(config: Config, device: torch.device, updates: int) -> None:
    print("plain loop end to end: float32, two passes, Pillow")
    images = read_list("train.txt", config.data_folder)
    for workers in sorted({min(4, config.num_workers), config.num_workers}):
        trainer = PlainTrainer(config, str(device))
        batches = iter(plain_loader(images, config.crop_size, config.batch_size, workers, train=True))
        count = max(updates // 6, 2)
        for number in range(2 + count):
            x, labels = next(batches)
            values = trainer.step(x.to(device, non_blocking=True), labels)
            if number == 1:
                synchronise()
                start = time.perf_counter()
        assert torch.isfinite(values["loss_total"].detach())
        row(f"{workers} workers", count * config.batch_size / (time.perf_counter() - start), "images/s")
        del trainer, batches


if __name__ == "__main__":
    main()
