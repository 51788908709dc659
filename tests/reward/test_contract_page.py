"""The Python on the pages runs as it stands there."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["contract.md", "rooms/compose.md", "rooms/search.md", "rooms/stress.md", "rooms/sandbox.md"])
def test_every_python_block_of_the_page_runs(page):
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    names = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block, page, "exec"), names)


def test_the_checks_that_the_page_lists_are_those_that_are_made():
    from plaudit.reward import check_reward, reward

    text = (DOCS / "contract.md").read_text()
    listed = text[text.index("| check |") : text.index("A reward that declares `deterministic")]
    names = {name for row in listed.splitlines()[2:] if row for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    report = check_reward(reward(lambda response: 1.0, range=(0, 1)))
    assert names == {finding.check for finding in report}
