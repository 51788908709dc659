"""GRPO with TRL's own trainer on the shipped tiny policy: a plaudit reward is a reward function of TRL."""

import tempfile

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

from plaudit.integrations.trl import reward_func
from plaudit.worlds import ArithmeticAnswer, ArithmeticSteps, arithmetic_problems, policy_folder

reward = ArithmeticAnswer().named("answer") + 0.3 * ArithmeticSteps().named("steps")
problems = arithmetic_problems(16, seed=0)

with tempfile.TemporaryDirectory() as folder:
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(policy_folder("arithmetic"), dtype="float32"),
        processing_class=AutoTokenizer.from_pretrained(policy_folder("arithmetic")),
        reward_funcs=reward_func(reward),
        train_dataset=Dataset.from_list([{"prompt": problem.prompt} for problem in problems]),
        args=GRPOConfig(
            output_dir=folder,
            per_device_train_batch_size=16,
            num_generations=8,
            max_completion_length=64,
            max_steps=2,
            learning_rate=1e-5,
            logging_steps=1,
            report_to=[],
            save_strategy="no",
            use_cpu=True,
            bf16=False,
        ),
    )
    trainer.train()
    for entry in trainer.state.log_history:
        print({name: round(value, 3) for name, value in entry.items() if name.startswith("reward")})
    assert "reward_terms/answer" in trainer.state.log_history[0]
