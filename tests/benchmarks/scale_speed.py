"""How training and extraction scale over the GPUs of one machine.

    python tests/benchmarks/scale_speed.py --images FOLDER_OR_ZIP                 (1 process, then one a GPU)
    python tests/benchmarks/scale_speed.py --images FOLDER_OR_ZIP --processes 1,2,4,8

Starts ``torchrun`` for each number of processes and prints, for each global batch: the update alone, and how much
longer it is than one process's with the same images a process (communication that does not hide behind the trunk's
passes); the data path alone (nvJPEG, every image decoded every epoch); training end to end, with that path and with
decoded images kept on the device. Then two efficiencies. Weak: against one process with the same images a process.
Strong: against one process with the same global batch. Beside them the all-reduce of all gradients by itself, and
extraction. What has to do with files is the median of three streams, each with reading processes and decoding threads
of its own: on a shared machine a core may be slow for a while, and with it who is on it. ``--json`` has all three.
Ctrl-C shows what has been measured (``timeout -s INT SECONDS python ...`` where time is short).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ibc.device import tune_process

tune_process()  # before torch, as in the commands

# ruff: noqa: E402
import numpy as np
import torch
import torch.distributed as dist

from ibc.config import Config
from ibc.data.batch import Batch
from ibc.data.list_file import ImageList, read_list
from ibc.data.loader import training_batches
from ibc.extraction import encode_images
from ibc.files import atomic_write
from ibc.network import IBC
from ibc.processes import is_main, processes, rank, total, world_size
from ibc.trainer import Trainer
from tests.benchmarks.train_speed import (
    changed_config,
    configuration,
    data_set,
    random_batch,
    rate,
    seconds,
    training_seconds,
)

IMAGES = 40_000           # of the data set
KEPT = 4_000              # of them where decoded images are kept: after a dozen epochs every process has nearly all
EXTRACTED = 200_000       # of the extraction: five times the data set
EXTRACTED_TOGETHER = 200  # of them in a batch, of every process
STREAMS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, help="folder or zip of real 256 px JPEGs; repeated as needed")
    parser.add_argument("--batches", default="200,400,1600", help="global batches (default: %(default)s)")
    parser.add_argument("--processes", help="numbers of processes beside 1, one GPU each (default: all GPUs)")
    parser.add_argument("--images_timed", type=int, default=40_000,
                        help="images of the updates timed in each stream, of each process (default: %(default)s)")
    parser.add_argument("--json", help="also write the figures there")
    parser.add_argument("--worker", help=argparse.SUPPRESS)  # the data set's folder, in a process that torchrun started
    args = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("no usable GPU")
    batches = [int(batch) for batch in args.batches.split(",")]
    if args.worker:
        with processes(torch.device("cuda")) as device:
            measure(Path(args.worker), batches, args.images_timed, device, args.json)
        return
    gpus = torch.cuda.device_count()
    wished = [int(count) for count in args.processes.split(",")] if args.processes else [gpus]
    counts = sorted({1, *wished})  # one process is what the others are compared with
    print(f"machine: {gpus} x {torch.cuda.get_device_name()}, {len(os.sched_getaffinity(0))} cores, "
          f"torch {torch.__version__}, NCCL {'.'.join(map(str, torch.cuda.nccl.version()))}", flush=True)
    results: dict[int, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        data_set(Path(folder), args.images, IMAGES, batches[0], 1)
        for count in counts:
            # One process also takes each other run's images a process, to compare with.
            wanted = sorted({*batches, *(b // n for b in batches for n in counts)}) if count == 1 else batches
            out = Path(folder) / f"{count}.json"
            command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count),
                       __file__, "--images", "-", "--worker", folder, "--json", str(out), "--images_timed",
                       str(args.images_timed), "--batches", ",".join(map(str, wanted))]
            ended = False
            with suppress(KeyboardInterrupt):
                subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "4"})
                ended = True
            if out.exists():
                results[count] = json.loads(out.read_text())
                show(count, results)
            if not ended:
                break
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1))


def measure(folder: Path, batches: list[int], images_timed: int, device: torch.device, out: str) -> None:
    """What one number of processes reaches; the main process writes it to ``out``."""
    torch._dynamo.config.automatic_dynamic_shapes = False  # each batch size is compiled for itself
    figures: dict[str, Any] = {"batches": {}, "all_reduce_ms": all_reduce_ms(device),
                               "extraction": extraction(configuration(folder, EXTRACTED_TOGETHER, 1), device)}
    for batch in batches:
        updates = images_timed * world_size() // batch
        figures["batches"][str(batch)] = of_batch(configuration(folder, batch, updates), updates, device)
        if is_main():
            with atomic_write(out, "w") as handle:
                json.dump(figures, handle)


def of_batch(config: Config, updates: int, device: torch.device) -> dict[str, Any]:
    gc.collect()  # the trainer of the batch before holds itself
    local = config.batch_size // world_size()
    images, labels = random_batch(local, device, rank())
    trainer = Trainer(config, device, pretrained=False, amp="bf16", compile_update=True)
    together()
    update = slowest(seconds(partial(next, trainer.updates(repeat(Batch(images, labels, labels, [], None)))), 5, 2, 10))
    everything = read_list("train.txt", config.data_folder)
    few = everything.subset(np.arange(KEPT))
    stream = partial(training_batches, start=0, device=device, rank=rank(), size=world_size())
    decoded = changed_config(config, decoder="nvjpeg", max_iter=10**9)
    kept = changed_config(decoded, cache="device")

    def data() -> float:
        return 1 / slowest(1 / rate(stream(decoded, everything), updates // 2, config))

    def trained(config: Config, images: ImageList, warm_up: int) -> float:
        batches: Any = stream(config, images)
        elapsed = slowest(training_seconds(trainer, batches, warm_up, updates, together))
        batches.close()
        return updates * config.batch_size / elapsed

    return {"update_ms": 1e3 * update, "data": several(data),
            "train": several(lambda: trained(decoded, everything, 20)),
            "cached": several(lambda: trained(kept, few, 12 * KEPT // config.batch_size))}


def several(measured: Callable[[], float]) -> list[float]:
    """Images a second, all processes together, at the pace of the slowest: of every stream."""
    return [measured() for _ in range(STREAMS)]


def extraction(config: Config, device: torch.device) -> list[float]:
    """Images a second, all processes together, from files to gathered codes."""
    model = IBC(config.model).to(device).eval()
    everything = read_list("train.txt", config.data_folder)

    def extracted(count: int) -> float:
        images = everything.subset(np.arange(count) % len(everything))
        together()
        start = time.perf_counter()
        encode_images(model, config, images, device)
        return count / slowest(time.perf_counter() - start)

    extracted(IMAGES)  # makes decoders, loads kernels
    return several(lambda: extracted(EXTRACTED))


def all_reduce_ms(device: torch.device) -> float:
    """Milliseconds of averaging as many float32 numbers as the network has parameters."""
    if world_size() == 1:
        return 0.0
    gradients = torch.zeros(115_000_000, device=device)
    return 1e3 * slowest(seconds(lambda: dist.all_reduce(gradients), 10, 5))


def slowest(value: float) -> float:
    """The largest ``value`` of all processes."""
    if world_size() == 1:
        return value
    tensor = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(tensor, dist.ReduceOp.MAX)
    return float(tensor)


def together() -> None:
    total(torch.zeros(1))


def show(count: int, results: dict[int, dict]) -> None:
    """The table of ``count`` processes."""
    one, here = results[1], results[count]
    print(f"{count} process{'es' if count > 1 else ''}: extraction {median(here['extraction']):,.0f} images/s"
          + (f" ({median(here['extraction']) / count / median(one['extraction']):.0%} a process of one's), all-reduce "
             f"of 115 M float32 alone {here['all_reduce_ms']:.2f} ms" if count > 1 else ""))
    titles = ["batch", "update ms", "data images/s", "training, decoded", "kept"]
    if count > 1:
        titles += ["ms longer", "weak: update", "decoded", "kept", "strong: update", "decoded", "kept"]
    print("  " + "  ".join(f"{title:>7}" for title in titles))
    for batch, figures in here["batches"].items():
        cells = [batch, f"{figures['update_ms']:.2f}",
                 *(f"{median(figures[key]):,.0f}" for key in ("data", "train", "cached"))]
        if count > 1:
            same_share, same_batch = (one["batches"][of] for of in (str(int(batch) // count), batch))
            cells.append(f"{figures['update_ms'] - same_share['update_ms']:.2f}")
            for other, work in ((same_share, 1), (same_batch, 1 / count)):
                cells.append(f"{work * other['update_ms'] / figures['update_ms']:.0%}")
                cells += [f"{median(figures[key]) / count / median(other[key]):.0%}" for key in ("train", "cached")]
        aligned = (f"{cell:>{max(len(title), 7)}}" for cell, title in zip(cells, titles, strict=True))
        print("  " + "  ".join(aligned), flush=True)


if __name__ == "__main__":
    main()
