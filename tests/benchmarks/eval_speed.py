"""How fast codes are scored, against plain numpy (and scikit-learn) in the same run.

    python tests/benchmarks/eval_speed.py                    (CPU: N = 5,000 with plain twins, N = 50,000, MIS)
    python tests/benchmarks/eval_speed.py --device cuda      (N = 50,000 x 50,000 on a GPU, beside a plain sort)

Codes are synthetic: 256 bits, 100 classes, 12 attributes that a quarter of the items have. Every result is compared
with its plain twin (for N = 50,000 on 200 queries) before anything is timed. The plain twin is the official way: a
dense distance matrix, a stable sort, a loop over queries. Seconds are medians of rounds after a warm-up, so that
compilation does not count; peak memory is of a process of its own for each part.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
BITS, CLASSES, ATTRIBUTES, TOP_K = 256, 100, 12, 13
ROUNDS = 5
SAMPLE = 200  # queries compared with plain numpy where all would take too long


def synthetic(count: int, classes: int = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    """Signs (N, K) int8 that depend on the class, class ids (N,)."""
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, count)
    likely = (0.5 + 0.7 * (random.random((classes, BITS)) - 0.5)).astype(np.float32)
    return np.where(random.random((count, BITS), np.float32) < likely[labels], 1, -1).astype(np.int8), labels


def attribute_flags(signs: np.ndarray) -> np.ndarray:
    """(N, A) bool, a quarter of the items have each attribute, which depends on the bits."""
    random = np.random.default_rng(1)
    taste = signs @ random.normal(size=(BITS, ATTRIBUTES)) + random.normal(0, 8, (len(signs), ATTRIBUTES))
    return taste > np.quantile(taste, 0.75, axis=0)


def rules() -> np.ndarray:
    matrix = np.random.default_rng(2).random((CLASSES, BITS))
    matrix[matrix < 0.4] = 0
    return matrix


def plain_map(distance: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """(Q,) average precision from dense (Q, D) distances and relevance, in 64 bits."""
    order = np.argsort(distance, axis=1, kind="stable")
    values = np.zeros(len(distance))
    for query, (places, flags) in enumerate(zip(order, relevant, strict=True)):
        ranks = np.flatnonzero(flags[places]) + 1.0
        values[query] = (np.arange(1, len(ranks) + 1) / ranks).mean() if len(ranks) else 0
    return values


def plain_category(signs: np.ndarray, labels: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    rows = np.arange(len(signs)) if rows is None else rows
    relevant = labels[rows, None] == labels
    relevant[np.arange(len(rows)), rows] = False
    return plain_map(-(signs[rows].astype(np.float64) @ signs.T.astype(np.float64)), relevant)


def plain_expert(signs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    best = np.argsort(-rules(), axis=1, kind="stable")[:, :TOP_K]
    distance = np.zeros((len(signs), len(signs)))
    for label in np.unique(labels):
        mine, bits = labels == label, best[label]
        distance[mine] = -(signs[mine][:, bits].astype(np.float64) @ signs[:, bits].T.astype(np.float64))
    relevant = labels[:, None] == labels
    np.fill_diagonal(relevant, False)
    return plain_map(distance, relevant)


def plain_attributes(signs: np.ndarray, flags: np.ndarray) -> np.ndarray:
    return np.array([plain_map(-(signs[has].astype(np.float64) @ signs.T.astype(np.float64)),
                               np.broadcast_to(has, (has.sum(), len(has)))).mean() for has in flags.T])


def seconds(work: Callable[[], Any], rounds: int = ROUNDS) -> float:
    work()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def our_category(count: int, device: str = "cpu", ties: str = "stable") -> np.ndarray:
    from ibc.retrieval.average_precision import mean_average_precision

    signs, labels = synthetic(count)
    return mean_average_precision(signs, labels, signs, labels, self_match="keep", ties=ties, device=device).per_query


def part_category(count: int) -> dict[str, float]:
    signs, labels = synthetic(count)
    from ibc.retrieval.average_precision import mean_average_precision

    return {"seconds": seconds(lambda: mean_average_precision(signs, labels, signs, labels, self_match="keep"))}


def part_expert(count: int) -> dict[str, float]:
    from ibc.retrieval.average_precision import mean_average_precision
    from ibc.retrieval.bits import on_expert_bits

    signs, labels = synthetic(count)
    grm = rules()
    return {"seconds": seconds(lambda: mean_average_precision(on_expert_bits(signs, labels, grm, TOP_K), labels, signs,
                                                              labels, self_match="keep"))}


def part_attributes(count: int) -> dict[str, float]:
    from ibc.retrieval.attributes import AttributeData, attribute_maps

    signs, _ = synthetic(count)
    flags = attribute_flags(signs)
    data = AttributeData(signs, flags, signs, flags, True)
    return {"seconds": seconds(lambda: attribute_maps(data))}


def part_large(count: int) -> dict[str, float]:
    """All tie rules come from one pass; ``ties`` only says which of them the number is."""
    from ibc.retrieval.average_precision import mean_average_precision

    signs, labels = synthetic(count)
    mean_average_precision(signs[:9], labels[:9], signs[:9], labels[:9])
    found = {}
    for ties in ("stable", "bounds"):
        start = time.perf_counter()
        mean_average_precision(signs, labels, signs, labels, self_match="keep", ties=ties)
        found[f"seconds_{ties}"] = time.perf_counter() - start
    return found


def part_mis(count: int, classes: int, estimator: str) -> dict[str, float]:
    from ibc.retrieval.mutual_info import mutual_info_score

    signs, labels = synthetic(count, classes=classes)
    return {"seconds": seconds(lambda: mutual_info_score(signs, labels, estimator=estimator), 3)}


def part_plain_category(count: int) -> dict[str, float]:
    signs, labels = synthetic(count)
    return {"seconds": seconds(lambda: plain_category(signs, labels), 1)}


def part_plain_expert(count: int) -> dict[str, float]:
    signs, labels = synthetic(count)
    return {"seconds": seconds(lambda: plain_expert(signs, labels), 1)}


def part_plain_attributes(count: int) -> dict[str, float]:
    signs, _ = synthetic(count)
    flags = attribute_flags(signs)
    return {"seconds": seconds(lambda: plain_attributes(signs, flags[:, :2]), 1) * ATTRIBUTES / 2}


def part_plain_mis(count: int, classes: int) -> dict[str, float]:
    """scikit-learn on three classes, times the number of classes."""
    from sklearn.feature_selection import mutual_info_classif

    from ibc.labels import Labels
    from ibc.retrieval.mutual_info import class_samples

    signs, labels = synthetic(count, classes=classes)
    drawn = list(class_samples(Labels(labels), np.arange(3), 100, 0))

    def work() -> None:
        for positives, negatives in drawn:
            rows = np.concatenate([positives, negatives])
            mutual_info_classif(signs[rows].astype(float), [1] * len(positives) + [0] * len(negatives), random_state=0)

    return {"seconds": seconds(work, 1) * classes / 3}


PARTS: dict[str, Callable[..., dict[str, float]]] = {
    name.removeprefix("part_"): function for name, function in list(globals().items()) if name.startswith("part_")
}


def in_own_process(part: str, *arguments: Any) -> dict[str, float]:
    command = [sys.executable, __file__, "--part", part, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(result.stdout.splitlines()[-1])


def run_part(part: str, arguments: list[str]) -> None:
    values = PARTS[part](*(int(item) if item.isdigit() else item for item in arguments))
    status = Path("/proc/self/status").read_text().splitlines()  # getrusage would count the parent's memory in
    peak_kb = next(line.split()[1] for line in status if line.startswith("VmHWM"))
    print(json.dumps(values | {"peak_mb": int(peak_kb) / 1024}))


def check_small() -> None:
    """Equal to plain numpy and scikit-learn to 1e-12."""
    from sklearn.feature_selection import mutual_info_classif

    from ibc.labels import Labels
    from ibc.retrieval.attributes import AttributeData, attribute_maps
    from ibc.retrieval.average_precision import mean_average_precision
    from ibc.retrieval.bits import on_expert_bits
    from ibc.retrieval.mutual_info import class_samples, mutual_info_score

    signs, labels = synthetic(1500)
    flags = attribute_flags(signs)
    data = AttributeData(signs, flags, signs, flags, True)
    expert = mean_average_precision(on_expert_bits(signs, labels, rules(), TOP_K), labels, signs, labels,
                                    self_match="keep").per_query
    pairs = [(our_category(1500), plain_category(signs, labels)), (expert, plain_expert(signs, labels)),
             (attribute_maps(data)["stable"], plain_attributes(signs, flags))]
    positives, negatives = next(iter(class_samples(Labels(labels), np.arange(1), 100, 0)))
    theirs = mutual_info_classif(signs[np.concatenate([positives, negatives])].astype(float),
                                 [1] * len(positives) + [0] * len(negatives), random_state=0)
    pairs.append((mutual_info_score(signs, labels, estimator="knn", class_num=1).table[0], theirs))
    for ours, twin in pairs:
        assert np.abs(ours - twin).max() < 1e-12
    print("equal to plain numpy and scikit-learn to 1e-12 (N = 1,500)")


def check_large(count: int, device: str) -> None:
    signs, labels = synthetic(count)
    rows = np.random.default_rng(2).permutation(count)[:SAMPLE]
    assert np.abs(our_category(count, device)[rows] - plain_category(signs, labels, rows)).max() < 1e-12
    print(f"equal to plain numpy to 1e-12 on {SAMPLE} of {count:,} queries ({device})")


def cpu() -> None:
    print(f"machine: CPU, {len(os.sched_getaffinity(0))} cores, numpy {np.__version__}")
    check_small()
    print(f"\n{'N = 5,000, 256 bits':<36}{'ours':>9}{'plain':>10}{'ratio':>8}{'peak':>10}{'plain peak':>12}")
    for part in ("category", "expert", "attributes"):
        ours, plain = in_own_process(part, 5000), in_own_process(f"plain_{part}", 5000)
        _row(part, ours, plain)
    for words, estimator in (("MIS k-NN, 100 classes", "knn"), ("MIS exact, 100 classes", "exact")):
        _row(words, in_own_process("mis", 5000, CLASSES, estimator), in_own_process("plain_mis", 5000, CLASSES))
    large_mis = in_own_process("mis", 50_000, 1000, "exact")
    print(f"\nMIS exact, 50,000 items, 1,000 classes: {large_mis['seconds']:.3f} s, {large_mis['peak_mb']:.0f} MB")
    check_large(50_000, "cpu")
    large = in_own_process("large", 50_000)
    print(f"50,000 x 50,000, stable ties: {large['seconds_stable']:.2f} s; with expected value and bounds: "
          f"{large['seconds_bounds']:.2f} s; {large['peak_mb']:.0f} MB")
    for command in ("eval/sun_eval.py", "compute_mutual_info_offline.py"):
        start = time.perf_counter()
        subprocess.run([sys.executable, command, "--help"], cwd=ROOT, capture_output=True, check=True)
        print(f"{command} --help: {time.perf_counter() - start:.2f} s")


def _row(words: str, ours: dict[str, float], plain: dict[str, float]) -> None:
    print(f"{words:<36}{ours['seconds']:>7.3f} s{plain['seconds']:>8.2f} s{plain['seconds'] / ours['seconds']:>7.0f}x"
          f"{ours['peak_mb']:>7.0f} MB{plain['peak_mb']:>9.0f} MB")


def cuda(count: int) -> None:
    import torch

    from ibc.retrieval.average_precision import mean_average_precision
    from ibc.retrieval.engine.torch_ranking import BLOCK_PAIRS

    print(f"machine: {torch.cuda.get_device_name()}, torch {torch.__version__}")
    check_large(count, "cuda")
    signs, labels = synthetic(count)
    assert np.abs(our_category(count, "cuda") - our_category(count, "cpu")).max() < 1e-12
    print(f"equal to the CPU kernels to 1e-12 on all {count:,} queries")
    for ties in ("stable", "bounds"):
        torch.cuda.reset_peak_memory_stats()
        taken = seconds(lambda ties=ties: mean_average_precision(signs, labels, signs, labels, self_match="keep",
                                                                 ties=ties, device="cuda"))
        print(f"{count:,} x {count:,}, {ties}: {taken:.3f} s, "
              f"{torch.cuda.max_memory_allocated() / 2**20:.0f} MB on the GPU")
    codes = torch.from_numpy(signs).cuda().half()
    step = BLOCK_PAIRS // count

    def plain_sort() -> None:
        for start in range(0, count, step):
            torch.sort((codes[start : start + step] @ codes.T).to(torch.int16).neg_(), dim=1, stable=True)
        torch.cuda.synchronize()

    print(f"distances and a stable sort alone, in the same blocks: {seconds(plain_sort):.3f} s")
    print(f"CPU kernels on this machine, {len(os.sched_getaffinity(0))} cores: "
          f"{seconds(lambda: our_category(count, 'cpu'), 1):.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--count", type=int, default=50_000, help="queries and items on the GPU (default: 50,000)")
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        run_part(args.part[0], args.part[1:])
    elif args.device == "cuda":
        cuda(args.count)
    else:
        cpu()


if __name__ == "__main__":
    main()
