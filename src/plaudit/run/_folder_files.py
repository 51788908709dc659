"""The files of a run folder: who may write it, whose it is, and what to say when it cannot be written."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plaudit.errors import RunError
from plaudit.records import PARTIAL, replace_file

MANIFEST, SUMMARY, PARTS = "manifest.json", "summary.json", "verdicts"
_REJECTED, _LOCK = "rejected.jsonl", ".lock"
_PART = re.compile(r"part-(\d{5,})\.parquet")


def lock_folder(folder: Path) -> int:
    """Take the folder's lock, which the kernel gives up when the process ends; raises RunError naming who holds it."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise disk_failure(folder / _LOCK, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace") or "unknown"
        os.close(descriptor)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise RunError(
                f"the run folder {folder} is being written by process {holder}: wait until it ends, or choose another folder"
            ) from None
        raise disk_failure(folder / _LOCK, error) from error
    with contextlib.suppress(OSError):  # the lock holds also where its owner's name finds no space
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} on {socket.gethostname()}".encode(), 0)
    return descriptor


def close_lock(descriptor: int, owner: int) -> None:
    """Give up the lock, unless this is a forked child of the process that took it."""
    if os.getpid() == owner:
        os.close(descriptor)


def claim_folder(folder: Path, manifest: dict[str, Any], resume: bool, overwrite: bool, identity: Sequence[str]) -> None:
    """Make the folder this run's own, or raise RunError when it is not to be had."""
    if (folder / MANIFEST).exists():
        if overwrite:
            _clear(folder)
        else:
            _refuse_other_runs(folder, manifest, resume, identity)
    else:
        _refuse_foreign(folder)
    (folder / PARTS).mkdir(exist_ok=True)
    for place in (folder, folder / PARTS):
        for unfinished in place.glob(f".*{PARTIAL}"):
            unfinished.unlink()
    if overwrite or not (folder / MANIFEST).exists():
        write_json(folder / MANIFEST, manifest)


def _refuse_other_runs(folder: Path, manifest: dict[str, Any], resume: bool, identity: Sequence[str]) -> None:
    ways = "choose another folder, or overwrite this one (--overwrite)"
    if not resume:
        raise RunError(f"the run folder {folder} holds a run already: resume it, {ways}")
    old = read_json(folder / MANIFEST)
    other = [
        f"{name} was {old.get(name)!r}, is {manifest.get(name)!r}" for name in identity if old.get(name) != manifest.get(name)
    ]
    if other:
        raise RunError(f"the run folder {folder} holds a run of another reward or other data ({'; '.join(other)}): {ways}")


def _refuse_foreign(folder: Path) -> None:
    """Raise RunError when a folder without a manifest has something in it that a run that just began has not."""
    foreign = [p.name for p in folder.iterdir() if p.name not in (_LOCK, PARTS) and not p.name.endswith(PARTIAL)]
    foreign += [part.name for _, part in committed_parts(folder)]
    if foreign:
        shown = ", ".join(sorted(foreign)[:3])
        raise RunError(f"the folder {folder} is not empty and holds no run (it has {shown}): choose another folder")


def _clear(folder: Path) -> None:
    """Delete the run in a folder and nothing else; its manifest stays until the new one takes its place."""
    for path in [folder / SUMMARY, folder / _REJECTED, *(part for _, part in committed_parts(folder))]:
        path.unlink(missing_ok=True)


def committed_parts(folder: Path) -> list[tuple[int, Path]]:
    """The committed parts with their numbers, in order."""
    place = folder / PARTS
    found = [(m, p) for p in place.iterdir() if (m := _PART.fullmatch(p.name))] if place.is_dir() else []
    return sorted((int(match[1]), path) for match, path in found)


def plain_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON values as they will be read back, so that old and new manifests compare."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(values), default=str))
    except (TypeError, ValueError, RecursionError) as error:
        raise RunError(f"the manifest or summary cannot be written as JSON: {error}") from error
    return plain


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write an object whole or not at all; raises RunError."""
    try:
        with replace_file(path) as file:
            file.write(json.dumps(values, indent=2).encode("ascii") + b"\n")
    except OSError as error:
        raise disk_failure(path, error) from error


def read_json(path: Path) -> dict[str, Any]:
    """An object out of a file of a run; raises RunError."""
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise RunError(f"{path.parent} holds no run: there is no {path.name} in it") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} cannot be read ({error}): delete the folder if it is not needed, or choose another") from error
    if not isinstance(values, dict):
        raise RunError(f"{path} holds no object: delete the folder if it is not needed, or choose another")
    return values


def disk_failure(path: Path, error: OSError) -> RunError:
    """An error of the disk as a RunError that says how much space is left."""
    place = next((folder for folder in (path, *path.parents) if folder.is_dir()), Path("/"))
    free = shutil.disk_usage(place).free / 1e6
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        why = f"no space left on the disk ({free:.1f} MB free): free some and resume, what was committed is safe"
    elif error.errno == errno.EFBIG:
        why = f"the file is larger than this process may write (ulimit -f; {free:.1f} MB free)"
    else:
        why = f"{error.strerror or error} ({free:.1f} MB free)"
    return RunError(f"{path} cannot be written: {why}")
