"""``python -m plaudit.cli``."""

import sys

from plaudit.cli._main import main

if __name__ == "__main__":
    sys.exit(main())
