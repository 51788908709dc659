"""Makes the scripts' folder importable, for `trainers`; the scripts themselves are run, not collected."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

collect_ignore = ["grpo_run.py", "verl_run.py", "ranks_run.py", "verl_functions.py"]
