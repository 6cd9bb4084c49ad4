"""The class of a query without its label: a vote of its neighbours, or the code classifier of the model.

Expert bits need a class. Its label is what a user does not have (an oracle); these two are what a user has.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ibc.cores import compute_threads
from ibc.errors import input_error
from ibc.labels import Labels
from ibc.retrieval.defaults import NEIGHBOURS
from ibc.retrieval.engine.blocks import BLOCK_QUERIES
from ibc.retrieval.engine.kernels import vote_block
from ibc.retrieval.engine.packing import pack_database, pack_queries
from ibc.retrieval.engine.ranking import Ranking


def vote(ranking: Ranking, labels: Labels, neighbours: int = NEIGHBOURS,
         ranked: Callable[[float], None] = lambda share: None) -> np.ndarray:
    """(Q,) class that most of the nearest items of the database have, the query itself left out; -1 without a vote.

    labels: of the D items. An item votes for its class, or for each of its labels. An item without a class (or with a
    negative category) has no vote and takes no place among the neighbours. Items at the distance of the last place
    share the places that are left, so that the database order decides nothing. Equal votes go to the lower id. ranked:
    hears the share of the queries that are done.
    """
    starts, ids = labels.flat()
    known, numbers = np.unique(ids, return_inverse=True)
    db, db_mask = pack_database(ranking.db_signs)
    queries = len(ranking.query_signs)
    winners = np.empty(queries, np.int64)

    def count(start: int) -> None:
        rows = slice(start, start + BLOCK_QUERIES)
        vote_block(*pack_queries(ranking.query_signs[rows]), db, db_mask, starts, numbers.astype(np.int64),
                   len(known), ranking.self_index[rows], ranking.bins, neighbours, winners[rows])

    starts_of_blocks = range(0, queries, BLOCK_QUERIES)
    with ThreadPoolExecutor(compute_threads()) as pool:
        for start, _ in zip(starts_of_blocks, pool.map(count, starts_of_blocks), strict=True):
            ranked(min(start + BLOCK_QUERIES, queries) / queries)
    return np.where(winners >= 0, np.append(known, -1)[winners], -1)


def classify(codes: np.ndarray, checkpoint: str | os.PathLike, classes: int | None = None) -> np.ndarray:
    """(N,) class that the code classifier of a model names for (N, K) sigmoid codes.

    checkpoint: the file, or a folder of a run. classes: number of classes that the model should have.
    Raises InputError for a model of another number of classes or bits.
    """
    import torch  # noqa: PLC0415 - 2 s, only for this

    from ibc.checkpoint import find_checkpoint, load_model  # noqa: PLC0415 - imports torch

    model = load_model(find_checkpoint(checkpoint))
    known, length = model.grm.shape
    if classes is not None and known != classes:
        raise input_error(checkpoint, f"a model of {known} classes", f"{classes}, the rows of the GRM")
    if length != codes.shape[1]:
        raise input_error(checkpoint, f"a model of {length} bits", f"{codes.shape[1]}, as in the codes file")
    with torch.inference_mode():
        return model.classify_codes(torch.from_numpy(codes)).argmax(dim=1).numpy()
