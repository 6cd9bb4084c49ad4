"""IBC: interpretable binary codes for customised image retrieval.

Sub-modules load on first use (``ibc.network``, ``ibc.trainer``, ...), so that
``import ibc`` and every ``--help`` stay quick: torch is imported only where it is needed.
"""

import importlib
import os

__version__ = "1.0.0"

_SUBMODULES = {
    "checkpoint", "cli", "codes", "config", "data", "distributed", "errors", "extraction", "files",
    "journal", "kernels", "losses", "network", "optimiser", "pooling", "pretrained", "schedule", "shared_steps",
    "targets", "trainer", "training", "typed_yaml", "update",
}

# nvJPEG decodes on dozens of CUDA streams. On the usual 8 hardware queues some of them share the update's and
# wait for it, so that decoding and training take turns. Read when CUDA starts; 32 is the most there is.
os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")
# OpenMP's threads look out for more work for milliseconds, on cores that could decode the next batch meanwhile; so only
# for a fraction of one. Read when torch loads the OpenMP of its wheels, GNU's.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def __getattr__(name):
    if name in _SUBMODULES:
        return importlib.import_module(f"ibc.{name}")
    raise AttributeError(f"module 'ibc' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_SUBMODULES])
