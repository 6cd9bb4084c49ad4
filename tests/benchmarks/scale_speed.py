"""How training and extraction scale over the GPUs of one machine.

    python tests/benchmarks/scale_speed.py --images FOLDER_OR_ZIP                 (1 process, then one a GPU)
    python tests/benchmarks/scale_speed.py --images FOLDER_OR_ZIP --processes 1,2,4,8

Starts ``torchrun`` for each number of processes and prints, for each global batch: the update alone, the data path
alone (nvJPEG, every image decoded every epoch), training end to end, and two efficiencies. Weak: against one
process with the same images a process. Strong: against one process with the same global batch. Beside them the
all-reduce of all gradients by itself, which hides behind the trunk's backward pass as far as it can, and extraction.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
import torch.distributed as dist

from ibc.config import Config
from ibc.data.list_file import read_list
from ibc.data.loader import train_batches
from ibc.distributed import is_main, processes, rank, total, world_size
from ibc.extraction import encode_images
from ibc.network import IBC
from ibc.trainer import Trainer
from tests.benchmarks.train_speed import (
    CLASSES,
    changed_config,
    configuration,
    data_set,
    rate,
    seconds,
    training_seconds,
)

IMAGES = 40_000  # of the data set
EXTRACTED = 400_000  # of the extraction: ten times the data set


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, help="folder or zip of real 256 px JPEGs; repeated as needed")
    parser.add_argument("--batches", default="200,400,1600", help="global batches (default: %(default)s)")
    parser.add_argument("--processes", help="numbers of processes beside 1, one GPU each (default: all GPUs)")
    parser.add_argument("--images_timed", type=int, default=60_000,
                        help="images of the updates timed end to end, of each process (default: %(default)s)")
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
            subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "4"})
            results[count] = json.loads(out.read_text())
            show(count, results)
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1))


def measure(folder: Path, batches: list[int], images_timed: int, device: torch.device, out: str) -> None:
    """What one number of processes reaches; the main process writes it to ``out``."""
    torch._dynamo.config.automatic_dynamic_shapes = False  # each batch size is compiled for itself
    figures: dict[str, Any] = {"batches": {}, "all_reduce_ms": all_reduce_ms(device)}
    for batch in batches:
        updates = images_timed * world_size() // batch
        config = configuration(folder, batch, updates)
        figures["batches"][str(batch)] = of_batch(config, updates, device)
        dist_print(f"  {world_size()} processes, batch {batch}: {figures['batches'][str(batch)]}")
    figures["extraction"] = extraction(config, device)
    if is_main():
        Path(out).write_text(json.dumps(figures))


def of_batch(config: Config, updates: int, device: torch.device) -> dict[str, float]:
    local = config.batch_size // world_size()
    generator = torch.Generator().manual_seed(rank())
    images = torch.randint(0, 256, (local, 3, 227, 227), dtype=torch.uint8, generator=generator).to(device)
    labels = torch.randint(0, CLASSES, (local, 1), generator=generator).float()
    trainer = Trainer(config, device, pretrained=False, amp="bf16", compile_update=True)
    update = seconds(partial(trainer.step, images, labels), 5, 2, 10)
    everything = read_list("train.txt", config.data_folder)
    stream = partial(train_batches, changed_config(config, decoder="nvjpeg", max_iter=10**9), everything, 0, device,
                     rank=rank(), size=world_size())
    data = rate(stream(), updates // 2, config)
    elapsed = slowest(training_seconds(trainer, stream(), 10, updates, together))
    return {"update_ms": 1e3 * slowest(update), "data": 1 / slowest(1 / data),
            "train": updates * config.batch_size / elapsed}


def extraction(config: Config, device: torch.device) -> float:
    """Images a second, all processes together, from files to gathered codes."""
    model = IBC(config.model).to(device).eval()
    everything = read_list("train.txt", config.data_folder)
    for count in (IMAGES, EXTRACTED):  # the first chooses the convolution kernels
        images = everything.subset(np.arange(count) % len(everything))
        together()
        start = time.perf_counter()
        encode_images(model, config, images, device)
        elapsed = slowest(time.perf_counter() - start)
    return EXTRACTED / elapsed


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


def dist_print(text: str) -> None:
    if is_main():
        print(text, flush=True)


def show(count: int, results: dict[int, dict]) -> None:
    """The table of ``count`` processes."""
    one, here = results[1]["batches"], results[count]
    print(f"{count} process{'es' if count > 1 else ''}: extraction {here['extraction']:,.0f} images/s"
          + (f", all-reduce of 115 M float32 alone {here['all_reduce_ms']:.2f} ms" if count > 1 else ""))
    print("  global batch   update ms   data images/s   training images/s   weak: update, all   strong: update, all")
    for batch, figures in here["batches"].items():
        line = f"  {batch:>12}{figures['update_ms']:>12.2f}{figures['data']:>16,.0f}{figures['train']:>20,.0f}"
        if count > 1:
            same_share, same_batch = one[str(int(batch) // count)], one[batch]
            line += (f"{same_share['update_ms'] / figures['update_ms']:>13.0%}"
                     f"{figures['train'] / count / same_share['train']:>6.0%}"
                     f"{same_batch['update_ms'] / count / figures['update_ms']:>14.0%}"
                     f"{figures['train'] / count / same_batch['train']:>6.0%}")
        print(line, flush=True)


if __name__ == "__main__":
    main()
