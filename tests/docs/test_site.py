"""The documentation builds without a broken link, and its how-to pages show the examples that are tested."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_site_builds_with_strict_links(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "site" / "how-to" / "own-reward.html").read_text()
    assert "shows_work" in page, "the example is not on its page"


def test_every_example_that_a_page_shows_is_there():
    shown = [name for page in (ROOT / "docs").rglob("*.md") for name in re.findall(r'--8<-- "(.*?)"', page.read_text())]
    assert shown
    for name in shown:
        assert (ROOT / name).is_file()


def test_every_room_has_a_page():
    rooms = {p.name for p in (ROOT / "src" / "plaudit").iterdir() if (p / "__init__.py").is_file()}
    without = rooms - {p.stem for p in (ROOT / "docs" / "rooms").glob("*.md")}
    # types, reward, run and wire are the contract's own pages; cli has one that is generated.
    assert without <= {"types", "reward", "run", "wire", "cli", "quickstart"}, without
