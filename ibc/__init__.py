"""IBC: interpretable binary codes for customised image retrieval.

Sub-modules load on first use (``ibc.network``, ``ibc.trainer``, ...), so that ``import ibc`` and every ``--help`` stay
quick. Importing any of them runs nothing, reads no file, sets no environment variable and touches no device.
"""

import importlib

__version__ = "1.0.0"


def __getattr__(name: str) -> object:
    """Import a sub-module on its first use as an attribute."""
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'") from None


def __dir__() -> list[str]:
    import pkgutil  # noqa: PLC0415 - for completion in a shell only

    return sorted({*globals(), *(module.name for module in pkgutil.iter_modules(__path__))})
