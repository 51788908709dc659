"""The Python on the room's page runs as it stands there."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "rooms" / "reproduce.md"


def test_every_python_block_of_the_page_runs_and_its_claim_holds():
    names = {"__name__": "__main__"}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["finding"].holds, names["finding"]
