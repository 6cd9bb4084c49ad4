"""A PostgreSQL server of its own on a socket in a temporary folder, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


class NoServer(Exception):
    """PostgreSQL is not here, or cannot be started."""


@contextlib.contextmanager
def postgres_server() -> Iterator[tuple[list[str], int]]:
    """The psql command that reaches it, and its process id. Raises NoServer."""
    servers = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    found = servers[-1] if servers else shutil.which("pg_ctl")
    if not found or not shutil.which("psql"):
        raise NoServer("no PostgreSQL")
    programs = Path(found).parent
    other: dict[str, str] = {}
    if os.getuid() == 0:  # the server refuses to run as root
        users = {entry.pw_name for entry in pwd.getpwall()} & {"postgres", "nobody"}
        if not users:
            raise NoServer("no user to run PostgreSQL as")
        other = {"user": max(users)}
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        folder = Path(name)
        if other:
            shutil.chown(folder, other["user"])

        def call(program: str, *words: str) -> None:
            subprocess.run([programs / program, *words], check=True, cwd=folder, stdout=subprocess.DEVNULL, **other)

        call("initdb", "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
        call("pg_ctl", "-D", f"{folder}/data", "-w", "-l", f"{folder}/log", "-o",
             f"-k {folder} -c listen_addresses='' -c fsync=off", "start")
        try:
            process = int((folder / "data/postmaster.pid").read_text().split()[0])
            yield ["psql", "-h", name, "-U", "postgres", "-X", "-q", "-v", "ON_ERROR_STOP=1", "--csv", "-t"], process
        finally:
            call("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop")
