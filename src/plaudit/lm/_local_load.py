"""`hf:NAME_OR_FOLDER` and `world:NAME`: local models by address, loaded once and shared while somebody holds them."""

from __future__ import annotations

import hashlib
import importlib
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import parse_qsl
from weakref import WeakValueDictionary

import numpy as np

from plaudit import catalog
from plaudit.errors import MissingExtra, ModelError, SpecError
from plaudit.lm._local import LocalModel, Tokens
from plaudit.lm._local_decoding import DrawnRow, Plan
from plaudit.worlds import Policy, draw, load_policy, policy_folder

if TYPE_CHECKING:
    import torch

_DTYPES = ("auto", "float32", "bfloat16", "float16")
_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt", "spiece.model", "tekken.json",
)  # fmt: skip
_READ_SUFFIXES = frozenset((".safetensors", ".bin", ".json", ".model", ".txt", ".jinja", ".tiktoken"))
_loaded: WeakValueDictionary[tuple[Any, ...], LocalModel] = WeakValueDictionary()
_loading = threading.Lock()
_Model = TypeVar("_Model", bound=LocalModel)


@dataclass(frozen=True, slots=True)
class _Options:
    """The options of an address, as they were given; None = not given."""

    device: str | None = None
    dtype: str | None = None
    max_tokens: int | None = None
    batch_tokens: int | None = None
    revision: str | None = None

    NUMBERS: ClassVar[tuple[str, ...]] = ("max_tokens", "batch_tokens")

    @property
    def limit(self) -> str:
        """What a version says of a limit of its own: completions depend on it where the sampling does not say."""
        return "" if self.max_tokens is None else f"+max_tokens={self.max_tokens}"


def hf_model(rest: str) -> LocalModel:
    """The model of an address ``hf:NAME_OR_FOLDER`` or ``hf:NAME_OR_FOLDER?OPTION=VALUE&…``.

    A folder is taken by its path, anything else is a name at the hub or in its cache; ``HF_HUB_OFFLINE=1`` keeps to the cache.
    Code that comes with a model is not run. The version is the digest of the folder's files, or the hub's revision, with the
    number type and a `max_tokens` that was given.

    Options: ``device`` (as torch names it; default a GPU where there is one), ``dtype`` (float32, bfloat16, float16, or auto =
    as the files have it; default float32 on a CPU, else auto), ``max_tokens`` (of a completion, 1,024), ``batch_tokens``,
    ``revision`` (of the hub).

    Raises SpecError for an unknown or repeated option and a value of the wrong type, ModelError for a model or tokenizer that
    cannot be loaded or do not belong together, MissingExtra without torch and transformers.

    >>> from plaudit.worlds import policy_folder
    >>> model = hf_model(f"{policy_folder()}?device=cpu&max_tokens=40")
    >>> model.network.context, model.max_tokens
    (256, 40)
    """
    name, options = _parsed("hf", rest, ("device", "dtype", "max_tokens", "batch_tokens", "revision"))
    if not name:
        raise SpecError("model address 'hf:': expected 'hf:NAME_OR_FOLDER', for example 'hf:Qwen/Qwen3-0.6B'")
    _need_transformers()
    folder = _folder(name)
    if folder is not None and options.revision is not None:
        raise SpecError(f"model address 'hf:{name}?…': revision goes with a name at the hub, and {name} is a folder")
    content = None if folder is None else folder_digest(folder)
    with _loading:
        key = ("hf", name, content, options)
        model = _loaded.get(key)
        if model is None:
            model = _loaded[key] = _loaded_from_files(rest, name, folder, content, options)
        return model


def world_model(rest: str) -> WorldModel:
    """The shipped tiny policy of an address ``world:arithmetic[-weak|-strong]``, options as in `hf_model` but for ``dtype``.

    Raises SpecError for an unknown name or option.

    >>> model = world_model("arithmetic-strong")
    >>> [[completion]] = model.generate([[{"role": "user", "content": "7+5=?\\n"}]])
    >>> completion.text
    '7+5=12\\n#### 12'
    """
    name, options = _parsed("world", rest, ("device", "max_tokens", "batch_tokens"))
    try:
        folder = policy_folder(name)
    except ModelError as error:
        raise SpecError(f"model address 'world:{name}': {error}") from error
    _need_transformers()
    with _loading:
        key = ("world", name, options)
        model = _loaded.get(key)
        if not isinstance(model, WorldModel):
            device = _device(options.device, "world:" + name)
            policy = load_policy(name, str(device))
            model = WorldModel(
                policy.model,
                policy.tokenizer,
                address=f"world:{rest}",
                version=f"world:{name}@{folder_digest(folder)}{options.limit}",
                max_tokens=WORLD_MAX_TOKENS if options.max_tokens is None else options.max_tokens,
                batch_tokens=options.batch_tokens,
            )
            model._origin = (world_model, (rest,))
            _loaded[key] = model
        return model


WORLD_MAX_TOKENS = 192
"""Of a completion of a tiny policy by default: with a context of 256 it leaves room for a prompt of 64."""


class WorldModel(LocalModel):
    """A tiny policy of the worlds: it draws with the worlds' own sampler, which is about twice as quick.

    That sampler knows no top_p, stop strings or deadline: with them, or when a completion would pass the context, the same
    completions are drawn as any `LocalModel` draws them. A call without them is not cancelled half-way.
    """

    def _draw(self, prompts: Sequence[Tokens], n: int, plan: Plan) -> list[DrawnRow]:
        longest = max(map(len, prompts), default=0)
        room = (self.network.context or longest) - longest
        plain = plan.top_p == 1 and not plan.stop and plan.deadline is None
        if not prompts or not plain or plan.max_tokens > room or plan.ends != {self.tokenizer.eos_token_id}:
            return super()._draw(prompts, n, plan)
        texts = self.tokenizer.batch_decode([tokens.tolist() for tokens in prompts])
        policy = Policy(self.model, self.tokenizer)
        drawn = draw(policy, texts, n, plan.temperature, plan.seed, plan.max_tokens)
        return [
            DrawnRow(drawn.tokens[k, :length].astype(np.int64), drawn.logprobs[k, :length], bool(drawn.ended[k]))
            for k, length in enumerate(drawn.lengths)
        ]


def folder_digest(folder: Path) -> str:
    """Digest of the files of a model's folder that its outputs may depend on: weights, configurations, tokenizer, template.

    >>> from plaudit.worlds import policy_folder
    >>> len(folder_digest(policy_folder()))
    32
    """
    whole = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in _READ_SUFFIXES and path.is_file():
            with path.open("rb") as file:
                whole.update(f"{path.name}\n{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()[:32]


def _parsed(scheme: str, rest: str, known: Sequence[str]) -> tuple[str, _Options]:
    name, _, query = rest.partition("?")
    where = f"model address '{scheme}:{name}?…'"
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=20) if query else []
    except ValueError as error:
        raise SpecError(f"{where}: the options cannot be read ({error}): expected NAME=VALUE&…") from error
    options: dict[str, Any] = {}
    for option, text in pairs:
        if option not in known:
            raise SpecError(f"{where}: unknown option {option!r}{catalog.nearest(option, list(known))}")
        if option in options:
            raise SpecError(f"{where}: {option!r} is given twice")
        if option in _Options.NUMBERS and not (text.isascii() and text.isdecimal() and int(text) > 0):
            raise SpecError(f"{where}: {option} is {text!r}: expected a whole number of at least 1")
        options[option] = int(text) if option in _Options.NUMBERS else text
    if options.get("dtype", "auto") not in _DTYPES:
        raise SpecError(f"{where}: dtype is {options['dtype']!r}: expected one of {', '.join(_DTYPES)}")
    return name, _Options(**options)


def _need_transformers() -> None:
    try:
        for name in ("torch", "transformers"):
            importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(error.name or "transformers", "learn") from error


def _folder(name: str) -> Path | None:
    """The folder that a name means; None = it is a name at the hub.

    Raises ModelError for a path where no folder is.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if name.startswith(("/", ".", "~")) or name.count("/") > 1:
        raise ModelError(f"hf:{name}: there is no folder {path}")
    return None


def _device(name: str | None, address: str) -> torch.device:
    import torch

    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(f"{address}: device {name!r} cannot be used: {error}") from error
    return device


def _loaded_from_files(rest: str, name: str, folder: Path | None, content: str | None, options: _Options) -> LocalModel:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    address = f"hf:{rest}"
    device = _device(options.device, address)
    if folder is not None and not any((folder / file).is_file() for file in _TOKENIZER_FILES):
        raise ModelError(f"{address}: the folder has no tokenizer (none of {', '.join(_TOKENIZER_FILES[:4])}, …)")
    dtype = options.dtype or ("float32" if device.type == "cpu" else "auto")
    where: Mapping[str, Any] = {
        "local_files_only": folder is not None or _is_offline(),
        "trust_remote_code": False,
        **({"revision": options.revision} if options.revision is not None else {}),
    }
    source = str(folder) if folder is not None else name
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **where)
    except Exception as error:  # files of a stranger may fail in any way
        raise ModelError(f"{address}: its tokenizer cannot be loaded: {error}") from error
    try:
        live: Any = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, **where)
    except Exception as error:
        raise ModelError(f"{address}: it cannot be loaded as a causal language model: {error}") from error
    live.to(device).eval()
    revision = content or getattr(live.config, "_commit_hash", None)
    number_type = str(live.dtype).removeprefix("torch.")
    label = "hf:" if folder is not None else f"hf:{name}"
    model = LocalModel(
        live,
        tokenizer,
        address=address,
        version=None if revision is None else f"{label}@{revision}+{number_type}{options.limit}",
        **{name: value for name in _Options.NUMBERS if (value := getattr(options, name)) is not None},
    )
    model._origin = (hf_model, (rest,))
    return model


def _is_offline() -> bool:
    return any(
        os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    )
