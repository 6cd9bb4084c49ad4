"""``ibc version``: versions and devices, as a report of an error needs them."""

from __future__ import annotations

import contextlib
import platform
from dataclasses import dataclass
from typing import Any

from ibc.commands.command import Command, CommandParser, add_json_flag, command_parser, speaker

EXAMPLE = "{prog}\n{prog} --json -"
# Libraries that no result depends on, but an error may. What results depend on: ibc.json_report.versions.
OTHERS = ("triton", "h5py", "matplotlib", "simplejpeg", "imagehash", "pyarrow", "faiss-cpu", "onnx", "onnxruntime")


@dataclass(frozen=True)
class VersionOptions:
    """The flags of ``ibc version``."""

    json_path: str | None


def build_parser(prog: str | None = None) -> CommandParser:
    """The flags of ``ibc version``, with their help."""
    parser = command_parser("Print the versions of the package and of the libraries it uses, and the devices it finds. "
                            "Names of files and users are not among them.", EXAMPLE, prog)
    add_json_flag(parser)
    return parser


def run(options: VersionOptions) -> None:
    """Print versions and devices, and write them as JSON where that is asked for."""
    from ibc.json_report import versions, write_json

    others, found = _others(), devices()
    lines = {**versions(), **others, **found}
    say = speaker(options.json_path)
    width = max(map(len, lines))
    for name, value in lines.items():
        say(f"{name:{width}}  {value}")
    if options.json_path:
        write_json(options.json_path, command="version", seed=None, protocol={}, inputs=[],
                   metrics={"libraries": others, **found})


def _others() -> dict[str, str]:
    """Versions of those of ``OTHERS`` that are installed."""
    from importlib import metadata

    found = {}
    for name in OTHERS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def devices() -> dict[str, Any]:
    """System, processor, cores that this process may use, CUDA version of torch, and names of the GPUs."""
    import torch

    from ibc.cores import usable_cores

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    gpus = [f"{torch.cuda.get_device_name(number)}, {torch.cuda.get_device_properties(number).total_memory >> 30} GiB"
            for number in range(count)]
    return {
        "system": platform.platform(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "cores": usable_cores(),
        "cuda": torch.version.cuda or "none",
        "gpus": "; ".join(gpus) or "none",
    }


COMMAND = Command(build_parser, VersionOptions, run)
