"""Train a reward model on sentence embeddings, save it, and use it like any other reward."""

import tempfile
from pathlib import Path

from plaudit import Sample
from plaudit.learned import Head, RewardModel, TextFeatures, training_pairs
from plaudit.types import Pair

topics = ["tea", "the moon", "bicycles", "rain", "chess", "bread", "whales", "maps", "paint", "clocks", "salt", "violins"]
pairs = [
    Pair(f"Tell me about {topic}.", f"Happily! Here is what is known about {topic}.", f"No. Look {topic} up yourself.")
    for topic in topics
]

trained = RewardModel.fit(training_pairs(pairs), TextFeatures("encoder:minilm"), Head("linear"))
for measured in trained.measured:
    print(f"{measured.name:>14}  {measured.metric} {measured.value:.2f} on held-out prompts")

with tempfile.TemporaryDirectory() as folder:
    trained.save(Path(folder) / "rm")
    model = RewardModel.load(Path(folder) / "rm", output="probability")  # runs the model's self-test
    samples = [
        Sample("Tell me about honey.", "Happily! Honey is made by bees."),
        Sample("Tell me about honey.", "No. Look it up."),
    ]
    print(model(samples))
    kind, rude = model(samples)
    assert kind > rude
    print((model.named("helpful") + 0.1).explain(samples[0]))
