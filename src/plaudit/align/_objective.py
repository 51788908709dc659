"""The clipped objective of a policy on sampled tokens, and the log-probabilities that it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plaudit.align._config import Aggregation, Precision

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """The value of the clipped objective on k tokens, to be made as small as possible.

    Fields:
        loss: scalar: sum over tokens of weight * (clipped surrogate loss + kl_coefficient * KL estimate).
        ratio: (k,) new to old probability. clipped: (k,) bool, whether the token gives no gradient for being clipped.
        kl: (k,) estimate k3 of the KL divergence to the reference; None = there is no reference.
    """

    loss: Tensor
    ratio: Tensor
    clipped: Tensor
    kl: Tensor | None


def clipped_objective(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    weights: Tensor,
    *,
    clip_low: float | None = 0.2,
    clip_high: float | None = 0.2,
    reference_logprobs: Tensor | None = None,
    kl_coefficient: float = 0.0,
) -> Objective:
    """The clipped surrogate objective of PPO and GRPO, token by token.

    Args:
        logprobs: (k,) of the sampled tokens under the policy in training, with gradient.
        old_logprobs: (k,) under the policy that drew them, without.
        advantages: (k,) of each token: those of its answer, or its own.
        weights: (k,) what each token counts, see `token_weights`.
        clip_low, clip_high: the ratio counts from 1 - clip_low to 1 + clip_high; None = no limit on that side.
        reference_logprobs: (k,) under the reference policy, without gradient.
        kl_coefficient: weight of the KL divergence to the reference, by the estimator k3: ``exp(d) - d - 1`` with d the
            reference's log-probability minus the policy's.

    Source: "Proximal Policy Optimization Algorithms"; "DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open
    Language Models"; k3: John Schulman, "Approximating KL Divergence".

    >>> import torch
    >>> old = torch.tensor([-1.0, -1.0])
    >>> new = torch.tensor([-0.5, -1.0], requires_grad=True)
    >>> found = clipped_objective(new, old, torch.ones(2), torch.full((2,), 0.5))
    >>> found.clipped.tolist(), round(found.loss.item(), 3)
    ([True, False], -1.1)
    """
    import torch

    ratio = torch.exp(logprobs - old_logprobs)
    low = None if clip_low is None else 1 - clip_low
    high = None if clip_high is None else 1 + clip_high
    limited = ratio if low is None and high is None else ratio.clamp(low, high)
    # Whichever promises less: a gain beyond the limit counts no more, a loss beyond it counts in full.
    losses = -torch.minimum(ratio * advantages, limited * advantages)
    with torch.no_grad():
        clipped = limited * advantages < ratio * advantages
    kl = None
    if reference_logprobs is not None:
        difference = reference_logprobs - logprobs
        kl = torch.exp(difference) - difference - 1
        if kl_coefficient:
            losses = losses + kl_coefficient * kl
    return Objective((weights * losses).sum(), ratio.detach(), clipped, None if kl is None else kl.detach())


def token_weights(lengths: NDArray[np.int64], aggregation: Aggregation, max_tokens: int | None = None) -> NDArray[np.float64]:
    """(n,) what one token of each of n answers counts, so that weights times losses sum up to the objective.

    Args:
        lengths: (n,) tokens of each answer.
        aggregation: ``"token"``: 1 / all tokens; ``"sequence"``: 1 / (n * tokens of the answer); ``"constant"``:
            1 / (n * max_tokens).
        max_tokens: for ``"constant"``; None = the longest answer.

    >>> token_weights(np.array([1, 3]), "token"), token_weights(np.array([1, 4]), "sequence")
    (array([0.25, 0.25]), array([0.5 , 0.125]))
    """
    n = max(len(lengths), 1)
    if aggregation == "sequence":
        return 1 / (n * np.maximum(lengths, 1).astype(np.float64))
    below = int(lengths.sum()) if aggregation == "token" else n * (max_tokens or int(lengths.max(initial=1)))
    return np.full(len(lengths), 1 / max(below, 1))


def token_logprobs(
    model: Any,
    prompts: Sequence[NDArray[np.int64]],
    responses: Sequence[NDArray[np.int64]],
    temperature: float = 1.0,
    precision: Precision = "float32",
) -> Tensor:
    """(k,) log-probabilities of the tokens of all responses behind one another, as they were drawn at a temperature.

    The rows stand left in a padded batch. A token sees only what is left of it, so padding needs no mask; only the states in
    front of real response tokens go through the output layer.
    """
    import torch

    width = max(len(p) + len(r) for p, r in zip(prompts, responses, strict=True)) - 1
    tokens, places = np.zeros((len(prompts), width), np.int64), []
    for k, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        read = np.concatenate([prompt, response[:-1]])
        tokens[k, : len(read)] = read
        places.append(k * width + np.arange(len(prompt) - 1, len(read)))
    device = model.device
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        states = model.model(input_ids=torch.from_numpy(tokens).to(device), use_cache=False).last_hidden_state
        chosen = states.reshape(-1, states.shape[-1])[torch.from_numpy(np.concatenate(places)).to(device)]
        logits = model.lm_head(chosen)
    targets = torch.from_numpy(np.concatenate(list(responses))).to(device)
    # cross_entropy holds no second table of vocabulary size for its backward pass.
    return -torch.nn.functional.cross_entropy(logits.float() / temperature, targets, reduction="none")
