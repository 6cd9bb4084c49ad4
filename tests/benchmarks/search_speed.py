"""How fast codes are searched: masks, weights, few bits, single queries, beside faiss without a mask.

    python tests/benchmarks/search_speed.py              (CPU, all cores; 1,000,000 codes of 256 bits, top 100)
    python tests/benchmarks/search_speed.py --gpu        (the same codes on a GPU, and mAP of 50,000 x 50,000)
    python tests/benchmarks/search_speed.py --mapped 50_000_000    (codes in a file, memory of the process)

Codes and queries are random bits. Results are compared with plain numpy and with faiss before anything is timed.
Rounds take turns, so that all meet the same load; the least time of a query is printed, with the time of all cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
BITS, TOP, BATCH, FEW = 256, 100, 100, 13
ROUNDS = 9


def random_signs(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (count, BITS), dtype=np.int8) * 2 - 1


def plain_search(db: np.ndarray, query: np.ndarray, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(rows, distances) of one query by a stable sort; bit by bit with weights."""
    if weights is None:
        distance = (np.count_nonzero(query) - (db @ query.astype(np.int32))) // 2
    else:
        distance = np.zeros(len(db))
        for bit in np.flatnonzero(query):
            distance += weights[bit] * (db[:, bit] != query[bit])
    rows = np.argsort(distance, kind="stable")[:TOP]
    return rows, distance[rows]


class Timings:
    """Least wall and processor seconds of named pieces of work, taken in turn."""

    def __init__(self) -> None:
        self.work: dict[str, tuple[Callable[[], Any], int]] = {}
        self.wall: dict[str, float] = {}
        self.cores: dict[str, float] = {}

    def add(self, name: str, queries: int, work: Callable[[], Any]) -> None:
        self.work[name] = work, queries

    def run(self, rounds: int) -> None:
        for turn in range(rounds + 1):
            for name, (work, queries) in self.work.items():
                repeats = max(1, 8 // queries)
                start, start_cores = time.perf_counter(), time.process_time()
                for _ in range(repeats):
                    work()
                wall = (time.perf_counter() - start) / queries / repeats
                cores = (time.process_time() - start_cores) / queries / repeats
                if turn:  # the first compiles
                    self.wall[name] = min(wall, self.wall.get(name, wall))
                    self.cores[name] = min(cores, self.cores.get(name, cores))


def cpu(count: int) -> None:
    from ibc.retrieval import CodeIndex

    print(f"machine: {len(os.sched_getaffinity(0))} cores, numpy {np.__version__}, load {os.getloadavg()[0]:.1f}")
    db, queries = random_signs(count, 0), random_signs(BATCH, 1)
    random = np.random.default_rng(2)
    masked = queries * (random.random(queries.shape) < 0.5)
    few = np.argsort(random.random(queries.shape), axis=1)[:, :FEW]
    weights = random.random(BITS)
    start = time.perf_counter()
    index = CodeIndex(db)
    print(f"packing: {time.perf_counter() - start:.2f} s")
    for taken, given in ((masked, None), (queries, None), (masked, weights)):
        found = index.search(taken[:3], weights=given, top=TOP)
        for number in range(3):
            rows, distances = plain_search(db, taken[number], given)
            assert np.array_equal(found.rows[number], rows) and np.array_equal(found.distances[number], distances)
    print("equal to plain numpy")
    timings = Timings()
    half, one = "half of the bits", "one query"
    timings.add(f"batch, a mask each ({half})", BATCH, lambda: index.search(masked, top=TOP))
    timings.add(f"batch, {FEW} bits each", BATCH, lambda: index.search(queries, bits=few, top=TOP))
    timings.add("batch, all bits", BATCH, lambda: index.search(queries, top=TOP))
    timings.add(f"batch, a mask each ({half}), weights", BATCH, lambda: index.search(masked, weights=weights, top=TOP))
    timings.add("batch, all bits, weights", BATCH, lambda: index.search(queries, weights=weights, top=TOP))
    timings.add(f"{one}, {half}", 1, lambda: index.search(masked[:1], top=TOP))
    timings.add(f"{one}, {FEW} bits", 1, lambda: index.search(queries[:1], bits=few[0], top=TOP))
    timings.add(f"{one}, all bits", 1, lambda: index.search(queries[:1], top=TOP))
    timings.add(f"{one}, all bits, weights", 1, lambda: index.search(queries[:1], weights=weights, top=TOP))
    add_faiss(timings, db, queries, index.search(queries, top=TOP).distances)
    timings.run(ROUNDS)
    print(f"\n{count:,} codes of {BITS} bits, top {TOP}, batches of {BATCH}; load {os.getloadavg()[0]:.1f}")
    print(f"{'':<46}{'ms a query':>11}{'ms of cores':>12}")
    for name, wall in timings.wall.items():
        print(f"{name:<46}{1e3 * wall:>11.3f}{1e3 * timings.cores[name]:>12.3f}")
    for what, seconds in (("on the clock", timings.wall), ("in processor time", timings.cores)):
        theirs = min((taken for name, taken in seconds.items() if name.startswith("faiss I")), default=None)
        if theirs is not None:
            for name in list(seconds)[:3]:
                print(f"{name}: {theirs / seconds[name]:.1f} times as fast {what} as faiss without a mask")
    print_bounds(count)


def add_faiss(timings: Timings, db: np.ndarray, queries: np.ndarray, distances: np.ndarray) -> None:
    try:
        import faiss
    except ImportError:
        print("faiss is not installed (pip install faiss-cpu): not compared")
        return
    theirs = faiss.IndexBinaryFlat(BITS)
    theirs.add(np.packbits(db > 0, axis=1, bitorder="little"))
    packed = np.packbits(queries > 0, axis=1, bitorder="little")
    assert np.array_equal(theirs.search(packed, TOP)[0], distances)
    print(f"equal distances from faiss {faiss.__version__}")

    def search(threads: int, rows: int) -> None:
        faiss.omp_set_num_threads(threads)
        theirs.search(packed[:rows], TOP)

    for threads in (1, 2):
        words = f"{threads} thread{'s' * (threads > 1)}"
        timings.add(f"faiss IndexBinaryFlat, no mask, {words}", BATCH, lambda threads=threads: search(threads, BATCH))
        timings.add(f"faiss, one query, no mask, {words}", 1, lambda threads=threads: search(threads, 1))


def print_bounds(count: int) -> None:
    """What bounds a search: bytes and adders."""
    print("\nwhat bounds it, a query:")
    for name, bits in ((f"{FEW} bits", FEW), ("half of the bits", BITS // 2), ("all bits", BITS)):
        tiles, groups = count / 512, -(-bits // 16)
        print(f"  {name}: {bits * count / 8e6:.1f} MB of planes (in a batch: from the first cache, once a batch from "
              f"memory), {tiles * groups * 30 / 1e6:.2f} million vector instructions of 512 bits in the adders")
    print(f"  popcounts: none (of 64-bit words, whatever the mask: {BITS * count / 64e6:.0f} million a query)")


def mapped(count: int) -> None:
    """Codes in a file of packed planes, searched in a process of its own."""
    from ibc.retrieval.index import write_index

    with tempfile.TemporaryDirectory(dir=os.environ.get("IBC_SCRATCH")) as folder:
        path = Path(folder) / "codes.index"
        start = time.perf_counter()
        write_index(path, (random_signs(min(500_000, count - first), first) for first in range(0, count, 500_000)))
        print(f"{count:,} codes written in {time.perf_counter() - start:.0f} s: {path.stat().st_size / 1e6:.0f} MB")
        command = [sys.executable, __file__, "--search_mapped", str(path)]
        print(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout, end="")


def search_mapped(path: str) -> None:
    from ibc.retrieval import CodeIndex

    index = CodeIndex.open(path)
    queries = random_signs(10, 1)
    few = np.arange(FEW) * 7
    CodeIndex(queries).search(queries)
    before = _memory()
    for name, bits, number in (("10 queries, all bits", None, 10), (f"10 queries, {FEW} bits", few, 10),
                               ("one query, all bits", None, 1)):
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            index.search(queries[:number], bits=bits, top=TOP)
            seconds.append(time.perf_counter() - start)
        print(f"{name}: first {seconds[0]:.2f} s, then {min(seconds[1:]):.2f} s")
    after = _memory()
    print(f"memory of the process beyond the file: {before['RssAnon']:.0f} MB before, {after['RssAnon']:.0f} MB after; "
          f"pages of the file that the system keeps: {after['RssFile']:.0f} MB")


def _memory() -> dict[str, float]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith("Rss")}


def plain_rank(distance: Any, relevant: Any, bins: int, cutoffs: np.ndarray, points: np.ndarray) -> tuple[Any, ...]:
    """The ranking as it was before: cumulated sums over all pairs in the order of the sort."""
    import torch

    items = distance.shape[1]
    nearest, order = torch.sort(distance, dim=1, stable=True)
    relevant = relevant.gather(1, order)
    del order
    so_far = torch.nn.functional.pad(relevant.cumsum(dim=1, dtype=torch.int32), (1, 0))
    edges = torch.arange(bins, dtype=nearest.dtype, device=nearest.device).expand(len(nearest), -1).contiguous()
    ends = torch.searchsorted(nearest, edges, right=True)
    counts = torch.diff(ends, dim=1, prepend=torch.zeros_like(ends[:, :1])).to(torch.int32)
    found = so_far.gather(1, ends)
    relevant_counts = torch.diff(found, dim=1, prepend=torch.zeros_like(found[:, :1]))
    hits = so_far[:, np.minimum(points, items)]
    ranks = torch.arange(1, items + 1, dtype=torch.float64, device=nearest.device)
    precision = (so_far[:, 1:] / ranks).mul_(relevant)
    sums = [precision[:, : int(min(cutoff, items))].sum(dim=1) for cutoff in cutoffs]
    return counts, relevant_counts, torch.stack(sums, dim=1), hits


def median(work: Callable[[], Any], rounds: int = 5) -> float:
    import torch

    work()
    taken = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def gpu_search(count: int, queries_count: int) -> None:
    import torch

    from ibc.retrieval import CodeIndex
    from ibc.retrieval.engine import torch_search
    from ibc.retrieval.engine.queries import make_queries

    index = CodeIndex(random_signs(count, 0))
    random = np.random.default_rng(2)
    signs = random_signs(queries_count, 1)
    masked = signs * (random.random(signs.shape) < 0.5)
    few = np.argsort(random.random(signs.shape), axis=1)[:, :FEW]
    weights = random.random(BITS)
    few_signs = np.zeros_like(signs)
    np.put_along_axis(few_signs, few, np.take_along_axis(signs, few, axis=1), axis=1)
    for name, taken, given in (("masks", masked[:300], None), (f"{FEW} bits", few_signs[:300], None),
                               ("weights", masked[:40], weights)):
        ours, theirs = (index.search(taken, weights=given, top=TOP, device=device) for device in ("cpu", "cuda"))
        assert np.array_equal(ours.rows, theirs.rows) and np.array_equal(ours.distances, theirs.distances), name
    print("equal to the CPU engine, rows and distances: 300 masked queries, 300 of 13 bits, 40 weighted")
    for name, taken, given in (("a mask each", masked, None), (f"{FEW} bits each", few_signs, None),
                               ("a mask each, weights", masked[: queries_count // 10], weights)):
        torch.cuda.reset_peak_memory_stats()
        taken_s = median(lambda taken=taken, given=given: index.search(taken, weights=given, top=TOP, device="cuda"), 3)
        print(f"{len(taken):,} queries, {name}: {len(taken) / taken_s:,.0f} queries/s "
              f"({1e6 * taken_s / len(taken):.1f} us a query), "
              f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB on the GPU")
    database = index._on_device
    block = make_queries(masked[:900], None, None, BITS)
    part = database.parts[0][2]
    on_device = torch.from_numpy(block.signs).cuda().half()
    inner = on_device @ part
    groups = inner.view(len(inner), -1, torch_search.GROUP)
    nearest = groups.amax(dim=2)
    for name, work in (("upload", lambda: torch.from_numpy(block.signs).cuda().half()),
                       ("matrix multiplication", lambda: on_device @ part),
                       ("group maxima", lambda: groups.amax(dim=2)),
                       ("nearest groups", lambda: torch_search._largest_dense(nearest, TOP)),
                       ("groups and items", lambda: torch_search._largest(inner, TOP)),
                       ("block", lambda: torch_search._block(database, block, TOP)),
                       ("block, to lists", lambda: torch_search.search_torch(database, index._stores, block, TOP)),
                       ("checks of the queries", lambda: make_queries(masked[:900], None, None, BITS)),
                       ("topk over all items, for comparison", lambda: torch.topk(inner[:90], TOP, dim=1)),
                       ("a whole search of 900 queries", lambda: index.search(masked[:900], top=TOP, device="cuda"))):
        number = 90 if name.startswith("topk") else 900
        print(f"  {name}: {1e6 * median(work, 3) / number:.2f} us a query")


def gpu_ranking(count: int) -> None:
    import torch

    from ibc.retrieval.average_precision import mean_average_precision
    from ibc.retrieval.engine import blocks, torch_ranking
    from ibc.retrieval.engine.ranking import make_ranking
    from tests.benchmarks.eval_speed import synthetic

    signs, labels = synthetic(count)

    def score(device: str) -> Any:
        return mean_average_precision(signs, labels, signs, labels, self_match="keep", ties="bounds", device=device)

    ours = score("cuda")
    reference = score("cpu")
    for order in ("stable", "expected", "pessimistic", "optimistic"):
        assert abs(getattr(ours, order) - getattr(reference, order)) < 1e-12
    assert np.abs(ours.per_query - reference.per_query).max() < 1e-12
    print(f"\nmAP with bounds, {count:,} x {count:,}: equal to the CPU kernels to 1e-12")
    now, rank_now = median(lambda: score("cuda")), torch_ranking._rank
    torch_ranking._rank = plain_rank
    try:
        assert abs(score("cuda").stable - reference.stable) < 1e-12
        before = median(lambda: score("cuda"), 3)
    finally:
        torch_ranking._rank = rank_now
    print(f"now {now:.3f} s, with the ranking as it was {before:.3f} s")
    codes = torch.from_numpy(signs).cuda()
    database = torch_ranking._with_constant(codes, torch.float16)
    classes = torch.from_numpy(labels).cuda()
    rows = torch_ranking.BLOCK_PAIRS // count
    number = -(-count // rows)

    def distances() -> Any:
        return (torch_ranking._distance_factors(codes[:rows], torch.float16, False) @ database).to(torch.int16)

    distance = distances()
    relevant = torch_ranking._same_class(classes[:rows], classes)
    cutoffs, points = np.array([2**31 - 1]), np.array([], np.int64)
    order = torch.sort(distance, dim=1, stable=True).indices
    ranking = make_ranking(signs, labels, signs, labels, "keep")
    ranked = next(torch_ranking.ranked_blocks(ranking, cutoffs, points, "cuda"))
    harmonic = blocks.kernels.harmonic_numbers(count)
    for name, work in (("distances", distances),
                       ("relevance", lambda: torch_ranking._same_class(classes[:rows], classes)),
                       ("stable sort", lambda: torch.sort(distance, dim=1, stable=True)),
                       ("lookup of the relevance", lambda: relevant.gather(1, order)),
                       ("places of the relevant items", lambda: relevant.nonzero(as_tuple=True)),
                       ("all of a block", lambda: torch_ranking._rank(distance, relevant, BITS + 1, cutoffs, points)),
                       ("ties on one CPU thread", lambda: blocks._with_ties(ranked, cutoffs, points, harmonic))):
        print(f"  {name}: {1e3 * median(work, 3) * number:.0f} ms in {number} blocks")


def gpu(count: int) -> None:
    import torch

    start = time.perf_counter()
    print(f"machine: {torch.cuda.get_device_name()}, {len(os.sched_getaffinity(0))} cores, torch {torch.__version__}")
    for part in (lambda: gpu_search(count, 9_000), lambda: gpu_ranking(50_000)):
        try:
            part()
        except Exception as error:  # the other part is still worth its time on a lent GPU
            import traceback

            traceback.print_exc(file=sys.stdout)
            print(f"failed: {error}")
        sys.stdout.flush()
    print(f"\nall in {time.perf_counter() - start:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", action="store_true", help="on a GPU, checked against the CPU engine first")
    parser.add_argument("--count", type=int, default=1_000_000, help="codes (default: 1,000,000)")
    parser.add_argument("--mapped", type=int, metavar="N", help="search N codes from a file")
    parser.add_argument("--search_mapped", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.gpu:
        gpu(args.count)
    elif args.mapped:
        mapped(args.mapped)
    elif args.search_mapped:
        search_mapped(args.search_mapped)
    else:
        cpu(args.count)


if __name__ == "__main__":
    main()
