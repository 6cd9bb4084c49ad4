"""How fast a network is dissected, against the official design in the same run; and a problem of Broden's size.

    python tests/benchmarks/dissect_speed.py --data camvid-broden.zip                      (CPU, with the plain twin)
    python tests/benchmarks/dissect_speed.py --data camvid-broden.zip --broden_sized --device cuda

The plain twin keeps 64-bit maps on disk and goes image by image, unit by unit (``plain_dissection``). Both must find
the same counts. ``--broden_sized`` makes 63,305 images with four planes and 1,200 labels out of the real ones, on the
fly (``repeated_broden``). It compares the GPU's counts with the CPU's before timing. It also times reading alone and
encoding alone, which bound the speed of the whole.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ibc.device import tune_process

tune_process()  # before torch, as in the commands

# ruff: noqa: E402

import numpy as np
import torch

from ibc.config import ModelConfig
from ibc.data.broden.dataset import Broden, load_broden
from ibc.dissection.counting.bilinear import strict_limit
from ibc.dissection.counting.counts import Counts, FiringMaps
from ibc.dissection.counting.cpu_counts import CpuCounter, CpuLabels
from ibc.dissection.counting.torch_counts import TorchCounter, TorchLabels
from ibc.dissection.encoders import IBCEncoder
from ibc.dissection.kept_maps import BatchMaps
from ibc.dissection.page.layer_page import write_page
from ibc.dissection.pipeline import dissect_layers
from ibc.dissection.reading import BrodenReader
from ibc.dissection.responses import Responder, full_precision
from ibc.dissection.settings import DissectionSettings
from ibc.dissection.tally import Tally
from ibc.dissection.visit_plan import plan_visits
from ibc.network import IBC
from tests.benchmarks import plain_dissection as plain
from tests.benchmarks.repeated_broden import RepeatedBroden
from tests.official_weights import set_official_weights

ROOT = Path(__file__).resolve().parents[2]
BRODEN_IMAGES = 63_305
ROUNDS = 3
# Run from a small process: a child's peak counts what its parent held when it was forked.
MEASURE = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr);"
           "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="zip or folder in Broden format")
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--broden_sized", action="store_true", help="63,305 images, four planes, 1,200 labels")
    parser.add_argument("--images", type=int, default=BRODEN_IMAGES, help="images of the Broden-sized problem")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = unpacked(Path(args.data), Path(folder))
        broden = load_broden(data)
        name = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
        print(f"machine: {name}, {len(os.sched_getaffinity(0))} cores, torch {torch.__version__}")
        model = IBC(ModelConfig(args.units, 100, 0.0, pretrained="none"))
        set_official_weights(model)
        if args.broden_sized:
            broden_sized(model.eval(), RepeatedBroden(broden, args.images), args.device, args.workers)
        else:
            against_plain(model.eval(), broden, args.device, args.workers, Path(folder))


def unpacked(data: Path, folder: Path) -> Path:
    """The Broden-format folder of ``data``; a zip is unpacked below ``folder``."""
    if data.is_dir():
        return data
    with zipfile.ZipFile(data) as archive:
        archive.extractall(folder)
    return next(folder.rglob("index.csv")).parent


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that ``job()`` takes, and what it returns."""
    begin = time.perf_counter()
    result = job()
    return time.perf_counter() - begin, result


# CPU: the official setting, against the plain twin -------------------------------------------------------------------

def against_plain(model: IBC, broden: Broden, device: str, workers: int, folder: Path) -> None:
    """The whole command, then stage by stage in turn with the plain twin."""
    whole_command(model, broden, device, workers, folder)
    stages: dict[str, tuple[list[float], list[float]]] = {}  # seconds of ours, of the twin
    for _ in range(ROUNDS):
        own, tally = our_stages(model, broden, device, workers, folder)
        twin, thresholds, counts = plain_stages(model, broden, tally.thresholds, folder)
        for name in own | twin:
            for found, kept in zip((own, twin), stages.setdefault(name, ([], [])), strict=True):
                kept += [found[name]] if name in found else []
    np.testing.assert_allclose(tally.thresholds, thresholds, rtol=1e-4, atol=1e-6)
    for mine, others in zip((tally.both, tally.activation, tally.truth), counts, strict=True):
        assert (mine != others).mean() < 0.01, "other counts"  # a last bit of a convolution may move a pixel
    pairs = (tally.alignment.filter_on.sum() if tally.alignment else 0) / len(broden)
    print(f"\n{len(broden)} images, {len(tally.units)} units, {pairs:.1f} of them above their threshold in an image; "
          f"seconds, median of {ROUNDS} (range), and images/s")
    print(f"  {'':<26}{'ours':>32}{'plain twin':>32}   ratio")
    for name, (own, twin) in stages.items():
        ratio = f"{statistics.median(twin) / statistics.median(own):6.1f}" if own and twin else ""
        print(f"  {name:<26}{cell(own, len(broden)):>32}{cell(twin, len(broden)):>32}  {ratio}")
    print("  (our features include the codes and the quantile, the twin's neither)")


def cell(seconds: list[float], images: int) -> str:
    """Median, range and rate, for the table."""
    if not seconds:
        return ""
    middle = statistics.median(seconds)
    return f"{middle:.2f} ({min(seconds):.2f} to {max(seconds):.2f}) {images / middle:7.0f}/s"


def our_stages(model: IBC, broden: Broden, device: str, workers: int,
               folder: Path) -> tuple[dict[str, float], Tally]:
    """Seconds of each stage, and the tally."""
    seconds = {}
    for null in (20, 0):
        settings = DissectionSettings(device=device, workers=workers, null=null)
        run = dissect_layers(IBCEncoder(model), broden, settings, key="timed")
        seconds["features"] = run.seconds["features"]
        seconds["tally" if null == 0 else f"tally with {null} pairings"] = run.seconds["tally"]
    seconds["page"], _ = timed(lambda: write_page(folder / "page", run.tallies[0], broden, broden.records[0].size,
                                                  title="", score_threshold=0.01, facts=[]))
    return seconds, run.tallies[0]


def plain_stages(model: IBC, broden: Broden, limits: np.ndarray, folder: Path) -> tuple[dict[str, float], Any, Any]:
    """Seconds of each stage of the twin, its thresholds and its counts at ``limits``, our thresholds."""
    model.to(memory_format=torch.contiguous_format)
    seconds = {}
    seconds["features"], (maps, maxima) = timed(lambda: plain.extract(model, broden, folder))
    seconds["quantile"], thresholds = timed(lambda: plain.thresholds_of(maps, 0.005))
    seconds["tally"], counts = timed(lambda: plain.tally(maps, maxima, limits, broden))
    seconds["page"], _ = timed(lambda: plain.page(maps, maxima, limits, broden, folder))
    return seconds, thresholds, counts


def whole_command(model: IBC, broden: Broden, device: str, workers: int, folder: Path) -> None:
    """The command in a process of its own, twice: the second time its loops are already compiled."""
    checkpoint = folder / "model.pt"
    torch.save({"state_dict": model.state_dict()}, checkpoint)
    for attempt in ("first", "second"):
        command = [sys.executable, str(ROOT / "netdissect_lite" / "main.py"), "--checkpoint", str(checkpoint),
                   "--broden", str(broden.folder), "--output", str(folder / attempt), "--device", device,
                   "--workers", str(workers), "--json", str(folder / "report.json")]
        seconds, done = timed(lambda command=command: subprocess.run(
            [sys.executable, "-c", MEASURE, *command], check=True, capture_output=True, text=True))
        stages = json.loads((folder / "report.json").read_text())["metrics"]["seconds"]
        print(f"whole command, {attempt} time: {seconds:.1f} s, peak {int(done.stdout) / 1e6:.2f} GB; " +
              ", ".join(f"{name} {value:.2f} s" for name, value in stages.items()))


# A problem of Broden's size ------------------------------------------------------------------------------------------

def broden_sized(model: IBC, broden: RepeatedBroden, device_name: str, workers: int) -> None:
    """Check the counts, time reading and encoding alone, then whole dissections with and without chance pairings."""
    device = torch.device(device_name)
    encoder = IBCEncoder(model)
    encoder.prepare(device)
    plan = plan_visits(broden, 128, 21, 1)
    reader = BrodenReader(broden, plan, broden.records[0].size, workers, workers,
                    "turbo" if device.type == "cuda" else "pillow")
    responder = Responder(encoder, reader, "official", None, device)
    with torch.inference_mode(), full_precision():
        check_counts(responder)
        bounds(responder)
    for null in (0, 20):
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        Path("/proc/self/clear_refs").write_text("5")  # the peak of this run alone, not of the checks before it
        settings = DissectionSettings(device=device_name, workers=workers, null=null)
        seconds, run = timed(lambda settings=settings: dissect_layers(encoder, broden, settings, key="timed"))
        memory = f", GPU memory {torch.cuda.max_memory_allocated() / 1e9:.1f} GB" if device.type == "cuda" else ""
        parts = ", ".join(f"{name} {value:.1f}" for name, value in run.seconds.items())
        print(f"{len(broden):,} images, {null} chance pairings: {seconds:.1f} s ({parts}), {run.encoded_again} encoded "
              f"again{memory}, process {peak_gigabytes():.2f} GB", flush=True)


def peak_gigabytes() -> float:
    """Most memory that this process has used, since the last reset."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e9


def check_counts(responder: Responder) -> None:
    """Counts of both counters from the same maps, over two groups and all pairings: equal to the last pixel."""
    broden, plan, device = responder.reader.broden, responder.reader.plan, responder.device
    primary = torch.from_numpy(broden.primary).to(device)
    counters: list[Any] = []
    groups = [0, 1]
    for number, group in zip(groups, responder.reader.label_groups(groups), strict=True):
        (_, responses), = responder.batches(list(plan.groups[number])[:1])
        maps = responses[0].maps
        if not counters:
            thresholds = torch.quantile(maps.permute(1, 0, 2, 3).flatten(1), 0.995, dim=1).double().cpu().numpy()
            limits = torch.from_numpy(strict_limit(thresholds)).to(device)
            start = [Counts.empty(maps.shape[1], 21, broden.label_count, len(broden.categories)) for _ in range(2)]
            counters = [CpuCounter(thresholds, broden.primary, start[0]), TorchCounter(thresholds, start[1], device)]
        stored = BatchMaps.of(responses[0], limits)
        firing = FiringMaps(stored.image, stored.unit, stored.maps)
        on_cpu = FiringMaps(firing.image.cpu(), firing.unit.cpu(), firing.maps.cpu())
        labels = CpuLabels(group, broden.label_count), TorchLabels(group, primary, len(broden.categories))
        np.testing.assert_array_equal(labels[0].truth(), labels[1].truth())
        counters[0].add(labels[0], on_cpu)
        counters[1].add(labels[1], firing)
    for name in ("both", "activation", "pixels"):
        np.testing.assert_array_equal(*(getattr(counter.counts(), name) for counter in counters), err_msg=name)
    found = counters[0].counts()
    print(f"counts of {device} and CPU are equal: {int(found.both.sum()):,} labelled pixels in 21 pairings", flush=True)


def bounds(responder: Responder) -> None:
    """Reading alone and encoding alone, over the first part of the images."""
    reader, plan = responder.reader, responder.reader.plan
    batches = list(range(min(len(plan.batches), 150)))
    count = sum(len(plan.batches[batch]) for batch in batches)
    seconds, _ = timed(lambda: [None for _ in reader.image_batches(batches)])
    print(f"reading images alone: {count / seconds:.0f} images/s", flush=True)
    groups = list(range(min(len(plan.groups), 150)))
    count = sum(len(plan.places(group)) for group in groups)
    seconds, _ = timed(lambda: [None for _ in reader.label_groups(groups)])
    print(f"reading label maps alone: {count / seconds:.0f} images/s of four", flush=True)
    images = next(iter(reader.image_batches([0])))
    rounds = 30 if responder.device.type == "cuda" else 2

    def encode() -> None:
        for _ in range(rounds):
            responses = responder.respond(images)
        responses[0].maps.sum().item()

    encode()
    seconds, _ = timed(encode)
    print(f"encoding alone, from pixels in memory: {rounds * len(images) / seconds:.0f} images/s", flush=True)


if __name__ == "__main__":
    main()
