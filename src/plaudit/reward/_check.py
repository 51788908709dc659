"""`check_reward`: the declared facts of a reward, put to the test as Gymnasium's `check_env` does with an environment."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from plaudit.errors import ContractError
from plaudit.reward._base import Reward
from plaudit.reward._check_hostile import hostile_findings
from plaudit.reward._check_inputs import changed, changed_fields, copied, made_up_samples, swapped
from plaudit.reward._check_report import CheckReport, Finding
from plaudit.reward._check_travel import pickling, spec_findings
from plaudit.reward._check_trial import Trial, Unscored, named, same
from plaudit.reward._check_verdicts import problems, unlike
from plaudit.reward._facts import Facts
from plaudit.reward._fingerprint import Canonical
from plaudit.reward._groups import Groups
from plaudit.reward._stamp import stamp_of
from plaudit.run import using
from plaudit.types import ABSTAINED, Context, Sample, Verdicts, concatenate


def check_reward(
    reward: Reward,
    samples: Sequence[Sample] | None = None,
    context: Context | None = None,
    *,
    thorough: bool | None = None,
    seconds: float = 10.0,
) -> CheckReport:
    """Test what a reward declares of itself, and what the contract asks of every reward.

    Range, parts, reasons; scope, reads, determinism, order and batch invariance; purity, pickling, thread safety, spec round
    trip; abstention that does not depend on the response; and hostile responses (empty, 1 MB, NUL, lone surrogates, deep
    nesting), which must be judged in bounded time and never end in FAILED by the response's own fault. A reward that is
    declared random is not compared with itself. A cache in force is left out.

    `samples` should be scored by the reward, some of them differently; None = a small made-up set. `thorough` = False
    keeps the number of calls modest; None = False for the io and gpu lanes. `seconds` is how long one hostile response may take.
    Raises ContractError when `reward` is not a reward.

    >>> from plaudit.reward import reward
    >>> greedy = reward(lambda response: len(response) / 10, range=(0, 1)).named("greedy")
    >>> check_reward(greedy)["range"].sentence
    "sample 1 (response 'The answer is 4.'): a value was refused: 1.6 lies outside the declared range (0, 1)"
    """
    if not isinstance(reward, Reward):
        raise ContractError(f"check_reward: expected a reward, got {type(reward).__name__}")
    facts = reward.facts
    with using(cache=None):
        given = copied(samples if samples is not None else made_up_samples(facts))
        untouched, before = copied(given), _self_portrait(reward)
        findings: list[Finding] = []
        try:
            verdicts = Trial.scored(reward, given, context)
            findings += [_said(verdicts, samples is None), *_declared(facts, given, verdicts)]
            thorough = facts.lane in ("inline", "cpu") if thorough is None else thorough
            trial = Trial.of(reward, given, verdicts, context or Context(), thorough, seconds)
            for check in (*_COMPARING, pickling, _threads, _abstention):
                findings += _guarded(check, trial)
            findings += hostile_findings(trial)
        except Unscored as stop:
            findings.append(Finding("samples", "failed", str(stop)))
        findings += [*spec_findings(reward), _purity(reward, before, untouched, given)]
    return CheckReport(reward.name, reward.fingerprint, tuple(_merged(findings)))


def _said(verdicts: Verdicts, made_up: bool) -> Finding:
    """Whether the reward says anything of the samples at all: without a value the other checks would hold for nothing."""
    count = f"{len(verdicts)} samples: {verdicts.n_scored} scored, {verdicts.n_abstained} abstained, {verdicts.n_failed} failed"
    if verdicts.n_scored:
        return Finding("samples", "ok", count)
    codes = ", ".join(sorted({str(code) for code in verdicts.reason}))
    advice = "give check_reward samples that the reward can score"
    return Finding("samples", "skipped" if made_up else "failed", f"{count} ({codes}): {advice}")


def _declared(facts: Facts, samples: list[Sample], verdicts: Verdicts) -> Iterator[Finding]:
    for check, row, sentence in problems(verdicts, samples, facts):
        yield Finding(check, "failed", f"{named(samples, row)}: {sentence}")
    if facts.range is None:
        yield Finding("range", "skipped", "declares no range: write @reward(range=(lo, hi)), or Facts(range=(lo, hi))")
    else:
        yield Finding("range", "ok", f"{verdicts.n_scored} values lie in ({facts.range[0]:g}, {facts.range[1]:g})")
    yield Finding("parts", "ok", f"every verdict has the parts {list(facts.parts)}" if facts.parts else "there are none")
    yield Finding("reasons", "ok", "every code is declared and fits its status")
    yield Finding("verdict", "ok", "std, confidence, answer, details and dense are what they should be")


def _guarded(check: Check, trial: Trial) -> Iterator[Finding]:
    name = check.__name__.removeprefix("_")
    if check in _COMPARING and not trial.facts.deterministic:
        yield Finding(name, "skipped", "declared random: values are not compared")
        return
    try:
        yield from check(trial)
    except Unscored as error:
        yield Finding(name, "failed", str(error))


def _determinism(trial: Trial) -> Iterator[Finding]:
    yield from same(trial, "determinism", "scored twice, the same verdicts", trial.score(trial.samples))


def _order(trial: Trial) -> Iterator[Finding]:
    order = np.random.default_rng(0).permutation(len(trial.samples))
    verdicts = trial.score([trial.samples[i] for i in order.tolist()])
    yield from same(trial, "order", "in another order, the same verdicts", verdicts.take(np.argsort(order)))


def _batches(trial: Trial) -> Iterator[Finding]:
    scope, samples = trial.facts.scope, trial.samples
    if scope == "batch":
        yield Finding("batches", "skipped", _BATCH_SCOPE)
    elif scope == "group":
        for rows in Groups(samples).members[: 8 if trial.thorough else 2]:
            verdicts = trial.score([samples[i] for i in rows.tolist()])
            yield from same(trial, "batches", "a group on its own, the same verdicts", verdicts, rows.tolist())
    else:
        middle = (len(samples) + 1) // 2
        halves = [trial.score(half) for half in (samples[:middle], samples[middle:]) if half]
        yield from same(trial, "batches", "in two halves, the same verdicts", concatenate(halves))
        singles = list(range(len(samples)))[: 16 if trial.thorough else 2]
        alone = concatenate([trial.score([samples[i]]) for i in singles])
        yield from same(trial, "batches", "one by one, the same verdicts", alone, singles)


def _scope(trial: Trial) -> Iterator[Finding]:
    scope, samples = trial.facts.scope, trial.samples
    if scope == "batch":
        yield Finding("scope", "skipped", _BATCH_SCOPE)
        return
    strangers = [changed(sample, "response", False) for sample in swapped(samples)]
    if scope == "group":
        strangers = [replace(changed(s, "prompt", False), group=s.group and f"{s.group}-other") for s in strangers]
    middle = len(strangers) // 2
    verdicts = trial.score([*strangers[:middle], *samples, *strangers[middle:]])[middle : middle + len(samples)]
    what = "samples" if scope == "sample" else "groups"
    yield from same(trial, "scope", f"among other {what}, the same verdicts", verdicts)


def _reads(trial: Trial) -> Iterator[Finding]:
    """Change every field that is not declared: one at a time, or all at once and then the culprit, when calls are dear."""
    names = changed_fields(trial.facts, trial.samples)
    unread = [name for name in ("step", "seed") if f"context.{name}" not in trial.facts.reads]
    said = f"declares {', '.join(sorted(trial.facts.reads)) or 'nothing'}; "

    def with_changed(which: Sequence[str], absent: bool) -> Verdicts:
        samples = trial.samples
        for name in which:
            samples = [changed(sample, name, absent) for sample in samples]
        return trial.score(samples)

    for absent in (False, True):
        if not trial.thorough and trial.difference(with_changed(names, absent)) is None:
            continue
        for name in names:
            how = f"{name} {'taken away' if absent else 'changed'}"
            yield from same(trial, "reads", f"{said}{how}, the same verdicts", with_changed([name], absent))
    if unread:
        step, seed = (12345 if name in unread else getattr(trial.context, name) for name in ("step", "seed"))
        verdicts = trial.score(trial.samples, replace(trial.context, step=step, seed=seed))
        yield from same(trial, "reads", f"{said}context.{' and context.'.join(unread)} changed, the same verdicts", verdicts)
    yield Finding("reads", "ok", f"{said}nothing else changes a verdict ({', '.join(names)})")


def _threads(trial: Trial) -> Iterator[Finding]:
    n = 4 if trial.thorough else 2
    results: list[Verdicts | Exception | None] = [None] * n
    start = threading.Barrier(n)

    def run(k: int) -> None:
        start.wait()
        try:
            results[k] = trial.score(trial.samples)
        except Exception as error:
            results[k] = error

    threads = [threading.Thread(target=run, args=(k,), daemon=True) for k in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60 + trial.seconds * len(trial.samples))
    for result in results:
        if result is None or isinstance(result, Exception):
            yield Finding("threads", "failed", f"scored from {n} threads at once: {result or 'does not come back'}")
        elif trial.facts.deterministic:
            yield from same(trial, "threads", f"from {n} threads at once, the same verdicts", result)
    yield Finding("threads", "ok", f"scored from {n} threads at once")


def _abstention(trial: Trial) -> Iterator[Finding]:
    """Abstaining may depend on prompt, reference and columns; never on the response, or the policy learns to be unscored."""
    verdicts = trial.score(swapped(trial.samples))
    for row in np.flatnonzero((verdicts.codes == ABSTAINED) != (trial.base.codes == ABSTAINED)).tolist():
        now, then = ("ABSTAINED", "not") if verdicts.codes[row] == ABSTAINED else ("not ABSTAINED", "so")
        yield Finding(
            "abstention", "failed", f"{named(trial.samples, row)}: with another response it is {now}, before it was {then}"
        )
    yield Finding("abstention", "ok", "with the responses swapped, the same samples are ABSTAINED")


def _self_portrait(reward: Reward) -> tuple[str, str]:
    # Not `reward.fingerprint`, which is remembered.
    return json.dumps(Canonical().of(reward), sort_keys=True), stamp_of(reward)


def _purity(reward: Reward, before: tuple[str, str], untouched: list[Sample], scored: list[Sample]) -> Finding:
    portrait, stamp = _self_portrait(reward)
    if portrait != before[0]:
        return Finding("purity", "failed", "scoring changed the reward itself: its fields, or what its function closes over")
    if stamp != before[1]:
        return Finding("purity", "failed", "scoring changed the state of a stateful reward: only update() may")
    for row, (old, new) in enumerate(zip(untouched, scored, strict=True)):
        if (field := unlike(old, new)) is not None:
            return Finding("purity", "failed", f"{named(untouched, row)}: scoring changed its {field}")
    return Finding("purity", "ok", "scoring changed neither samples nor the reward")


def _merged(findings: list[Finding]) -> Iterator[Finding]:
    """One line for a check that is ok; every failure of one that is not, at most five of them."""
    for check in dict.fromkeys(finding.check for finding in findings):
        of = [finding for finding in findings if finding.check == check]
        failed = list(dict.fromkeys(finding for finding in of if finding.result == "failed"))
        if failed:
            yield from failed[:5]
            if len(failed) > 5:
                yield Finding(check, "failed", f"{len(failed) - 5} more")
        else:
            skipped = [finding for finding in of if finding.result == "skipped"]
            yield (skipped or of)[-1]


Check = Callable[[Trial], Iterator[Finding]]

_COMPARING: tuple[Check, ...] = (_determinism, _order, _batches, _scope, _reads)
_BATCH_SCOPE = "declared scope 'batch': the value depends on the other samples of the call"
