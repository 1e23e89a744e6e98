"""Finds a PostgreSQL that may be run, as a user that may run it, and a data folder ready to be copied.

PostgreSQL refuses to run as root. Started by root, it runs as `nobody`, who must be able to read the programs:
where they lie behind a closed folder (a clone in /root) they are copied to a readable place once. No user is
created and no permission of an existing folder is changed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from sandbox.stack.cache import Cache, Progress
from sandbox.stack.errors import StackError, StartFailed
from sandbox.stack.postgres_programs import (
    SERVER,
    WHEEL,
    copy_programs,
    is_open_to_all,
    public_folder,
    wheel_package,
)

DATABASE = "payonce"
UNPRIVILEGED = "nobody"


@dataclass(frozen=True, slots=True)
class PostgresInstall:
    """Programs, the user to run them as (None: ourselves) and the template of a data folder."""

    programs: Path
    user: tuple[int, int] | None
    template: Path

    def program(self, name: str) -> str:
        return str(self.programs / "bin" / name)

    def copy_template(self, data: Path) -> None:
        """Make `data` an initialised, never started data folder that belongs to the server's user."""
        shutil.copytree(self.template, data)
        data.chmod(0o700)
        if self.user:
            own(data, self.user)


def server_env() -> dict[str, str]:
    """PostgreSQL's environment: nothing of the caller's locale, time zone or PG* variables."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def prepare_postgres(cache: Cache, on_progress: Progress) -> PostgresInstall:
    """Find or make all three. Blocks for about 3 s the first time. Raises StackError or StartFailed."""
    user = server_user()
    with cache.locked("postgres", on_progress):
        programs = reachable_programs(user)
        template = cache.path(f"postgresql-{version(WHEEL)}")
        install = PostgresInstall(programs, user, template)
        if not template.exists():
            cache.require_space()
            on_progress("PostgreSQL: initialising the template database, once")
            _make_template(cache, install)
    return install


def server_user() -> tuple[int, int] | None:
    """(uid, gid) to run the server as, or None for ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        raise StackError(
            f"started by root, PostgreSQL runs as the user {UNPRIVILEGED!r}, which this system lacks: "
            "start the stack as another user"
        ) from None
    return entry.pw_uid, entry.pw_gid


def reachable_programs(user: tuple[int, int] | None) -> Path:
    """Find the folder with bin/, lib/ and share/ where `user` can run them; copy it if need be."""
    package = wheel_package()
    if user is None or is_open_to_all(package):
        return package / SERVER
    return copy_programs(package, public_folder())


def own(folder: Path, user: tuple[int, int]) -> None:
    """Give a folder of ours and all in it to `user`."""
    for parent, _, files in os.walk(folder):
        os.chown(parent, *user)
        for file in files:
            os.chown(Path(parent, file), *user)


def _make_template(cache: Cache, install: PostgresInstall) -> None:
    # Made where the server's user may work, then copied to the cache, which may be closed to that user.
    with tempfile.TemporaryDirectory(prefix="payonce-initdb-", dir=public_folder()) as scratch:
        data = Path(scratch, "data")
        data.mkdir(mode=0o700)
        if install.user:
            Path(scratch).chmod(0o711)
            own(data, install.user)
        words = f"-U {DATABASE} -A trust -E UTF8 --no-sync"
        locale = "--locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C"
        _run(install, [install.program("initdb"), "-D", str(data), *words.split(), *locale.split()])
        # Single-user mode: no port, no socket, nobody else.
        single = [install.program("postgres"), "--single", "-D", str(data), "postgres"]
        _run(install, single, f"CREATE DATABASE {DATABASE}\n")
        with cache.making(install.template) as draft:
            shutil.copytree(data, draft, dirs_exist_ok=True)


def _run(install: PostgresInstall, argv: list[str], text: str = "") -> None:
    user = install.user
    done = subprocess.run(
        argv,
        input=text,
        env=server_env(),
        capture_output=True,
        text=True,
        check=False,
        cwd="/",  # the server's user may be unable to enter ours
        user=user[0] if user else None,
        group=user[1] if user else None,
        extra_groups=[] if user else None,
    )
    if done.returncode != 0 or "ERROR:" in done.stderr or "FATAL:" in done.stderr:
        raise StartFailed(f"{Path(argv[0]).name} failed with {done.returncode}\n{done.stdout}{done.stderr}")
