"""The model folder: weights, a description of all that scores depend on, and known scores that loading checks."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit import __version__
from plaudit.errors import MissingExtra, ModelError, PlauditError, RunError
from plaudit.learned._features import Features, features_of
from plaudit.learned._head import Head, score_rows
from plaudit.learned._trained import ScoreScale, TrainedModel, backbone_of
from plaudit.types import Context, Sample

DESCRIPTION, WEIGHTS = "plaudit.json", "head.safetensors"
FORMAT = 1
TEMPLATE = "plain/1"
"""How prompts and responses become what the backbone reads; raised whenever that changes."""

TOLERANCE = 1e-3
"""How far a known score may be off, relative to the spread of the training scores."""

_LARGEST = 256 << 20
_LARGEST_DESCRIPTION = 16 << 20


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model folder in memory.

    Fields:
        description: the whole ``plaudit.json``.
        features, head, weights, scale: as in `TrainedModel`.
        backbone: address and version that the folder was made with.
        probes: responses with the scores that they must get.
        tolerance: by how much a score may be off.
    """

    description: Mapping[str, Any]
    features: Features
    head: Head
    weights: Mapping[str, NDArray[np.float32]]
    scale: ScoreScale
    backbone: tuple[str, str]
    probes: tuple[tuple[Sample, float], ...]
    tolerance: float

    def self_test(self, folder: Path, context: Context | None = None) -> None:
        """Score the known responses again. Raises ModelError when the backbone is another one, or a score is off."""
        address, version = backbone_of(self.features, context)
        if version != self.backbone[1]:
            raise ModelError(
                f"{folder} was trained on {self.backbone[0]} of version {self.backbone[1]}, and {address} is of version "
                f"{version}: a head belongs to one backbone; load that one, or train again"
            )
        scores = score_rows(self.head, self.weights, self.features.rows([sample for sample, _ in self.probes], context))
        for k, ((_, known), score) in enumerate(zip(self.probes, scores, strict=True)):
            if not abs(score - known) <= self.tolerance:
                raise ModelError(
                    f"{folder} fails its self-test: known response {k} scores {score:.6g}, and scored {known:.6g} when it was "
                    f"saved (tolerance {self.tolerance:.2g}): weights, backbone or plaudit.json changed; train again"
                )


def write_folder(model: TrainedModel, folder: Path, overwrite: bool) -> None:
    """Write a model folder: all of it or nothing. Raises RunError when the place is taken or cannot be written."""
    safetensors = _safetensors()
    if folder.exists() and not (folder.is_dir() and _may_replace(folder, overwrite)):
        raise RunError(f"{folder} is there already: choose another folder" + (", or overwrite it" if _is_model(folder) else ""))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            new = Path(scratch) / "new"
            new.mkdir()
            data = safetensors.save({name: np.ascontiguousarray(array) for name, array in model.weights.items()})
            (new / WEIGHTS).write_bytes(data)
            description = _description(model, hashlib.sha256(data).hexdigest())
            (new / DESCRIPTION).write_text(json.dumps(description, indent=2, allow_nan=False) + "\n", encoding="ascii")
            if folder.exists():
                os.rename(folder, Path(scratch) / "old")
            os.rename(new, folder)
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error.strerror or error}") from error


def folder_digest(folder: Path) -> str:
    """A digest of the two files as they are now; of a file that cannot be read, that it cannot."""
    digest = hashlib.sha256()
    for name in (DESCRIPTION, WEIGHTS):
        try:
            data = (folder / name).read_bytes() if (folder / name).stat().st_size <= _LARGEST else b"large"
        except OSError as error:
            data = type(error).__name__.encode()
        digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()


def read_folder(folder: Path) -> Loaded:
    """Read a model folder and check all that can be checked without its backbone.

    Raises ModelError that says what is missing, extra, damaged or not a number.
    """
    description = _read_description(folder)
    try:
        features = features_of(description["features"])
        head = Head(description["head"]["kind"], description["head"]["hidden"])
        widths = (int(description["head"]["widths"][0]), int(description["head"]["widths"][1]))
        scale = ScoreScale(**{name: float(description["scores"][name]) for name in ("mean", "std", "lowest")})
        backbone = (str(description["backbone"]["address"]), str(description["backbone"]["version"]))
        probes = tuple(_probe(row) for row in description["self_test"]["rows"])
        tolerance, digest = float(description["self_test"]["tolerance"]), str(description["weights"]["sha256"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, PlauditError) as error:
        raise ModelError(f"{folder / DESCRIPTION} is not the description of a reward model: {_said(error)}") from error
    if not probes or not all(np.isfinite([tolerance, scale.mean, scale.std, scale.lowest, *(score for _, score in probes)])):
        raise ModelError(f"{folder / DESCRIPTION}: there are no known scores to test the model with, or they are not numbers")
    weights = _read_weights(folder / WEIGHTS, head.shapes(widths), digest)
    return Loaded(description, features, head, weights, scale, backbone, probes, tolerance)


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if not folder.is_dir():
        raise ModelError(f"{folder}: there is no such folder; `plaudit train DATA -o {folder}` makes one")
    try:
        if path.stat().st_size > _LARGEST_DESCRIPTION:
            raise ModelError(f"{path} is larger than {_LARGEST_DESCRIPTION >> 20} MB: that is no description of a reward model")
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{folder} has no {DESCRIPTION}: it is no reward model's folder") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {_said(error)}") from error
    if not isinstance(description, dict) or description.get("kind") != "reward_model":
        raise ModelError(f"{path} does not describe a reward model")
    if description.get("format") != FORMAT or description.get("template") != TEMPLATE:
        raise ModelError(
            f"{path} has format {description.get('format')!r} and template {description.get('template')!r}; this version reads "
            f"{FORMAT} and {TEMPLATE!r}: train again, or use the version {description.get('plaudit')!r} that wrote it"
        )
    return description


def _read_weights(path: Path, shapes: Mapping[str, tuple[int, ...]], digest: str) -> dict[str, NDArray[np.float32]]:
    safetensors = _safetensors()
    try:
        if path.stat().st_size > _LARGEST:
            raise ModelError(f"{path} is larger than {_LARGEST >> 20} MB: that is no head")
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path} is missing: the folder has no weights") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {_said(error)}") from error
    try:
        found: dict[str, NDArray[Any]] = safetensors.load(data)
    except (Exception, struct.error) as error:  # the library raises its own error, and others on damaged headers
        raise ModelError(f"{path} is damaged: {_said(error)}") from error
    missing, extra = sorted(shapes.keys() - found.keys()), sorted(found.keys() - shapes.keys())
    if missing or extra:
        said = [f"without {', '.join(missing)}"] * bool(missing) + [f"with {', '.join(extra)} that nobody reads"] * bool(extra)
        raise ModelError(f"{path} is {' and '.join(said)}: expected exactly {', '.join(shapes)}")
    for name, shape in shapes.items():
        if found[name].shape != shape or found[name].dtype != np.float32:
            raise ModelError(f"{path}: {name} is {found[name].dtype} {found[name].shape}, expected float32 {shape}")
        if not np.isfinite(found[name]).all():
            raise ModelError(f"{path}: {name} holds values that are not numbers")
    if hashlib.sha256(data).hexdigest() != digest:
        raise ModelError(
            f"{path} is not the file that was saved: weights were changed or initialised anew; restore it or train again"
        )
    return found


def _description(model: TrainedModel, digest: str) -> dict[str, Any]:
    return {
        "kind": "reward_model",
        "format": FORMAT,
        "plaudit": __version__,
        "template": TEMPLATE,
        "features": model.features.to_json(),
        "backbone": {"address": model.backbone[0], "version": model.backbone[1]},
        "head": {"kind": model.head.kind, "hidden": model.head.hidden, "widths": list(model.widths)},
        "weights": {"file": WEIGHTS, "sha256": digest},
        "scores": asdict(model.scale),
        "training": {**asdict(model.training), "best_epoch": model.best_epoch, "data": model.data, "counts": dict(model.counts),
                     "notes": dict(model.notes)},
        "metrics": [found.to_json() for found in model.measured],
        "self_test": {
            "tolerance": TOLERANCE * max(model.scale.std, 1e-3),
            "rows": [_probe_row(sample, score) for sample, score in model.probes],
        },
    }  # fmt: skip


def _probe_row(sample: Sample, score: float) -> dict[str, Any]:
    tokens = None if sample.tokens is None else [int(token) for token in sample.tokens]
    return {"prompt": _plain(sample.prompt), "response": _plain(sample.response), "tokens": tokens, "score": score}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else [dict(message) for message in value]


def _probe(row: Mapping[str, Any]) -> tuple[Sample, float]:
    tokens = None if row["tokens"] is None else np.asarray(row["tokens"], dtype=np.int64)
    return Sample(row["prompt"], row["response"], tokens=tokens), float(row["score"])


def _is_model(folder: Path) -> bool:
    return (folder / DESCRIPTION).is_file()


def _may_replace(folder: Path, overwrite: bool) -> bool:
    if not any(folder.iterdir()):
        return True
    return overwrite and _is_model(folder) and {path.name for path in folder.iterdir()} <= {DESCRIPTION, WEIGHTS}


def _said(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise MissingExtra("safetensors", "learn") from error
    return safetensors.numpy
