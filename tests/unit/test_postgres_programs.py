"""PostgreSQL's programs are readable by the server's user, whole, and nobody else's."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.stack import StackError
from sandbox.stack.postgres_programs import SERVER, copy_programs, is_open_to_all, public_folder, wheel_package


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter, unlike pytest's."""
    with tempfile.TemporaryDirectory(dir=public_folder()) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_programs_are_copied_to_where_every_user_can_run_them(open_folder: Path) -> None:
    target = copy_programs(wheel_package(), open_folder)

    assert is_open_to_all(target)
    assert stat.S_IMODE((target / "bin/postgres").stat().st_mode) == 0o755
    done = subprocess.run([target / "bin/postgres", "-V"], capture_output=True, text=True, check=True, env={})
    assert " 18." in done.stdout


def test_copy_that_lost_a_file_is_made_anew(tmp_path: Path) -> None:
    """Cleaners of temporary folders remove what was not read for days, file by file."""
    target = copy_programs(wheel_package(), tmp_path)
    lost = target / "share/postgresql/postgresql.conf.sample"
    lost.unlink()

    assert target == copy_programs(wheel_package(), tmp_path)
    assert lost.exists()


def test_copy_of_somebody_else_is_refused(tmp_path: Path) -> None:
    target = copy_programs(wheel_package(), tmp_path)
    made = target.parents[1]
    made.chmod(0o777)

    with pytest.raises(StackError, match="belongs to somebody else"):
        copy_programs(wheel_package(), tmp_path)
    assert target.name == SERVER


def test_folder_closed_to_others_is_noticed(tmp_path: Path) -> None:
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)

    assert not is_open_to_all(inner)
    assert os.access(inner, os.R_OK)
