"""Run folders to report on, and the most hostile text that a model may write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from plaudit.records import digest_file, read_samples
from plaudit.reward import from_spec, leaves, score_stream
from plaudit.run import RunFolder

HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\u202egnp.exe\x00\ud83d \u200b'\"&"
)

SPEC = {
    "use": "sum",
    "weights": {"correct": 1.0, "steps": 0.5},
    "parts": {"correct": {"use": "worlds.arithmetic_answer"}, "steps": {"use": "worlds.arithmetic_steps"}},
}
_WHOLE = HOSTILE.replace("\ud83d", "")  # half a surrogate pair makes a row unreadable before it is scored
ROWS = [
    {"id": "right", "prompt": "3+4*5=?\n", "completion": "4*5=20\n3+20=23\n#### 23", "reference": "23"},
    {"id": "slip", "prompt": "3+4*5=?\n", "completion": "4*5=20\n3+20=24\n#### 24", "reference": "23"},
    {"id": "half", "prompt": "2+2+2=?\n", "completion": "2+2=4\n4+2=7\n#### 6", "reference": "6"},
    {"id": "best", "prompt": "1+1=?\n", "completion": "1+1=2\n#### 2", "reference": "2"},
    {"id": _WHOLE, "prompt": "1+2=?\n", "completion": _WHOLE, "reference": "3"},
    {"id": "else", "prompt": _WHOLE, "completion": "x" * 1_000_000, "reference": "3"},
]


def score(folder: Path, spec: dict[str, Any], data: Path, *, ended: bool = True) -> Path:
    """A run folder as the command line writes it."""
    reward = from_spec(spec)
    manifest = {
        "fingerprint": reward.fingerprint, "data_sha256": digest_file(data), "columns": {}, "limit": None,
        "reward": "reward.yaml", "name": reward.name, "spec": reward.spec, "data": str(data), "seed": 0,
        "command": f"plaudit score reward.yaml {data.name}", "started": "2026-01-02T03:04:05+0000", "versions": {"plaudit": "0"},
    }  # fmt: skip
    with RunFolder.open(folder, manifest) as run:
        score_stream(reward, lambda on_reject: read_samples(data, on_reject=on_reject), run)
        if ended:
            found = [{"name": leaf.name, "column": leaf.name, "weight": leaf.weight} for leaf in leaves(reward)]
            run.finish({"seconds": 0.5, "per_second": 12.0, "leaves": found})
    return folder
