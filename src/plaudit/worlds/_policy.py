"""The shipped tiny policies: where their folders lie, and loading one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from plaudit.errors import MissingExtra, ModelError
from plaudit.worlds._sampling import Policy

POLICIES = ("arithmetic", "arithmetic-weak", "arithmetic-strong")
"""Names of the shipped policies, as in ``world:arithmetic``."""


def policy_folder(name: str = "arithmetic") -> Path:
    """The folder of a shipped policy, as Hugging Face's ``from_pretrained`` takes it.

    Raises ModelError for an unknown name.

    >>> sorted(path.name for path in policy_folder().iterdir() if path.suffix == ".safetensors")
    ['model.safetensors']
    """
    if name not in POLICIES:
        raise ModelError(f"policy {name!r}: expected one of {', '.join(POLICIES)}")
    return Path(__file__).parent / "policies" / name


def load_policy(source: str | Path = "arithmetic", device: str = "cpu") -> Policy:
    """A policy with its tokenizer, in float32.

    Args:
        source: name of a shipped policy, or a folder that holds a Llama model and its tokenizer.
        device: as torch names it.

    Raises ModelError for an unknown name or a folder that cannot be loaded, MissingExtra without torch and transformers.

    >>> policy = load_policy()
    >>> [[completion.text for completion in group] for group in policy.sample(["7+5=?\\n"], temperature=0.0)]
    [['7+5=12\\n#### 12']]
    """
    folder = Path(source) if isinstance(source, Path) or Path(source).is_dir() else policy_folder(source)
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise MissingExtra(error.name or "transformers", "learn") from error
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder} cannot be loaded as a model with its tokenizer: {error}") from error
    if len(tokenizer) > model.config.vocab_size:
        raise ModelError(f"{folder}: the tokenizer has {len(tokenizer)} tokens, the model only {model.config.vocab_size}")
    return Policy(model.to(device).eval(), tokenizer)
