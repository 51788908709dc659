"""What a head may be trained on: the protocol of features, and features by description or address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from plaudit.errors import SpecError
from plaudit.learned._hidden_features import HiddenFeatures, hidden_features
from plaudit.learned._rows import FeatureRows
from plaudit.learned._text_features import TextFeatures, text_features
from plaudit.types import Context, Encoder, Reader, Sample


class Features(Protocol):
    """A frozen backbone seen as numbers of each response."""

    @property
    def reads(self) -> frozenset[str]:
        """Fields of a sample that the numbers depend on."""

    def model_of(self, context: Context | None = None) -> Encoder | Reader:
        """The backbone; its `version` is what the numbers depend on."""

    def rows(self, samples: Sequence[Sample], context: Context | None = None) -> FeatureRows:
        """Features of n responses."""

    def blind_rows(self, rows: FeatureRows, samples: Sequence[Sample], context: Context | None = None) -> FeatureRows:
        """The same responses without their prompts."""

    def to_json(self) -> dict[str, Any]:
        """What a saved model remembers of them."""


def features_of(values: Mapping[str, Any], cache: Path | None = None) -> Features:
    """The features that `to_json` described. Raises SpecError for another description."""
    kind = values.get("kind")
    if kind == "text":
        return text_features(values, cache)
    if kind == "hidden":
        return hidden_features(values)
    raise SpecError(f"features are of kind {kind!r}: expected 'text' or 'hidden'")


def features_at(address: str, cache: Path | None = None) -> Features:
    """The features that go with a model's address: sentence embeddings of an encoder, else readings of a language model.

    >>> features_at("world:arithmetic").layers
    (-1,)
    """
    return TextFeatures(address, cache=cache) if address.startswith("encoder:") else HiddenFeatures(address)
