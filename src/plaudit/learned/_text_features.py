"""Features of texts: a frozen sentence encoder's vectors of response and prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from plaudit.errors import SpecError
from plaudit.learned._rows import FeatureRows
from plaudit.lm import CachedEncoder, EmbeddingCache, resolve_encoder
from plaudit.text import final_text, message_text
from plaudit.types import Context, Conversation, Encoder, Sample

_EXACT = ("encoder:minilm", "encoder:hf:")


@dataclass(frozen=True)
class TextFeatures:
    """What a frozen sentence encoder says of a response and of how it goes with its prompt.

    With p and r the vectors of prompt and response, the features are r, p * r and |p - r|. The prompt alone is left out: among
    responses to one prompt it cancels.

    Fields:
        encoder: address, ``"encoder:minilm"`` or ``"encoder:hf:NAME"``. Without a ``dtype`` in the address the embedded and
            Hugging Face encoders run in float32: in bfloat16 a text's vector depends on its company in the third digit, and a
            saved model could not be checked.
        prompt: False = r alone: a reward model that is blind to the prompt.
        cache: folder that keeps vectors by text; None = nothing is kept.

    Raises SpecError for an address that names no encoder.
    Source: "Reusing Embeddings: Reproducible Reward Model Research in Large Language Model Alignment without GPUs".

    >>> rows = TextFeatures().rows([Sample("Who are you?", "A cat."), Sample("Who are you?", "A dog.")])
    >>> rows.widths
    (0, 1152)
    """

    encoder: str = "encoder:minilm"
    prompt: bool = True
    cache: Path | None = None
    _resolved: list[Encoder] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.encoder.startswith(_EXACT) and "dtype=" not in self.encoder:
            mark = "&" if "?" in self.encoder else "?"
            object.__setattr__(self, "encoder", f"{self.encoder}{mark}dtype=float32")
        self.model_of()

    def model_of(self, context: Context | None = None) -> Encoder:
        """The encoder, with its cache."""
        if not self._resolved:
            encoder = resolve_encoder(self.encoder)
            if self.cache is not None and not isinstance(encoder, CachedEncoder):
                encoder = CachedEncoder(encoder, EmbeddingCache(self.cache))
            self._resolved.append(encoder)
        return self._resolved[0]

    def blind(self) -> TextFeatures:
        """The same without the prompt."""
        return TextFeatures(self.encoder, False, self.cache)

    @property
    def reads(self) -> frozenset[str]:
        """Fields of a sample that the features depend on."""
        return frozenset({"prompt", "response"})

    def to_json(self) -> dict[str, Any]:
        """What a saved model remembers of them."""
        return {"kind": "text", "encoder": self.encoder, "prompt": self.prompt}

    def blind_rows(self, rows: FeatureRows, samples: Sequence[Sample], context: Context | None = None) -> FeatureRows:
        """What `blind()` would give, out of rows that are there already."""
        return FeatureRows.of_vectors(rows.whole[:, : rows.whole.shape[1] // 3]) if self.prompt else rows

    def rows(self, samples: Sequence[Sample], context: Context | None = None) -> FeatureRows:
        """Features of n responses: each as a whole."""
        encoder = self.model_of()
        responses = encoder.encode([final_text(sample) or "" for sample in samples])
        if not self.prompt or not samples:
            return FeatureRows.of_vectors(
                responses if samples else np.zeros((0, responses.shape[1] * (3 if self.prompt else 1)), np.float32)
            )
        prompts = encoder.encode([prompt_text(sample.prompt) for sample in samples])
        return FeatureRows.of_vectors(np.concatenate([responses, prompts * responses, np.abs(prompts - responses)], axis=1))


def text_features(values: Mapping[str, Any], cache: Path | None = None) -> TextFeatures:
    """The features that `TextFeatures.to_json` describes. Raises SpecError when they cannot be made."""
    try:
        return TextFeatures(str(values["encoder"]), bool(values["prompt"]), cache)
    except KeyError as error:
        raise SpecError(f"the description of text features has no {error}") from error


def prompt_text(prompt: Conversation) -> str:
    """A prompt as one text: of messages, the content of a single one, else ``role: content`` on lines of their own.

    >>> prompt_text([{"role": "user", "content": "hi"}])
    'hi'
    """
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1:
        return message_text(prompt[0])
    return "\n".join(f"{message['role']}: {message_text(message)}" for message in prompt)
