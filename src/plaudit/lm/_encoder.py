"""Encoders: texts in, vectors out, in the order given, each distinct text computed once."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import DataError, MissingExtra, ModelError, SpecError
from plaudit.lm._encoder_folder import EncoderFolder, Pooling, hub_or_local_folder, minilm_folder
from plaudit.lm._encoder_network import EncoderNetwork, Precision, network_for

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_ALGORITHM = "1"
"""Raised whenever the same weights and options would give other numbers."""
_CHUNK = 8_192
_CHARACTERS_A_TOKEN = 64
_CHOICES = {"dtype": ("bf16", "float32"), "pooling": ("mean", "cls", "last", None), "normalize": (True, False, None)}


class TextsTruncated(UserWarning):
    """Some texts were longer than an encoder's limit, and only their beginnings count."""


class _State:
    """What an encoder holds beside its configuration; a copy in another process starts anew."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.network: EncoderNetwork | None = None
        self.truncated = 0

    def __reduce__(self) -> tuple[type[_State], tuple[()]]:
        return _State, ()


@dataclass(frozen=True)
class TextEncoder:
    """A sentence encoder: one vector for each text, from a transformer's states over its tokens.

    Any number of threads may use one object. Pickled, it loads its weights again where it arrives. The weights are loaded at the
    first call; files, checksum and tokenizer are checked at construction.

    **Length.** Only the first `max_tokens` tokens of a text count (special tokens and prefix included), and of those only the
    ones within its first 64 x `max_tokens` characters. Texts cut in this way are counted in `truncated`, and the first call that
    cuts one warns `TextsTruncated`. The empty text has the vector of the model's special tokens alone; where a model adds none,
    a text without tokens has the zero vector. Characters that are no Unicode text (lone surrogates) are read as U+FFFD.

    **Precision.** ``bf16`` runs the network in bfloat16: a cosine of at least 0.999 with float32, several times the speed on a
    CPU with bfloat16 units. A text's vector then depends in its third digit on the texts that it is computed with.

    Fields:
        model: ``"minilm"``, the embedded all-MiniLM-L6-v2 (384 dimensions), or ``"hf:NAME"``: a model hub's name or a folder.
        pooling: mean over the tokens, first token, or last token; None = as the folder says, else mean.
        normalize: vectors of length 1; None = as the folder says, else yes.
        dtype: precision of the network; vectors are float32 in any case.
        max_tokens: None = as the folder says, else 512.
        prefix: stands before every text, as an instruction; part of `version`.
        device: ``"auto"`` (a GPU where torch sees one), ``"cpu"``, ``"cuda"``, …; not part of `version`.
        batch_tokens: most tokens of one batch, padding included.
        revision: of the model hub; None = its newest.

    Raises SpecError for a field outside these, ModelError when the model's files are missing, damaged or do not fit together,
    MissingExtra when a library is not installed.

    Source: "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks".

    >>> encoder = TextEncoder("minilm", dtype="float32")
    >>> a, b, c = encoder.encode(["a cat sat", "the cat sits", "stock prices fell"])
    >>> bool(a @ b > 0.5 > a @ c)
    True
    """

    model: str = "minilm"
    pooling: Pooling | None = None
    normalize: bool | None = None
    dtype: Precision = "bf16"
    max_tokens: int | None = None
    prefix: str = ""
    device: str = "auto"
    batch_tokens: int = 2_048
    revision: str | None = None
    _folder: EncoderFolder = field(init=False, repr=False, compare=False)
    _tokenizer: Tokenizer = field(init=False, repr=False, compare=False)
    _state: _State = field(default_factory=_State, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                shown = ", ".join(repr(each) for each in allowed if each is not None)
                raise SpecError(f"encoder: {name} is {getattr(self, name)!r}: expected one of {shown}")
        for name, least in (("max_tokens", 3), ("batch_tokens", 1)):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < least):
                raise SpecError(f"encoder: {name} is {value!r}: expected a whole number of at least {least}")
        if not isinstance(self.prefix, str):
            raise SpecError(f"encoder: prefix is {type(self.prefix).__name__}: expected a string")
        kind, _, name = self.model.partition(":")
        if kind == "hf" and name:
            folder = hub_or_local_folder(name, self.revision)
        elif self.model == "minilm" and self.revision is None:
            folder = minilm_folder()
        else:
            raise SpecError(f"encoder: model is {self.model!r}: expected 'minilm' (without a revision) or 'hf:NAME_OR_FOLDER'")
        if self.max_tokens is not None and folder.positions is not None and self.max_tokens > folder.positions:
            raise SpecError(
                f"encoder:{self.model}: max_tokens is {self.max_tokens}, and the model reads {folder.positions} at most"
            )
        object.__setattr__(self, "_folder", folder)
        object.__setattr__(self, "_tokenizer", _tokenizer(folder, self._limit))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, ({name: getattr(self, name) for name in _options()},)

    @property
    def address(self) -> str:
        """The string that names it: ``encoder:minilm?dtype=float32``."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.name in _options() and f.name != "model"}
        changed = [f"{name}={_written(value)}" for name, value in given.items() if value != _options()[name]]
        return f"encoder:{self.model}" + ("?" + "&".join(changed) if changed else "")

    @property
    def version(self) -> str:
        """What the numbers depend on: weights, tokenizer, pooling, normalisation, precision, limit, prefix and this code."""
        pooling, normalize = self._pooling
        parts = [self._folder.digest[:32], pooling, "unit" if normalize else "raw", self.dtype, str(self._limit), _ALGORITHM]
        return ":".join([*parts, quote(self.prefix, safe="")] if self.prefix else parts)

    @property
    def dimension(self) -> int:
        """Length d of a vector."""
        return int(self._folder.config["hidden_size"])

    @property
    def truncated(self) -> int:
        """How many texts this object cut to its limit so far (repeats within one call count once)."""
        return self._state.truncated

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, d) float32, the vector of each of n texts, in their order.

        Raises DataError naming the row for anything that is not a string, ModelError when the model gives something that is not
        a number.

        >>> TextEncoder().encode([]).shape
        (0, 384)
        """
        distinct = distinct_texts(texts)
        place = {text: k for k, text in enumerate(distinct)}
        vectors = np.empty((len(distinct), self.dimension), np.float32)
        for first in range(0, len(distinct), _CHUNK):
            vectors[first : first + _CHUNK] = self._encoded(distinct[first : first + _CHUNK])
        if len(distinct) == len(texts):
            return vectors
        return vectors[np.fromiter((place[text] for text in texts), np.intp, len(texts))]

    def _encoded(self, texts: Sequence[str]) -> NDArray[np.float32]:
        ids, cut = self._tokens(texts)
        if cut:
            self._count(cut, len(texts))
        pooling, normalize = self._pooling
        vectors = self._network().vectors(ids, pooling, self.batch_tokens)
        if not np.isfinite(vectors).all():
            row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
            raise ModelError(f"{self.address}: the vector of {texts[row][:80]!r} is not finite: try dtype=float32")
        if normalize:
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors

    def _tokens(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        """Token ids of each text, and how many texts were cut."""
        longest = _CHARACTERS_A_TOKEN * self._limit
        whole = [self.prefix + text for text in texts]
        read = [_unicode(text[:longest]) for text in whole]
        encodings = self._tokenizer.encode_batch(read)
        cut = sum(bool(each.overflowing) or len(text) > longest for each, text in zip(encodings, whole, strict=True))
        return [each.ids for each in encodings], cut

    def _count(self, cut: int, total: int) -> None:
        with self._state.lock:
            first = self._state.truncated == 0
            self._state.truncated += cut
        if first:
            warnings.warn(
                f"{self.address}: {cut} of {total} texts are longer than {self._limit} tokens, and only their beginnings count; "
                "later ones are counted in `truncated` without a warning",
                TextsTruncated,
                stacklevel=4,
            )

    @property
    def _pooling(self) -> tuple[Pooling, bool]:
        return self.pooling or self._folder.pooling, self._folder.normalize if self.normalize is None else self.normalize

    @property
    def _limit(self) -> int:
        return self.max_tokens or self._folder.max_tokens or 512

    def _network(self) -> EncoderNetwork:
        with self._state.lock:
            if self._state.network is None:
                self._state.network = network_for(self._folder, self.dtype, self.device)
            return self._state.network


def distinct_texts(texts: Sequence[str]) -> list[str]:
    """The distinct texts in the order of their first appearance.

    Raises DataError for a single string, and for a row that is not a string.

    >>> distinct_texts(["b", "a", "b"])
    ['b', 'a']
    """
    if isinstance(texts, str):
        raise DataError("encode was given one string: expected a sequence of strings; put it into a list")
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"texts[{row}] is {type(text).__name__}: expected a string")
    return list(dict.fromkeys(texts))


def _tokenizer(folder: EncoderFolder, limit: int) -> Tokenizer:
    """The folder's tokenizer, which cuts at `limit` and does not pad; raises ModelError when it does not fit the model."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtra("tokenizers", "embedded") from error
    path = folder.path / "tokenizer.json"
    if not path.is_file():
        raise ModelError(f"{folder.path} has no tokenizer.json: expected a model with a fast tokenizer")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exceptions
        raise ModelError(f"{path} cannot be read: {error}") from error
    size, rows = tokenizer.get_vocab_size(), folder.config.get("vocab_size")
    if isinstance(rows, int) and size > rows:
        raise ModelError(f"{folder.path}: the tokenizer has {size:,} tokens and the model {rows:,}: they do not belong together")
    tokenizer.no_padding()
    tokenizer.enable_truncation(limit)
    return tokenizer


def _unicode(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= c <= "\udfff" else c for c in text)
    return text


def _options() -> dict[str, Any]:
    """The fields that a user gives, with their defaults."""
    return {f.name: f.default for f in fields(TextEncoder) if f.init}


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else quote(str(value), safe=":/,.")


def _rebuilt(options: dict[str, Any]) -> TextEncoder:
    return TextEncoder(**options)
