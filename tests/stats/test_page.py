"""The Python on the room's page runs as it stands there."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "rooms" / "stats.md"


def test_every_python_block_of_the_page_runs():
    import plaudit.stats

    text = PAGE.read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), {})
    named = set(re.findall(r"`(\w+)", text))
    functions = {name for name in plaudit.stats.__all__ if name[0].islower()}
    assert functions <= named, "the page lists every function"
