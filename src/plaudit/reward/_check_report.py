"""What `check_reward` found: one finding for each declared fact that was put to the test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from plaudit.errors import ContractError

Result = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check came to.

    Fields:
        check: the check's name, for example ``"reads"``.
        result: ``"ok"``, ``"failed"``, or ``"skipped"`` (it could not be tried; the sentence says why).
        sentence: what was tried, or what went wrong and with which sample.
    """

    check: str
    result: Result
    sentence: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The findings on one reward.

    Fields:
        reward: the reward's name.
        fingerprint: of the reward that was checked.
        findings: one or more for each check, in the order in which they were tried.

    >>> report = CheckReport("right", "00", (Finding("range", "ok", "12 values lie in (0, 1)"),))
    >>> report.ok
    True
    """

    reward: str
    fingerprint: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings that failed."""
        return tuple(finding for finding in self.findings if finding.result == "failed")

    def __getitem__(self, check: str) -> Finding:
        """The worst finding of a check. Raises KeyError for a check that was not made."""
        found = [finding for finding in self.findings if finding.check == check]
        if not found:
            raise KeyError(f"{check!r} was not checked; checks are {', '.join(dict.fromkeys(f.check for f in self.findings))}")
        return min(found, key=lambda finding: ("failed", "skipped", "ok").index(finding.result))

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __str__(self) -> str:
        width = max((len(finding.check) for finding in self.findings), default=0)
        rows = [f"{finding.result.upper():7}  {finding.check:{width}}  {finding.sentence}" for finding in self.findings]
        counts = {result: sum(f.result == result for f in self.findings) for result in ("ok", "failed", "skipped")}
        tally = ", ".join(f"{n} {result}" for result, n in counts.items() if n)
        return "\n".join([f"{self.reward}: {tally}", *rows])

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "reward": self.reward,
            "fingerprint": self.fingerprint,
            "ok": self.ok,
            "findings": [{"check": f.check, "result": f.result, "sentence": f.sentence} for f in self.findings],
        }

    def raise_if_failed(self) -> None:
        """Raise ContractError with every failed finding, if there is one."""
        if not self.ok:
            lines = "\n".join(f"  {finding.check}: {finding.sentence}" for finding in self.failed)
            raise ContractError(f"{self.reward} breaks its contract:\n{lines}")
