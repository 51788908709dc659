"""A reward as verl's compute_score. In a training run verl imports this file and calls the function itself:

reward.custom_reward_function.path=examples/verl_reward.py
reward.custom_reward_function.name=compute_score
"""

from plaudit.integrations.verl import reward_function
from plaudit.verify import Length, Math

reward = Math().named("right") + 0.1 * Length(max_length=400, cache=100, unit="characters").named("overlong")

# verl has no word for "not scored": you choose the number that such a response counts as.
compute_score = reward_function(reward, on_unscored=0.0)

if __name__ == "__main__":
    print(compute_score("gsm8k", "3 * 4 = 12\n#### 12", "12", {"question": "What is 3 * 4?"}))
