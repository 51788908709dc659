"""Tests for rewards: what must hold of any reward, and of this one on answers whose worth is known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from plaudit.errors import SpecError
from plaudit.reward import CheckReport, Finding, Reward, check_reward
from plaudit.types import Context, Sample, Status, Verdict, Verdicts

Expected = float | Status | str | Callable[[Verdict], bool]
"""A value; a status; a reason code; or a function of the verdict that says whether it is right."""

_IN_ANOTHER_PROCESS = """
import json, sys
from plaudit.reward import from_spec
print(from_spec(json.load(sys.stdin)).fingerprint)
"""


@dataclass(frozen=True)
class RewardTester:
    """What a test suite asks of a reward: the contract, right answers on golden samples, nothing for hacks.

    Fields:
        reward: the reward.
        golden: samples, each with what the verdict must be: a value (compared up to `tolerance`), a `Status`, a reason code,
            or a function of the verdict. Samples of a group-scope reward stand in whole groups.
        hacks: samples that plead, pad or cheat; each must be SCORED at the bottom of the declared range.
        reference: another implementation, ``sample -> value`` (None or NaN = not scored); compared on the golden samples.
        context: step, seed and live objects of every call.
        tolerance: relative and absolute, for values.
        thorough: as in `check_reward`.

    >>> from plaudit.reward import reward
    >>> right = reward(lambda response, reference: float(response.strip() == reference), range=(0, 1)).named("right")
    >>> golden = [(Sample("2+2", "4", "4"), 1.0), (Sample("2+2", "5", "4"), 0.0)]
    >>> RewardTester(right, golden=golden, hacks=[Sample("2+2", "4 or 5", "4")]).run().ok
    True
    """

    reward: Reward
    golden: Sequence[tuple[Sample, Expected]] = ()
    hacks: Sequence[Sample] = ()
    reference: Callable[[Sample], float | None] | None = None
    context: Context | None = None
    tolerance: float = 1e-9
    thorough: bool | None = None

    def run(self) -> CheckReport:
        """Put the reward to the test. Raises AssertionError with a sentence for everything that does not hold."""
        report = self.report()
        if not report.ok:
            lines = "\n".join(f"  {finding.check}: {finding.sentence}" for finding in report.failed)
            raise AssertionError(f"{report.reward} does not pass:\n{lines}")
        return report

    def report(self) -> CheckReport:
        """The findings of `check_reward` on the samples given here, and those on golden samples, hacks and fingerprint."""
        samples = [sample for sample, _ in self.golden] + list(self.hacks)
        report = check_reward(self.reward, samples or None, self.context, thorough=self.thorough)
        extra = [*self._golden(), *self._hacks(), *self._reference(), *self._other_process()]
        return replace(report, findings=(*report.findings, *extra))

    def _golden(self) -> Iterator[Finding]:
        if not self.golden:
            yield Finding("golden", "skipped", "there are no golden samples")
            return
        verdicts = self._scored([sample for sample, _ in self.golden])
        wrong = False
        for k, ((sample, expected), verdict) in enumerate(zip(self.golden, verdicts, strict=True)):
            if (said := self._unlike(verdict, expected)) is not None:
                wrong = True
                yield Finding("golden", "failed", f"golden {k} ({_shown(sample)}): {said}; got {_spelt(verdict)}")
        if not wrong:
            yield Finding("golden", "ok", f"{len(self.golden)} golden samples get what they should")

    def _unlike(self, verdict: Verdict, expected: Expected) -> str | None:
        if isinstance(expected, Status):
            return None if verdict.status is expected else f"expected {expected.name}"
        if isinstance(expected, str):
            return None if verdict.reason == expected else f"expected the reason {expected!r}"
        if callable(expected):
            return None if expected(verdict) else f"expected {getattr(expected, '__name__', 'the condition')} to hold"
        return None if self._close(verdict.value, float(expected)) else f"expected {expected:g}"

    def _close(self, value: float | None, expected: float) -> bool:
        return value is not None and bool(np.isclose(value, expected, rtol=self.tolerance, atol=self.tolerance))

    def _hacks(self) -> Iterator[Finding]:
        bottom = self.reward.facts.bottom
        if not self.hacks:
            yield Finding("hacks", "skipped", "there are no hacks")
            return
        if bottom is None:
            yield Finding("hacks", "failed", f"the range {self.reward.facts.range} has no bottom that a hack could be held to")
            return
        wrong = False
        for k, (sample, verdict) in enumerate(zip(self.hacks, self._scored(self.hacks), strict=True)):
            if not self._close(verdict.value, bottom):
                wrong = True
                yield Finding("hacks", "failed", f"hack {k} ({_shown(sample)}): expected {bottom:g}, got {_spelt(verdict)}")
        if not wrong:
            yield Finding("hacks", "ok", f"{len(self.hacks)} hacks get {bottom:g}")

    def _reference(self) -> Iterator[Finding]:
        if self.reference is None:
            return
        samples = [sample for sample, _ in self.golden]
        wrong = False
        for k, (sample, verdict) in enumerate(zip(samples, self._scored(samples), strict=True)):
            expected = self.reference(sample)
            expected = None if expected is None or np.isnan(expected) else float(expected)
            if verdict.value is not expected and (expected is None or not self._close(verdict.value, expected)):
                wrong = True
                said = f"the reference implementation says {expected}"
                yield Finding("reference", "failed", f"golden {k} ({_shown(sample)}): {said}; got {_spelt(verdict)}")
        if not wrong:
            yield Finding("reference", "ok", f"agrees with the reference implementation on {len(samples)} samples")

    def _other_process(self) -> Iterator[Finding]:
        """The fingerprint in a process with other hash seeds, working folder and memory addresses."""
        try:
            spec = json.dumps(self.reward.spec)
        except (SpecError, TypeError) as error:
            yield Finding("process", "skipped", f"has no spec to send to another process: {error}")
            return
        paths = os.pathsep.join([path for path in sys.path if path] + [os.getcwd()])
        environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": paths}
        command = [sys.executable, "-c", _IN_ANOTHER_PROCESS]
        done = subprocess.run(command, input=spec, capture_output=True, text=True, env=environment, cwd=os.sep, check=False)
        if done.returncode:
            yield Finding("process", "failed", f"cannot be built from its spec in another process: {done.stderr.strip()[-300:]}")
        elif done.stdout.strip() != self.reward.fingerprint:
            yield Finding("process", "failed", "another process gives it another fingerprint")
        else:
            yield Finding("process", "ok", "another process gives it the same fingerprint")

    def _scored(self, samples: Sequence[Sample]) -> Verdicts:
        return self.reward.score(samples, self.context)


def _shown(sample: Sample) -> str:
    text = sample.response if isinstance(sample.response, str) else str(sample.response)
    return repr(text if len(text) <= 60 else text[:59] + "…")


def _spelt(verdict: Verdict) -> str:
    value = f"{verdict.value:.9g}" if verdict.value is not None else verdict.status.name
    said = f" ({verdict.explanation[:120]})" if verdict.explanation else ""
    return f"{value}{f' {verdict.reason}' if verdict.reason else ''}{said}"
