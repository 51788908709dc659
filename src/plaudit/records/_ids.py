"""The ids of a file: no two samples share one."""

from __future__ import annotations

from array import array
from hashlib import blake2b

from plaudit.records._rejected import RowError

_LONG = 64
_DIGITS = "123456789"


class Ids:
    """Remembers which ids are taken and by which line.

    Ids that the file gives are kept (long ones as digests): about 150 bytes each. Ids that are line numbers cost four bytes.
    """

    def __init__(self) -> None:
        self._said: dict[str | bytes, int] = {}
        self._implied = array("I")  # by line: 0 = nothing, 1 = one response, n + 1 = n candidates

    def claim(self, said: str | None, line: int) -> str:
        """The id of a row with one response: what the row says, else its line. Raises RowError when it is taken."""
        if said is None:
            name = str(line)
            if self._said:
                self._refuse_taken(name)
            self._note(line, 1)
            return name
        self._take(said, line)
        return said

    def claim_many(self, said: str | None, line: int, n: int) -> list[str]:
        """The ids ``ROW/K`` of the n candidates of a row. Raises RowError when one is taken."""
        base = str(line) if said is None else said
        names = [f"{base}/{k}" for k in range(n)]
        if said is None and not self._said:
            self._note(line, n + 1)
            return names
        for name in names:
            self._refuse_taken(name)
        if said is None:
            self._note(line, n + 1)
        else:
            for name in names:
                self._take(name, line)
        return names

    def _take(self, name: str, line: int) -> None:
        earlier: int | None = self._said.setdefault(name if len(name) <= _LONG else _key(name), line)
        if earlier == line:
            earlier = self._implied_line(name) if self._implied and name[0] in _DIGITS else None
            if earlier is not None:
                del self._said[_key(name)]
        if earlier is not None:
            raise _taken(name, earlier)

    def _refuse_taken(self, name: str) -> None:
        line = self._said.get(_key(name))
        if line is None and name[0] in _DIGITS:
            line = self._implied_line(name)
        if line is not None:
            raise _taken(name, line)

    def _implied_line(self, name: str) -> int | None:
        head, slash, tail = name.partition("/")
        if len(head) > 10 or not head.isascii() or not head.isdigit() or int(head) >= len(self._implied):
            return None
        kind = self._implied[int(head)]
        if slash:
            candidate = tail.isascii() and tail.isdigit() and len(tail) < 10 and str(int(tail)) == tail and int(tail) < kind - 1
            return int(head) if candidate else None
        return int(head) if kind == 1 else None

    def _note(self, line: int, kind: int) -> None:
        missing = line + 1 - len(self._implied)
        if missing > 1:
            self._implied.frombytes(bytes(self._implied.itemsize * (missing - 1)))
        self._implied.append(kind)


def _key(name: str) -> str | bytes:
    return name if len(name) <= _LONG else blake2b(name.encode("utf-8"), digest_size=16).digest()


def _taken(name: str, line: int) -> RowError:
    return RowError("id", f"{name[:80]!r} is already the id of row {line}: each sample needs an id of its own")
