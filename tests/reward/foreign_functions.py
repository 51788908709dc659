"""Reward functions in other trainers' conventions, as their users write them."""

from __future__ import annotations

import asyncio
import re


def trl_digits(completions, answer, **kwargs):
    """TRL, text: None where there is no answer."""
    return [None if a is None else float(a in c) for c, a in zip(completions, answer, strict=True)]


def trl_everything(
    prompts, completions, completion_ids, level, solution=None, trainer_state=None, log_extra=None, log_metric=None, **kwargs
):
    """TRL, with all that TRL passes."""
    log_extra("length", [len(ids) for ids in completion_ids])
    log_metric("mean_length", sum(map(len, completion_ids)) / len(completion_ids))
    return [x * 100 + trainer_state.global_step + len(ids) / 10 for x, ids in zip(level, completion_ids, strict=True)]


async def trl_async(completions, **kwargs):
    await asyncio.sleep(0.001)
    return [float(len(completion[-1]["content"])) for completion in completions]


def trl_by_task(completions, task, reference, **kwargs):
    """TRL's way to apply a function to some of the rows only."""
    return [float(r == c) if t == "math" else None for c, t, r in zip(completions, task, reference, strict=True)]


def verl_gsm8k(data_source, solution_str, ground_truth, extra_info=None):
    """verl: a number."""
    found = re.findall(r"#### (\S+)", solution_str)
    return 1.0 if found and found[-1] == ground_truth else 0.0


def verl_parts(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    """verl: a dict with `score`."""
    right = solution_str.endswith(ground_truth)
    return {"score": right + 0.1 * extra_info["level"], "acc": right, "pred": solution_str[-1:], "source": data_source}


async def verl_async(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    await asyncio.sleep(0.001)
    return {"score": float(solution_str == ground_truth)}


def verl_batch(data_sources, solution_strs, ground_truths, extra_infos, **kwargs):
    return [{"score": float(len(s)), "n": len(solution_strs)} for s in solution_strs]


def openrlhf_reward(queries, prompts, labels, **kwargs):
    """OpenRLHF: assumes lists of length one and returns tensors."""
    import torch

    assert len(queries) == len(prompts) == len(labels) == 1
    answer = queries[0][len(prompts[0]) :]
    reward = torch.tensor([float(answer.strip() == labels[0])])
    return {"rewards": reward, "scores": reward.clip(0, 1), "extra_logs": {"length": torch.tensor([float(len(answer))])}}


def openrlhf_plain(queries, prompts, labels):
    return [len(queries[0]) / 100]
