"""`Reward`: what every source of reward is, and `Combinator`: what every combination of rewards is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ContractError
from plaudit.reward._configured import Configured
from plaudit.run import adrive, drive, event_loop, together
from plaudit.types import Context, Message, Sample, Verdict, Verdicts

if TYPE_CHECKING:
    from plaudit.reward._explain import Explanation

F = TypeVar("F", bound=Callable[..., Any])
Mask = NDArray[np.bool_]
RunOperand = Callable[["Reward", Mask | None], Awaitable[Verdicts]]


def _absent(method: F) -> F:
    """Marks a leaf method that this class does not write."""
    method.is_absent = True  # type: ignore[attr-defined]
    return method


class Reward(Configured):
    """Something that scores samples; higher is better, always.

    Subclass it as a frozen dataclass, declare `facts`, and write exactly one of `score_one`, `ascore_one`, `score_batch`,
    `ascore_batch`. Users call `score`, `ascore`, the reward itself, or `one`; these go through the runner, from any thread
    or event loop.

    >>> from dataclasses import dataclass
    >>> from plaudit.reward import Facts
    >>> @dataclass(frozen=True)
    ... class Shout(Reward):
    ...     mark: str = "!"
    ...     @property
    ...     def facts(self):
    ...         return Facts(range=(0, 1), reads={"response"})
    ...     def score_one(self, sample, context):
    ...         return Verdict(float(sample.response.endswith(self.mark)))
    >>> Shout()([Sample("hi", "hello!"), Sample("hi", "hello")])
    array([1., 0.])
    """

    LEAVES: ClassVar[tuple[str, ...]] = ("score_one", "ascore_one", "score_batch", "ascore_batch")

    # A leaf writes exactly one of these four.

    @_absent
    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """Score one sample (inline or cpu lane)."""
        raise ContractError(f"{type(self).__name__} does not write score_one")

    @_absent
    async def ascore_one(self, sample: Sample, context: Context) -> Verdict:
        """Score one sample (io lane)."""
        raise ContractError(f"{type(self).__name__} does not write ascore_one")

    @_absent
    def score_batch(self, samples: Sequence[Sample], context: Context) -> Verdicts | Sequence[Verdict]:
        """Score many samples (gpu lane; group and batch scope see whole groups only)."""
        raise ContractError(f"{type(self).__name__} does not write score_batch")

    @_absent
    async def ascore_batch(self, samples: Sequence[Sample], context: Context) -> Verdicts | Sequence[Verdict]:
        """Score many samples on the io lane."""
        raise ContractError(f"{type(self).__name__} does not write ascore_batch")

    # Users call these.

    def score(self, samples: Sequence[Sample], context: Context | None = None) -> Verdicts:
        """Verdicts of n samples, in their order; blocks, from any thread, also while an event loop runs.

        Raises the leaf's own error when every sample of a batch raises the same one; otherwise such a sample is FAILED.
        """
        from plaudit.reward._evaluate import evaluate

        if event_loop().is_current and self.facts.lane != "inline":
            raise ContractError(f"{self.name}: score() would block plaudit's event loop; inside ascore_one use 'await ascore()'")
        return drive(evaluate(self, samples, context))

    async def ascore(self, samples: Sequence[Sample], context: Context | None = None) -> Verdicts:
        """Verdicts of n samples, without blocking the caller's event loop."""
        from plaudit.reward._evaluate import evaluate

        return await adrive(evaluate(self, samples, context))

    def __call__(self, samples: Sequence[Sample]) -> NDArray[np.float64]:
        """(n,) float64 values; NaN = not scored."""
        return self.score(samples).values

    def one(
        self, prompt: str | Sequence[Message], response: str | Sequence[Message], reference: Any = None, **fields: Any
    ) -> Verdict:
        """The verdict on one response; further keywords are fields of `Sample`."""
        return self.score([Sample(prompt, response, reference, **fields)])[0]

    def explain(self, sample: Sample, context: Context | None = None) -> Explanation:
        """The tree of this reward on one sample: every leaf's raw value, weight, share and reason."""
        from plaudit.reward._explain import explain

        return explain(self, sample, context)

    # Algebra: the nodes are in plaudit.reward._operators and _wrappers.

    def __add__(self, other: Reward | float) -> Reward:
        from plaudit.reward._algebra import add

        return add(self, other) if isinstance(other, (Reward, Real)) else NotImplemented

    def __radd__(self, other: float) -> Reward:
        # sum([a, b]) starts from the int 0.
        return self if type(other) is int and other == 0 else self.__add__(other)

    def __mul__(self, other: Reward | float) -> Reward:
        from plaudit.reward._algebra import multiply, scale

        if isinstance(other, Reward):
            return multiply(self, other)
        if not isinstance(other, Real):
            return NotImplemented
        return scale(self, float(other))

    def __rmul__(self, other: float) -> Reward:
        return self.__mul__(other)

    def __sub__(self, other: Reward | float) -> Reward:
        from plaudit.reward._algebra import add

        if isinstance(other, Real):
            return add(self, -float(other))
        raise TypeError(
            f"{self.name} - …: higher is better, always; write the cost as a reward that is never positive and add it"
        )

    def __rsub__(self, other: object) -> Reward:
        raise TypeError(
            f"… - {self.name}: higher is better, always; write the cost as a reward that is never positive and add it"
        )

    def __neg__(self) -> Reward:
        raise TypeError(f"-{self.name}: higher is better, always; write the cost as a reward that is never positive and add it")

    def __getitem__(self, part: str) -> Reward:
        """The part of that name as a reward of its own, computed in the same pass."""
        from plaudit.reward._wrappers import Part

        return Part(self, part)

    def __iter__(self) -> Any:
        raise TypeError(f"{self.name} is a reward: it has parts by name (facts.parts), nothing to iterate over")

    def named(self, name: str) -> Reward:
        """The same reward under another name: how parts, columns and logs call it."""
        from plaudit.reward._wrappers import Named

        return Named(self, name)

    def clip(self, low: float | None = None, high: float | None = None) -> Reward:
        """The value limited to [low, high]; None = no limit on that side."""
        from plaudit.reward._wrappers import Clip

        return Clip(self, low, high)

    def gate(self, body: Reward, closed: float = 0.0) -> Reward:
        """`body` where this reward is positive, else `closed`; a closed gate does not run the body."""
        from plaudit.reward._wrappers import Gate

        return Gate(self, body, closed)


class Combinator(Reward):
    """A reward made of other rewards: it names its operands and combines their columns, nothing else.

    `combine` is pure: (n,) columns in, (n,) columns out. A subclass that must not run every operand on every sample
    overrides `evaluate`.
    """

    LEAVES: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def operands(self) -> Mapping[str, Reward]:
        """The rewards it is made of, by the constant names of its parts."""

    @abstractmethod
    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the whole from the columns of the operands, in the order of `operands()`."""

    def _words(self) -> list[str]:
        try:
            weights = self.linear_weights() or {}
            names = list(self.operands())
        except AttributeError:  # half made: its constructor is about to refuse something
            return []
        words = [f"{weights[name]:g} × {name}" if weights.get(name, 1.0) != 1.0 else name for name in names]
        # The operands are named above; what is left are numbers and words such as a clip's limits.
        own = ((word, getattr(self, word.partition("=")[0])) for word in super()._words())
        return words + [word for word, value in own if isinstance(value, bool | int | float | str) and value not in names]

    def linear_weights(self) -> Mapping[str, float] | None:
        """Each operand's weight when the value is a weighted sum of the operands' values; None = it is not."""
        return None

    async def evaluate(self, run: RunOperand) -> Verdicts:
        """Run the operands side by side and combine them; `run(operand, mask)` leaves rows outside the mask out."""
        operands = self.operands()
        columns = await together(*(run(operand, None) for operand in operands.values()))  # type: ignore[arg-type]
        return self.combine(dict(zip(operands, columns, strict=True)))
