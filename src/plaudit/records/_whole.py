"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PARTIAL = ".partial"
"""How the name of an unfinished file ends; whoever owns the folder may delete such files."""


@contextlib.contextmanager
def replace_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when the block ends without an error.

    The bytes go to ``.NAME.PID.partial`` beside it, reach the disk, and are renamed: a reader, a crash or a full disk sees the
    old file or the new one, never a half. Raises OSError; an error inside the block removes the unfinished file and passes on.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replace_file(pathlib.Path(folder, "a.txt")) as file:
    ...         _ = file.write(b"whole")
    ...     print(sorted(p.name for p in pathlib.Path(folder).iterdir()))
    ['a.txt']
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}{PARTIAL}")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    # The rename itself must survive a power cut. Some file systems cannot sync a folder; the file is then still whole.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
