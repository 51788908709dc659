"""Calls rewards with verl's own reward managers and reward loop, and writes what verl made of them.

python verl_run.py OUT.json [ray]: run by test_verl_contract.py in a process of its own, with PYTHONPATH at an installed verl.
With `ray`, verl's RewardLoopManager runs its workers as Ray actors, as in a real run.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
import tempfile
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "RAY_USAGE_STATS_ENABLED": "0"}

import cloudpickle
import numpy as np
import torch
import verl
from omegaconf import OmegaConf
from tensordict import TensorDict
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from verl import DataProto
from verl.experimental.reward_loop.reward_loop import RewardLoopManager, RewardLoopWorker
from verl.experimental.reward_loop.reward_manager import get_reward_manager_cls
from verl.trainer.ppo.metric_utils import process_validation_metrics
from verl.trainer.ppo.reward import get_custom_reward_fn
from verl.workers.reward_manager import BatchRewardManager
from verl.workers.reward_manager import NaiveRewardManager as DriverRewardManager

import plaudit.integrations.verl as faces
from plaudit.reward import from_spec
from plaudit.types import Sample

LETTERS = [*"0123456789+-=?abcdefghijklmnopqrstuvwxyzT. "]
HERE = Path(__file__).parent


def tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    vocabulary = {token: k for k, token in enumerate(["<pad>", "<eos>", "<unk>", *LETTERS])}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    plain.pre_tokenizer, plain.decoder = pre_tokenizers.Split("", "isolated"), decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", clean_up_tokenization_spaces=False
    )
    fast.save_pretrained(folder)
    return fast


def batch(words: PreTrainedTokenizerFast, responses: list[str], truths: list[str], infos: list[dict[str, object]]) -> DataProto:
    """What verl's rollout hands to its reward managers: padded token ids, and the rows' columns as object arrays."""
    n, width = len(responses), 16
    asked = torch.tensor([words.convert_tokens_to_ids([*"2+2=?"])] * n)
    ids = torch.zeros((n, width), dtype=torch.long)
    mask = torch.zeros((n, width), dtype=torch.long)
    for k, text in enumerate(responses):
        tokens = [*words.convert_tokens_to_ids([*text]), words.eos_token_id]
        ids[k, : len(tokens)] = torch.tensor(tokens)
        mask[k, : len(tokens)] = 1
    tensors = {"prompts": asked, "responses": ids, "attention_mask": torch.cat([torch.ones_like(asked), mask], dim=1)}
    columns = {
        "data_source": np.array(["arithmetic"] * n, dtype=object),
        "reward_model": np.array([{"ground_truth": truth, "style": "rule"} for truth in truths], dtype=object),
        "extra_info": np.array(infos, dtype=object),
        "__num_turns__": np.array([2] * n, dtype=np.int32),
    }
    return DataProto(batch=TensorDict(tensors, batch_size=n), non_tensor_batch=columns)


def config(folder: Path, path: str, name: str, manager: str = "naive", **reward_kwargs: object) -> OmegaConf:
    return OmegaConf.create({
        "actor_rollout_ref": {"model": {"path": str(folder), "tokenizer_path": str(folder)}},
        "trainer": {"experiment_name": "contract"},
        "reward": {
            "num_workers": 1,
            "custom_reward_function": {"path": path, "name": name, "reward_kwargs": reward_kwargs},
            "reward_manager": {"source": "register", "name": manager},
            "reward_model": {"enable": False},
        },
    })  # fmt: skip


def loop_scores(settings: OmegaConf, data: DataProto) -> dict[str, object]:
    """verl's reward loop as its workers run it, and the tensors and columns that it makes of the results."""

    async def work() -> list[dict[str, object]]:
        worker = RewardLoopWorker(settings)
        return await worker.compute_score_batch(data)

    outputs = asyncio.run(work())
    scores = [output["reward_score"] for output in outputs]
    tensor = get_reward_manager_cls(settings.reward.reward_manager.name).assemble_rm_scores(data, scores)
    infos = [output["reward_extra_info"] for output in outputs]
    columns = {key: np.array([info[key] for info in infos]) for key in infos[0]}
    return {
        "scores": scores, "last": tensor.sum(dim=1).tolist(), "keys": [list(info) for info in infos],
        "columns": {key: column.tolist() for key, column in columns.items()},
        "kinds": {key: column.dtype.kind for key, column in columns.items()},
    }  # fmt: skip


def foreign() -> dict[str, object]:
    """verl's own default reward function as a reward, and called directly."""
    from verl.utils.reward_score import default_compute_score

    rows = [
        ("openai/gsm8k", "3 + 4 = 7\n#### 7", "7"), ("openai/gsm8k", "#### 8", "7"), ("openai/gsm8k", "so 7", "7"),
        ("math_dapo", "Answer: 12", "12"), ("math_dapo", "Answer: 13", "12"),
        ("searchR1_nq", "<answer>Paris</answer>", {"target": "Paris"}),
    ]  # fmt: skip
    loaded = from_spec({"use": "function", "path": "verl.utils.reward_score:default_compute_score", "style": "verl"})
    verdicts = loaded.score([Sample("", text, truth, meta={"data_source": source}) for source, text, truth in rows])
    direct = [default_compute_score(data_source=source, solution_str=text, ground_truth=truth) for source, text, truth in rows]
    return {"values": verdicts.values.tolist(), "direct": direct, "answers": list(verdicts.answer or []), "spec": loaded.spec}


RESPONSES = ["4", "5", "T4", "boom", "4", "5"]
TRUTHS = ["4", "4", "4", "4", "4", "4"]


def infos() -> list[dict[str, object]]:
    return [{"split": "train", "index": k // 3, "question": "2+2=?"} for k in range(len(RESPONSES))]


def on_ray() -> dict[str, object]:
    """The whole path: manager, chunks, actors, tensors; `remote` ships the function to further actors."""
    import ray

    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="ray") as scratch, tempfile.TemporaryDirectory() as folder:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=scratch)
        words = tokenizer(Path(folder))
        spec = str(HERE / "verl_reward.yaml")
        for kind in ("naive", "remote"):
            settings = config(Path(folder), faces.__file__, "compute_score", kind, reward=spec, on_unscored=0.25)
            manager = RewardLoopManager(settings)
            result = manager.compute_rm_score(batch(words, RESPONSES, TRUTHS, infos()))
            columns = {key: result.non_tensor_batch[key].tolist() for key in result.meta_info["reward_extra_keys"]}
            found[kind] = {"scores": result.batch["rm_scores"].sum(dim=1).tolist(), "columns": columns}
            for worker in manager.reward_loop_workers:
                ray.kill(worker)
        ray.shutdown()
    return found


def in_process() -> dict[str, object]:
    found: dict[str, object] = {"verl": verl.__version__}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = tokenizer(folder)
        spec = str(HERE / "verl_reward.yaml")
        here = {"reward": spec, "on_unscored": 0.25}

        def data() -> DataProto:
            return batch(words, RESPONSES, TRUTHS, infos())

        file = faces.__file__
        for label, path, function, manager in (
            ("package", "pkg://plaudit.integrations.verl", "compute_score", "naive"),
            ("file", file, "compute_score", "naive"),
            ("async", file, "compute_score_async", "naive"),
            ("dapo", file, "compute_score", "dapo"),
            ("gdpo", file, "compute_score", "gdpo"),
            ("own", str(HERE / "verl_functions.py"), "judged", "naive"),
        ):
            settings = config(folder, path, function, manager, **(here if label != "own" else {}))
            found[label] = loop_scores(settings, data())
        inline = {"reward": {"use": "verify.exact", "ignore_case": True}, "on_unscored": -1}
        found["inline"] = loop_scores(config(folder, file, "compute_score", **inline), data())

        # The `remote` manager ships the function to Ray actors by cloudpickle.
        shipped = cloudpickle.loads(cloudpickle.dumps(get_custom_reward_fn(config(folder, file, "compute_score", **here))))
        found["shipped"] = shipped(data_source="arithmetic", solution_str="4", ground_truth="4", extra_info={})

        compute = get_custom_reward_fn(config(folder, file, "compute_score", **here))
        driver = DriverRewardManager(words, num_examine=0, compute_score=compute)(data(), return_dict=True)
        found["driver"] = driver["reward_tensor"].sum(dim=1).tolist()

        many = get_custom_reward_fn(
            config(folder, file, "compute_score_batch", reward=str(HERE / "verl_group.yaml"), on_unscored=0)
        )
        whole = BatchRewardManager(words, num_examine=0, compute_score=many)(data(), return_dict=True)
        found["batch"] = {"scores": whole["reward_tensor"].sum(dim=1).tolist(), "columns": dict(whole["reward_extra_info"])}

        found["foreign"] = foreign()

        columns = found["package"]["columns"]
        metrics = process_validation_metrics(["arithmetic"] * 6, ["a"] * 3 + ["b"] * 3, columns)["arithmetic"]
        found["validation"] = {key: list(value) for key, value in metrics.items()}
    return found


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


if __name__ == "__main__":
    results = on_ray() if "ray" in sys.argv[2:] else in_process()
    Path(sys.argv[1]).write_text(json.dumps(_finite(results)))
