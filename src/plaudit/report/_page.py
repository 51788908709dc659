"""A report: one HTML file that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from pathlib import Path

from plaudit.errors import RunError
from plaudit.records import replace_file
from plaudit.report._html import Html, asset, escape, paragraph


class Page:
    """A page that is put together section by section and written as one file without any address in it.

    Nothing is fetched, and the page's own policy forbids it: a text that comes out of a model cannot load or run anything, even
    where escaping it had been forgotten. It follows the reader's light or dark setting, fits a phone and prints.

    Fields:
        title, subtitle: the head.
        language: of the page's own words.

    >>> page = Page("Run 7", "100 rows").add("Values", "All of them are 1.")
    >>> "All of them are 1." in page.html()
    True
    """

    def __init__(self, title: str, subtitle: str = "", *, head: str = "", foot: str = "", language: str = "en") -> None:
        self.title, self.subtitle, self.language = title, subtitle, language
        self._head, self._foot = [head] if head else [], foot
        self._sections: list[tuple[str, str, list[str]]] = []

    def add(self, title: str, *blocks: str, lead: str = "") -> Page:
        """Add a section; a block that is plain text becomes a paragraph. `lead` says in a sentence what it shows.

        Returns the page, so that calls can follow each other.
        """
        anchor = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "section"
        taken = {known for known, _, _ in self._sections}
        name, k = anchor, 2
        while name in taken:
            name, k = f"{anchor}-{k}", k + 1
        opening = [paragraph(lead, "lead")] if lead else []
        self._sections.append((name, title, [*opening, *map(_block, blocks)]))
        return self

    def head(self, *blocks: str) -> Page:
        """Add blocks between the title and the first section. Returns the page."""
        self._head += list(blocks)
        return self

    def html(self) -> str:
        """The whole page as text."""
        style, script = asset("page.css"), asset("page.js")
        policy = (
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
            f"script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        )
        contents = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title, _ in self._sections)
        nav = f'<nav aria-label="Contents"><ul class="contents">{contents}</ul></nav>' if len(self._sections) > 1 else ""
        subtitle = f'<p class="subtitle">{escape(self.subtitle)}</p>' if self.subtitle else ""
        sections = "\n".join(
            f'<section id="{name}" aria-labelledby="h-{name}"><h2 id="h-{name}">{escape(title)}</h2>{"".join(blocks)}</section>'
            for name, title, blocks in self._sections
        )
        head = "".join(map(_block, self._head))
        foot = f'<footer class="foot">{_block(self._foot)}</footer>' if self._foot else ""
        return (
            f'<!doctype html>\n<html lang="{escape(self.language)}">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f'<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n'
            f'<title>{escape(self.title)}</title>\n<style>{style}</style>\n</head>\n<body class="plaudit">\n'
            f'<a class="skip" href="#content">Skip to the content</a>\n'
            f'<header class="top"><h1>{escape(self.title)}</h1>{subtitle}{head}{nav}</header>\n'
            f'<main id="content">\n{sections}\n</main>\n{foot}\n<script>{script}</script>\n</body>\n</html>\n'
        )

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the page; the file is there whole or not at all. Raises RunError when it cannot be written.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Page("Empty").write(f"{folder}/report.html").stat().st_size > 1000
        True
        """
        target = Path(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with replace_file(target) as file:
                file.write(self.html().encode("utf-8"))
        except OSError as error:
            raise RunError(f"{target} cannot be written: {error.strerror or error}") from error
        return target

    def _repr_html_(self) -> str:
        from plaudit.report._html import standalone

        inner = "".join(f"<h2>{escape(title)}</h2>{''.join(blocks)}" for _, title, blocks in self._sections)
        return standalone(f"<h1>{escape(self.title)}</h1>{inner}")


def _block(block: str) -> str:
    return block if isinstance(block, Html) else paragraph(block)
