"""The folder of a training: what it is of, its history, and checkpoints that are there whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plaudit.align._config import GrpoConfig
from plaudit.align._update import Learner
from plaudit.errors import RunError
from plaudit.records import PARTIAL, replace_file
from plaudit.reward import Reward, stateful_leaves
from plaudit.worlds import Policy

_MANIFEST, _HISTORY, _PREFIX = "training.json", "history.jsonl", "checkpoint-"
_STATE, _TENSORS = "training_state.json", "optimizer.pt"


class TrainingFolder:
    """Where a training writes; one process at a time.

    Fields:
        path: holds ``training.json`` (what it is of), ``history.jsonl`` (a line for each step) and ``checkpoint-NNNNNN``
            (a folder that ``from_pretrained`` loads, with the optimizer and the random numbers' state beside the weights).
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def claimed(self, manifest: Mapping[str, Any], resume: bool) -> Iterator[None]:
        """Hold the folder for a training described by `manifest`.

        Raises RunError when another process writes it, it holds another training, or one that was not to be resumed.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunError(f"the folder {self.path} is being written by another training: choose another folder") from None
            self._settle(json.loads(json.dumps(manifest, default=str)), resume)
            yield

    def _settle(self, manifest: dict[str, Any], resume: bool) -> None:
        path = self.path / _MANIFEST
        if not path.exists():
            foreign = [p.name for p in self.path.iterdir() if p.name != ".lock"]
            if foreign:
                raise RunError(f"the folder {self.path} is not empty and holds no training (it has {foreign[0]}): choose another")
            with replace_file(path) as file:
                file.write(json.dumps(manifest, indent=2).encode() + b"\n")
            return
        if not resume:
            raise RunError(f"the folder {self.path} holds a training already: resume it (resume=True), or choose another folder")
        try:
            old = json.loads(path.read_bytes())
        except ValueError as error:
            raise RunError(f"{path} cannot be read ({error}): choose another folder") from error
        other = [name for name, value in manifest.items() if old.get(name) != value]
        if other:
            said = "; ".join(f"{name} was {old.get(name)!r:.300}, is {manifest[name]!r:.300}" for name in other)
            raise RunError(f"the folder {self.path} holds another training ({said}): choose another folder")
        for partial in self.path.glob(f".*{PARTIAL}"):
            shutil.rmtree(partial) if partial.is_dir() else partial.unlink()

    def checkpoints(self) -> list[tuple[int, Path]]:
        """The whole checkpoints by their number of steps, in order."""
        found = [(p.name.removeprefix(_PREFIX), p) for p in self.path.glob(f"{_PREFIX}*")]
        return sorted((int(number), path) for number, path in found if number.isdecimal())

    def save(self, policy: Policy, learner: Learner, reward: Reward, step: int, keep: int) -> Path:
        """Write the state after `step` steps, and delete all but the newest `keep`."""
        import torch

        target = self.path / f"{_PREFIX}{step:06d}"
        if target.exists():
            return target
        partial = self.path / f".{target.name}.{os.getpid()}{PARTIAL}"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            with _no_progress_bar():
                policy.model.save_pretrained(partial)
            policy.tokenizer.save_pretrained(partial)
            generators = {"cpu": torch.get_rng_state()}
            if policy.model.device.type == "cuda":
                generators["cuda"] = torch.cuda.get_rng_state(policy.model.device)
            torch.save({"optimizer": learner.optimizer.state_dict(), "generators": generators}, partial / _TENSORS)
            states = [_plain(leaf.state_dict()) for leaf in stateful_leaves(reward)]
            (partial / _STATE).write_text(json.dumps({"step": step, "rewards": states}) + "\n")
            for path in partial.iterdir():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            partial.rename(target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        for _, old in self.checkpoints()[:-keep]:
            shutil.rmtree(old)
        return target

    def load(self, policy: Policy, learner: Learner, reward: Reward) -> int:
        """Put the newest checkpoint's state back; how many steps it has behind it, 0 = there is none."""
        import torch
        from safetensors.torch import load_model

        found = self.checkpoints()
        if not found:
            return 0
        step, path = found[-1]
        try:
            load_model(policy.model, path / "model.safetensors", strict=True, device=str(policy.model.device))
            tensors = torch.load(path / _TENSORS, weights_only=True, map_location="cpu")
            state = json.loads((path / _STATE).read_bytes())
            learner.optimizer.load_state_dict(tensors["optimizer"])
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise RunError(f"{path} cannot be read ({error}): delete it to go on from the one before") from error
        torch.set_rng_state(tensors["generators"]["cpu"])
        if "cuda" in tensors["generators"] and policy.model.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["generators"]["cuda"], policy.model.device)
        for leaf, numbers in zip(stateful_leaves(reward), state["rewards"], strict=True):
            leaf.load_state_dict(numbers)
        return step

    def history(self, steps: int) -> list[dict[str, float]]:
        """The lines of steps up to `steps`; what came after the checkpoint is taken out of the file."""
        path = self.path / _HISTORY
        rows = []
        for line in path.read_bytes().split(b"\n") if path.exists() else []:
            with contextlib.suppress(ValueError):  # the last line of a process that was killed may be half written
                row = json.loads(line)
                if row["step"] <= steps:
                    rows.append(row)
        with replace_file(path) as file:
            file.write(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        return rows

    def append(self, row: Mapping[str, float]) -> None:
        """One more line of the history."""
        with (self.path / _HISTORY).open("ab") as file:
            file.write(json.dumps(row).encode() + b"\n")


def manifest_of(config: GrpoConfig, reward: Reward, problems: str, model: Any, reference: Any | None) -> dict[str, Any]:
    """What a training is of; two with the same manifest go the same way, on the same machine and threads."""
    found = {
        "algorithm": "grpo",
        "config": asdict(config),
        "reward": reward.fingerprint,
        "problems": problems,
        "weights": digest_of_weights(model),
    }
    return found if reference is None else found | {"reference": digest_of_weights(reference)}


def digest_of_weights(model: Any) -> str:
    """What tells one model's weights from another's."""
    import torch

    found = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Without transformers' bar for every checkpoint that is written."""
    import transformers.utils

    logging: Any = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _plain(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.tolist() if hasattr(value, "tolist") else value for name, value in state.items()}
