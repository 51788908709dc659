"""The forward pass of an encoder: token ids in, one vector for each text out."""

from __future__ import annotations

import contextlib
import importlib
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import MissingExtra, ModelError
from plaudit.lm._encoder_folder import EncoderFolder, Pooling

if TYPE_CHECKING:
    from torch import Tensor

Precision = Literal["bf16", "float32"]

_loaded: weakref.WeakValueDictionary[tuple[str, str, str], EncoderNetwork] = weakref.WeakValueDictionary()
_loading = threading.Lock()


class EncoderNetwork:
    """A transformer's weights on a device; objects with the same weights, precision and device share one (see `network_for`)."""

    def __init__(self, folder: EncoderFolder, precision: Precision, device: str) -> None:
        import torch

        self.device = torch.device(device)
        self.model = _model(folder, torch.bfloat16 if precision == "bf16" else torch.float32).to(self.device)
        pad = folder.config.get("pad_token_id")
        self.pad = pad if isinstance(pad, int) else 0

    def vectors(self, ids: Sequence[Sequence[int]], pooling: Pooling, batch_tokens: int) -> NDArray[np.float32]:
        """(n, d) pooled states of n sequences of token ids; a sequence without a token gives zeros.

        Sequences of like length run together, at most `batch_tokens` tokens (padding included) or one sequence at a time.
        """
        import torch

        out = np.zeros((len(ids), self.model.config.hidden_size), np.float32)
        with torch.inference_mode():
            for rows, width in _batches([len(sequence) for sequence in ids], batch_tokens):
                out[rows] = self._pooled([ids[row] for row in rows], width, pooling).cpu().numpy()
        return out

    def _pooled(self, ids: Sequence[Sequence[int]], width: int, pooling: Pooling) -> Tensor:
        """(rows, d) float32, pooled in float32 whatever the weights' precision."""
        import torch

        tokens = np.full((len(ids), width), self.pad, np.int64)
        for k, sequence in enumerate(ids):
            tokens[k, : len(sequence)] = sequence
        lengths = torch.tensor([len(sequence) for sequence in ids], device=self.device)
        # Without padding there is no mask: attention is quicker without one.
        mask = None
        if int(lengths[-1]) < width:
            mask = (torch.arange(width, device=self.device) < lengths[:, None]).long()
        states: Tensor = self.model(input_ids=torch.from_numpy(tokens).to(self.device), attention_mask=mask).last_hidden_state
        if pooling == "cls":
            return states[:, 0].float()
        if pooling == "last":
            return states[torch.arange(len(ids), device=self.device), lengths - 1].float()
        states = states.float()
        if mask is not None:
            states = states * mask[:, :, None]
        return states.sum(1) / lengths[:, None]


def network_for(folder: EncoderFolder, precision: Precision, device: str) -> EncoderNetwork:
    """The loaded network, shared in this process for as long as somebody holds it; "auto" is a GPU where torch sees one."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("torch", "embedded") from error
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    key = (folder.digest, precision, device)
    with _loading:
        network = _loaded.get(key)
        if network is None:
            network = EncoderNetwork(folder, precision, device)
            _loaded[key] = network
        return network


def _batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[tuple[NDArray[np.intp], int]]:
    """(rows, width) of each batch, longest first, so that a batch too large for the memory fails at once and not at the end."""
    size = np.asarray(lengths)
    order = np.argsort(-size, kind="stable")
    order = order[: int(np.count_nonzero(size))]
    first = 0
    while first < len(order):
        width = int(size[order[first]])
        rows = order[first : first + max(1, batch_tokens // width)]
        yield rows, width
        first += len(rows)


def _model(folder: EncoderFolder, dtype: Any) -> Any:
    """The transformer with every weight of its body from the file; raises ModelError where some are missing."""
    try:
        from transformers import AutoModel
    except ImportError as error:
        raise MissingExtra("transformers", "embedded") from error
    with _quiet_loading():
        try:
            model, report = AutoModel.from_pretrained(
                folder.path, dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"{folder.path} cannot be loaded: {type(error).__name__}: {error}") from error
    # The pooler on top of BERT is not used: sentence encoders are published without one, or with an untrained one.
    missing = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
    if missing or report["mismatched_keys"]:
        raise ModelError(
            f"{folder.path}: its weights do not fit its config.json: {len(missing)} are missing ({', '.join(missing[:3])}…), "
            f"{len(report['mismatched_keys'])} have another shape"
        )
    if hasattr(model, "pooler"):
        model.pooler = None
    model.config.use_cache = False
    return model.eval()


@contextlib.contextmanager
def _quiet_loading() -> Iterator[None]:
    """Without the progress bar and the list of unused weights; the process's own settings come back."""
    logging: Any = importlib.import_module("transformers.utils.logging")
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
