"""Where the trainers' other versions are installed, and how a script is run with one of them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def installed(name: str, variable: str) -> Path:
    """The folder of a library that was installed beside the environment; skips where it is not."""
    folders = [Path(os.environ[variable])] if variable in os.environ else sorted((ROOT / ".venv").glob(f"{name}-*"))
    for folder in folders:
        if (folder / name).is_dir():
            return folder
    pytest.skip(f"{name} is not installed under .venv/{name}-VERSION: run make setup, or set {variable} to its folder")


def run(script: str, out: Path, *, library: Path | None = None, ranks: int = 1, arguments: tuple[str, ...] = ()) -> list[Any]:
    """What a script wrote as JSON, for each of its processes; a library's folder comes first on the path."""
    port = _free_port()
    processes = []
    for rank in range(ranks):
        environment = {k: v for k, v in os.environ.items() if k not in ("WORLD_SIZE", "RANK", "LOCAL_RANK")}
        environment |= {"PYTHONPATH": str(library or ""), "RAY_AUTH_MODE": "disabled", "CUDA_VISIBLE_DEVICES": ""}
        environment |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        environment |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
        if ranks > 1:
            environment |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks)}
            environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
        log = (out / f"{rank}.log").open("w")
        command = [sys.executable, str(HERE / script), str(out / f"{rank}.json"), *arguments]
        processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=out))
        log.close()
    try:
        codes = [process.wait(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for rank, code in enumerate(codes):
        assert code == 0, f"{script}, process {rank}, ended with {code}:\n{(out / f'{rank}.log').read_text()[-4000:]}"
    return [json.loads((out / f"{rank}.json").read_text()) for rank in range(ranks)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
