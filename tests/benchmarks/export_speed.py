"""How fast engines run the SQL that ``ibc export`` prints, beside the library's own search, in one run.

    python tests/benchmarks/export_speed.py                               (1,000,000 codes; engines that are installed)
    python tests/benchmarks/export_speed.py --images 10000000 --engines library duckdb

Codes are random, 256 bits. Every engine first loads the export, as ``search.sql`` says, then searches by all bits and
by 13 bits, top 100; what it finds is compared with the library. Times are medians of rounds over different queries,
after a warm-up; rates are images for each second of a core, which other work on the machine disturbs least.
ClickHouse needs the package chdb, Spark pyspark and Java,
PostgreSQL its server.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numba
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ibc.codes import CodeSet  # noqa: E402 - after the path is set
from ibc.export.csv_rows import write_csv  # noqa: E402
from ibc.export.faiss_index import write_faiss  # noqa: E402
from ibc.export.parquet import write_codes  # noqa: E402
from ibc.export.query import MaskedQuery, masked_query  # noqa: E402
from ibc.export.rows import BLOCK, ExportRows  # noqa: E402
from ibc.export.sql import SQL_ENGINES  # noqa: E402
from ibc.retrieval import CodeIndex  # noqa: E402
from tests.export.postgres_server import NoServer, postgres_server  # noqa: E402

BITS, CHOSEN, TOP, ROUNDS, BATCH = 256, 13, 100, 7, 100
Search = Callable[[MaskedQuery], list[int]]  # the rows that a query finds


class RandomCodes:
    """(N, 256) bool bits, made anew whenever a part is read."""

    def __init__(self, count: int):
        self.shape = (count, BITS)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice) -> np.ndarray:
        count = len(range(*part.indices(len(self))))
        raw = np.random.default_rng(part.start or 0).integers(0, 256, (count, BITS // 8), np.uint8)
        return np.unpackbits(raw, axis=1).astype(bool)


def signs_of(query: MaskedQuery) -> np.ndarray:
    """(1, K) signs of a query, 0 on bits that do not take part."""
    return np.array([[(2 * (query.code >> bit & 1) - 1) * (query.mask >> bit & 1) for bit in range(BITS)]], np.int8)


@contextlib.contextmanager
def code_index(rows: ExportRows, threads: int) -> Iterator[CodeIndex]:
    numba.set_num_threads(threads)
    index = CodeIndex(rows.codes.binary_codes[0:BLOCK])
    for start in range(BLOCK, len(rows), BLOCK):
        index.add(rows.codes.binary_codes[start : start + BLOCK])
    yield index


@contextlib.contextmanager
def library(rows: ExportRows, threads: int) -> Iterator[Search]:
    with code_index(rows, threads) as index:
        yield lambda query: index.search(signs_of(query), top=TOP).rows[0].tolist()


@contextlib.contextmanager
def faiss(rows: ExportRows, threads: int) -> Iterator[Search]:
    import faiss

    write_faiss(Path("codes.faiss"), rows, lambda done: None)
    index = faiss.read_index_binary("codes.faiss")
    faiss.omp_set_num_threads(threads)

    def search(query: MaskedQuery) -> list[int]:
        if len(query.bits) < BITS:
            raise NotImplementedError
        index.search(np.frombuffer(query.code.to_bytes(BITS // 8, "little"), np.uint8)[None], TOP)
        return []  # ties in no stated order

    yield search


@contextlib.contextmanager
def duckdb(rows: ExportRows, threads: int) -> Iterator[Search]:
    import duckdb

    with duckdb.connect(config={"threads": threads}) as connection:
        for statement in SQL_ENGINES["duckdb"].load(rows):
            connection.execute(statement)
        yield lambda query: [row[0] for row in connection.execute(SQL_ENGINES["duckdb"].search(query)).fetchall()]


@contextlib.contextmanager
def duckdb_file(rows: ExportRows, threads: int) -> Iterator[Search]:
    """DuckDB on the Parquet file itself."""
    import duckdb

    with duckdb.connect(config={"threads": threads}) as connection:
        yield lambda query: [row[0] for row in connection.execute(
            SQL_ENGINES["duckdb"].search(query).replace("FROM codes", "FROM 'codes.parquet'")).fetchall()]


@contextlib.contextmanager
def clickhouse(rows: ExportRows, threads: int) -> Iterator[Search]:
    import chdb

    with tempfile.TemporaryDirectory() as folder, contextlib.closing(chdb.connect(folder)) as connection:
        for statement in SQL_ENGINES["clickhouse"].load(rows):
            connection.query(statement)

        def search(query: MaskedQuery) -> list[int]:
            text = SQL_ENGINES["clickhouse"].search(query).replace(";", f" SETTINGS max_threads = {threads};")
            return [int(line.split(",")[0]) for line in str(connection.query(text, "CSV")).splitlines()]

        yield search


@contextlib.contextmanager
def spark(rows: ExportRows, threads: int) -> Iterator[Search]:
    from pyspark.sql import SparkSession

    session = (SparkSession.builder.master(f"local[{threads}]").config("spark.ui.enabled", "false")
               .config("spark.driver.memory", "4g").config("spark.driver.bindAddress", "127.0.0.1")
               .config("spark.driver.host", "127.0.0.1").getOrCreate())
    for statement in SQL_ENGINES["spark"].load(rows):
        session.sql(statement.replace("'codes.parquet'", f"'{os.getcwd()}/codes.parquet'").rstrip(";"))
    session.sql("CACHE TABLE codes")
    yield lambda query: [row[0] for row in session.sql(SQL_ENGINES["spark"].search(query).rstrip(";")).collect()]
    session.stop()


@contextlib.contextmanager
def postgresql(rows: ExportRows, threads: int) -> Iterator[Search]:
    try:
        with postgres_server() as (psql, process):
            write_csv(Path("codes.csv"), rows, lambda done: None)
            subprocess.run(psql, input="\n".join(SQL_ENGINES["postgresql"].load(rows)), check=True, text=True)
            subprocess.run(psql, input="VACUUM ANALYZE codes;", check=True, text=True)
            session = subprocess.Popen(psql, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
            assert session.stdin and session.stdout
            session.stdin.write(f"SET max_parallel_workers_per_gather = {threads - 1};\n")
            servers.add(process)

            def search(query: MaskedQuery) -> list[int]:
                print(SQL_ENGINES["postgresql"].search(query), file=session.stdin, flush=True)
                return [int(session.stdout.readline().split(",")[0]) for _ in range(TOP)]  # type: ignore[union-attr]

            yield search
            session.stdin.close()
            session.wait()
            servers.clear()
    except NoServer as reason:
        raise ImportError(str(reason)) from None


ENGINES = {"library": library, "faiss": faiss, "duckdb": duckdb, "duckdb_file": duckdb_file, "clickhouse": clickhouse,
           "spark": spark, "postgresql": postgresql}


def measure(search: Search, queries: list[MaskedQuery], wanted: list[list[int]]) -> tuple[float, float]:
    """Median milliseconds of a query, by the clock and of all cores together."""
    search(queries[0])
    times, of_cores = [], []
    for query, rows in zip(queries, wanted, strict=True):
        begin, begin_of_cores = time.perf_counter(), cpu_seconds()
        found = search(query)
        times.append(1000 * (time.perf_counter() - begin))
        of_cores.append(1000 * (cpu_seconds() - begin_of_cores))
        assert not found or found == rows
    return statistics.median(times), statistics.median(of_cores)


servers: set[int] = set()  # processes of engines that are not our children


def cpu_seconds() -> float:
    """What this process, its children (Spark's Java) and servers have used of all cores."""
    ticks = 0
    family = {os.getpid(), *servers}
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda folder: int(folder.name)):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rsplit(") ", 1)[1].split()
            if int(folder.name) in family or int(fields[1]) in family:
                family.add(int(folder.name))
                ticks += sum(map(int, fields[11:15])) if int(folder.name) != os.getpid() else 0  # with ended children
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def measure_batches(rows: ExportRows, threads: int) -> None:
    """Core milliseconds a query of the library, where 100 queries with bits of their own come together."""
    with code_index(rows, threads) as index:
        signs = 2 * rows.codes.binary_codes[0:BLOCK][:BATCH].astype(np.int8) - 1
        random = np.random.default_rng(2)
        for count in (BITS, CHOSEN):
            bits = [random.permutation(BITS)[:count] for _ in range(BATCH)]
            index.search(signs, bits=bits, top=TOP)
            times = []
            for _ in range(3):
                begin = cpu_seconds()
                index.search(signs, bits=bits, top=TOP)
                times.append(1000 * (cpu_seconds() - begin) / BATCH)
            print(f"library, {BATCH} queries at once, {count:3} bits each: "
                  f"{statistics.median(times):.2f} core ms a query")


def write_files(rows: ExportRows, with_csv: bool) -> None:
    for name, write in (("codes.parquet", lambda path: write_codes(path, rows, {}, lambda done: None)),
                        ("codes.csv", lambda path: write_csv(path, rows, lambda done: None))):
        if name == "codes.csv" and not with_csv:
            continue
        begin = time.perf_counter()
        write(Path(name))
        seconds = time.perf_counter() - begin
        size = Path(name).stat().st_size
        print(f"{name}: {seconds:.1f} s, {len(rows) / seconds:,.0f} images/s, {size / len(rows):.0f} bytes an image, "
              f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB", flush=True)
        if name == "codes.csv":
            Path(name).unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    options = parser.parse_args()
    rows = ExportRows(CodeSet(RandomCodes(options.images), np.empty((options.images, 0))))  # type: ignore[arg-type]
    signs = 2 * rows.codes.binary_codes[0:BLOCK][:ROUNDS].astype(np.int8) - 1
    random = np.random.default_rng(1)
    whole = [masked_query(row, top=TOP) for row in signs]
    some = [masked_query(row, random.permutation(BITS)[:CHOSEN], top=TOP) for row in signs]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        write_files(rows, "postgresql" in options.engines)
        with library(rows, max(options.threads)) as search:
            wanted = [[search(query) for query in queries] for queries in (whole, some)]
        heads = "".join(f"   {bits:3} bits: ms   core ms  M images/core s" for bits in (BITS, CHOSEN))
        print(f"{'engine':12} threads  load s{heads}", flush=True)
        for name in options.engines:
            for threads in options.threads:
                begin = time.perf_counter()
                try:
                    with ENGINES[name](rows, threads) as search:
                        loaded = time.perf_counter() - begin
                        line = f"{name:12} {threads:7} {loaded:7.1f}"
                        for queries, own in zip((whole, some), wanted, strict=True):
                            try:
                                ms, core_ms = measure(search, queries, own)
                                line += f"   {ms:12.1f} {core_ms:9.1f} {options.images / core_ms / 1000:16.1f}"
                            except NotImplementedError:
                                line += "no masks".rjust(42)
                        print(line, flush=True)
                except ImportError:
                    print(f"{name:12} is not installed")
                    break
        if "library" in options.engines:
            measure_batches(rows, min(options.threads))


if __name__ == "__main__":
    main()
