"""A fingerprint changes with everything that the numbers depend on, and with nothing else."""

import dataclasses
import functools
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import typing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from plaudit import Facts, Reward, Sample, Verdict, catalog, from_spec, lexicographic, minimum
from plaudit.compose import Mean
from plaudit.errors import SpecError
from plaudit.reward import address_field, reward
from plaudit.reward._fingerprint import Canonical, is_address
from plaudit.verify import Exact, Format, Length, Math

HEX = re.compile(r"[0-9a-f]{32}")


def in_another_process(code, seed, cwd="/"):
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


# Across processes.


def test_fingerprints_are_the_same_in_every_process(tmp_path):
    (tmp_path / "scoring.py").write_text(
        textwrap.dedent("""
        import re
        LIMITS = {"a", "b", "c", "zeta"}
        PATTERN = re.compile("x+")
        def helper(text): return len(text) in {1, 2, 3} and text in LIMITS
        def score(response, *, k={"x", "y", "z"}): return float(helper(response) and PATTERN.match(response) is not None)
        by_lambda = lambda response: float(response in {"p", "q", "r", "s", "t"} and response not in ("u", "v"))
        """)
    )
    code = textwrap.dedent("""
        import sys; sys.path.insert(0, sys.argv[1] if len(sys.argv) > 1 else PLACE)
        import scoring
        from plaudit import catalog, from_spec
        from plaudit.reward import reward
        for name in catalog.names():
            print(from_spec(name).fingerprint)
        print(reward(scoring.score).fingerprint)
        print(reward(scoring.by_lambda).fingerprint)
        print((from_spec("verify.exact") + 0.5 * from_spec("verify.math").named("m")).fingerprint)
    """).replace("PLACE", repr(str(tmp_path)))
    first, second = in_another_process(code, 1), in_another_process(code, 2, cwd=str(tmp_path))
    assert first == second
    assert len(set(first)) == len(first) == len(catalog.names()) + 3
    assert all(HEX.fullmatch(fingerprint) for fingerprint in first)
    assert first[: len(catalog.names())] == [from_spec(name).fingerprint for name in catalog.names()]


# Fields.


TOGETHER = {
    "compose.noise_corrected.form": {"false_positive": 0.0},
    "compose.normalized_sum.within": {"means": {}, "stds": {}},
    "verify.code.language": {"command": ("/bin/sh", "solution")},
}
"""Fields whose other values need other values of further fields."""


def other_values(cls, field, value, hint):
    """Values that the field may take instead."""
    if typing.get_origin(hint) is typing.Literal:
        return [option for option in typing.get_args(hint) if option != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, (int, float)):
        return [value + 1, value - 1, 0.5, value / 2]
    if isinstance(value, Reward):
        return [Length(unit="words"), Exact(ignore_case=True), Format()]
    if isinstance(value, Path):
        return [changed_copy(value)]
    if isinstance(value, str):
        return [value + " changed", *[o for o in ("whole", "value", "strict", "drop", "cpp") if o != value]]
    if isinstance(value, tuple):
        return [value[:-1], value[::-1], (*value, "changed"), (1, 7), ("boxed",), ("/bin/sh", "solution"), (200,)]
    if isinstance(value, typing.Mapping):
        renamed = {"first": next(iter(value.values()), 1.0), **dict(list(value.items())[1:])}
        numbers = {k: (v + 1 if isinstance(v, (int, float)) else v) for k, v in value.items()}
        rewards = {k: (v.named("other") if isinstance(v, Reward) else v) for k, v in value.items()}
        return [{**value, "changed": Exact()}, renamed, numbers, rewards]
    if Reward in typing.get_args(hint):
        return [Exact()]
    return [1, 2.5, "changed", ("think", "answer"), 64]


def changed_copy(folder):
    """A copy of a folder of which one byte is another."""
    target = Path(tempfile.mkdtemp()) / folder.name
    shutil.copytree(folder, target)
    first = sorted(path for path in target.rglob("*") if path.is_file())[0]
    first.write_bytes(first.read_bytes() + b"x")
    return target


def field_cases():
    for name in catalog.names():
        cls = catalog.load(catalog.REWARDS, name)
        for field in dataclasses.fields(cls):
            if not field.init:  # what an instance keeps for itself is no configuration
                continue
            yield pytest.param(name, field.name, id=f"{name}.{field.name}")


@pytest.mark.parametrize(("name", "field"), list(field_cases()))
def test_every_field_of_every_registered_reward_changes_its_fingerprint_unless_it_is_an_address(name, field):
    built = from_spec(name)
    (declared,) = [f for f in dataclasses.fields(built) if f.name == field]
    hint = typing.get_type_hints(type(built)).get(field)
    changed = None
    for value in other_values(type(built), field, getattr(built, field), hint):
        try:
            changed = dataclasses.replace(built, **{field: value}, **TOGETHER.get(f"{name}.{field}", {}))
        except (ValueError, TypeError, AttributeError):  # the reward refuses this value
            continue
        if getattr(changed, field) != getattr(built, field):
            break
    assert changed is not None, f"found no other value for {name}.{field}: extend other_values"
    assert getattr(changed, field) != getattr(built, field)
    assert (changed.fingerprint == built.fingerprint) == is_address(declared)


def test_nodes_count_their_weights_constants_names_and_where_it_matters_their_order():
    a, b = Exact(), Math()
    trees = [
        a + b, a + 2 * b, a + b + 1, a * b, minimum(a, b), Mean({"a": a, "b": b}), Mean({"a": a, "b": b}, on_failure="drop"),
        lexicographic(a, b), lexicographic(b, a), lexicographic(a, b, resolution=0.1), a.clip(0), a.clip(None, 0), a.gate(b),
        b.gate(a), a.gate(b, closed=-1), a.named("x"), a.named("y"), (a + b)["exact"], a, b,
    ]  # fmt: skip
    assert len({tree.fingerprint for tree in trees}) == len(trees)
    assert (a + b).fingerprint == (b + a).fingerprint


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (1, 2), (1.0, 1.5), (0.1, 0.1000000001), ("1", 1), (True, "True"), (None, "None"), ((1, 2), (2, 1)), ((1, 2), ((1,), 2)),
        ({"a": 1}, {"a": 2}), ({"a": 1}, {"b": 1}), ("ab", ("a", "b")), (b"a", "a"), ("", ()), (float("inf"), 1e308),
        (10**400, 10**400 + 1), (frozenset({1}), frozenset({2})), (np.zeros(2), np.zeros(3)), (np.zeros(2), np.zeros(2, int)),
        (re.compile("a"), re.compile("a", re.I)), ("\ud800", "\ud801"),
    ],
)  # fmt: skip
def test_values_that_differ_are_told_apart(x, y):
    assert Canonical().of(x) != Canonical().of(y)
    assert Canonical().of(x) == Canonical().of(x)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (1, 1.0), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ((1, 2), [1, 2]), (frozenset("abc"), set("cba")), (np.float32(0.5), 0.5),
        (np.int64(3), 3), (np.bool_(True), True), (10**400, 10**400),
    ],
)  # fmt: skip
def test_values_that_mean_the_same_are_not(x, y):
    assert Canonical().of(x) == Canonical().of(y)


def test_a_field_that_the_constructor_does_not_take_is_no_configuration():
    @dataclass(frozen=True)
    class Learning(Exact):
        counts: dict = dataclasses.field(default_factory=dict, init=False, compare=False)

    learned = Learning()
    learned.counts["n"] = 3
    assert learned.fingerprint == Learning().fingerprint


def test_an_address_or_a_key_is_not_covered():
    @dataclass(frozen=True)
    class Remote(Exact):
        url: str = address_field(default="http://a")
        size: int = 1

    assert Remote().fingerprint == Remote(url="http://b").fingerprint
    assert Remote().fingerprint != Remote(size=2).fingerprint


def test_a_version_counts():
    f = lambda response: 1.0  # noqa: E731
    assert reward(f, version="1").fingerprint != reward(f, version="2").fingerprint


# Files.


@dataclass(frozen=True)
class Rubric(Reward):
    path: Path

    @property
    def facts(self):
        return Facts(range=(0, 1), reads={"response"})

    def score_one(self, sample, context):
        return Verdict(float(sample.response in self.path.read_text()))


def test_every_byte_of_a_referenced_file_counts_and_its_name_and_place_do_not(tmp_path):
    path = tmp_path / "rubric.txt"
    content = bytes(range(48))
    path.write_bytes(content)
    held = Rubric(path)
    before = held.fingerprint
    seen = {before}
    for k in range(len(content)):
        # The same size, and within the same second as the write before.
        path.write_bytes(content[:k] + bytes([content[k] ^ 1]) + content[k + 1 :])
        seen.add(held.fingerprint)
        seen.add(Rubric(path).fingerprint)
    assert len(seen) == len(content) + 1
    path.write_bytes(content)
    assert held.fingerprint == before
    moved = tmp_path / "elsewhere" / "other name.md"
    moved.parent.mkdir()
    shutil.move(path, moved)
    assert Rubric(moved).fingerprint == before
    with pytest.raises(SpecError, match="cannot fingerprint"):
        _ = held.fingerprint


def test_a_change_is_seen_even_when_the_file_keeps_its_size_and_its_time(tmp_path):
    path = tmp_path / "rubric.txt"
    path.write_bytes(b"aaaa")
    before = Rubric(path).fingerprint
    stat = path.stat()
    path.write_bytes(b"aaab")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert Rubric(path).fingerprint != before


def test_a_change_to_an_old_file_is_seen_even_when_a_program_restores_its_time(tmp_path):
    path = tmp_path / "rubric.txt"
    path.write_bytes(b"aaaa")
    os.utime(path, (1e9, 1e9))
    before = Rubric(path).fingerprint
    path.write_bytes(b"aaab")
    os.utime(path, (1e9, 1e9))
    assert Rubric(path).fingerprint != before


def test_a_folder_counts_with_the_names_and_bytes_inside_it(tmp_path):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_text("1")
    (folder / "sub" / "b").write_text("2")
    before = Rubric(folder).fingerprint
    moved = shutil.copytree(folder, tmp_path / "copy")
    assert Rubric(moved).fingerprint == before
    (moved / "sub" / "b").write_text("3")
    assert Rubric(moved).fingerprint != before
    (folder / "a").rename(folder / "c")
    assert Rubric(folder).fingerprint != before


# Functions.


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes source to a module and imports it afresh, each time from another folder."""
    count = 0

    def load(source, folder=None, **files):
        nonlocal count
        count += 1
        place = tmp_path / (folder or f"folder{count}")
        place.mkdir(exist_ok=True)
        for name, text in {"scoring": source, **files}.items():
            (place / f"{name}.py").write_text(textwrap.dedent(text))
            sys.modules.pop(name, None)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(place)
            importlib.invalidate_caches()
            return importlib.import_module("scoring")

    yield load
    for name in ("scoring", "helping"):
        sys.modules.pop(name, None)


SOURCE = """
    import functools
    import helping
    LIMIT = 5
    TABLE = {"a": [1, 2]}
    def inner(text): return len(text)
    def helper(text): return inner(text) > LIMIT
    @functools.lru_cache
    def cached(text): return text.strip()
    scale = functools.partial(pow, 2)
    class Ruler:
        unit = 3
        def size(self, text): return len(text) / self.unit
    RULER = Ruler
    def score(response, k=2, *, m=3):
        known = helper(response) and cached(response) and k + m + scale(1) + TABLE["a"][0]
        return float(known) + helping.aid(response) + RULER().size("")
"""
HELPING = """
    STEP = 1
    def further(text): return STEP
    def aid(text): return further(text)
"""


def test_a_function_keeps_its_fingerprint_when_its_file_moves_and_its_neighbours_change(module):
    before = reward(module(SOURCE, helping=HELPING).score).fingerprint
    assert reward(module(SOURCE, helping=HELPING).score).fingerprint == before
    assert reward(module("\n    # A comment." + SOURCE + "\n    UNUSED = 3\n", helping=HELPING).score).fingerprint == before
    assert reward(module(SOURCE, helping=HELPING + "\n    OTHER = 3\n").score).fingerprint == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("k=2", "k=3"),
        ("m=3", "m=4"),
        ("LIMIT = 5", "LIMIT = 6"),
        ('TABLE = {"a": [1, 2]}', 'TABLE = {"a": [1, 3]}'),
        ("return len(text)\n", "return len(text) + 1\n"),
        ("inner(text) > LIMIT", "inner(text) >= LIMIT"),
        ("text.strip()", "text.rstrip()"),
        ("partial(pow, 2)", "partial(pow, 3)"),
        ("unit = 3", "unit = 4"),
        ('TABLE["a"][0]', 'TABLE["a"][1]'),
        ("STEP = 1", "STEP = 2"),
        ("return further(text)", "return 2 * further(text)"),
    ],
)
def test_what_a_function_uses_changes_its_fingerprint(module, old, new):
    before = reward(module(SOURCE, helping=HELPING).score).fingerprint
    assert (old in textwrap.dedent(SOURCE)) + (old in textwrap.dedent(HELPING)) == 1
    after = reward(module(SOURCE.replace(old, new), helping=HELPING.replace(old, new)).score).fingerprint
    assert after != before


def test_a_closure_counts_by_what_it_holds():
    def make(size, helper):
        def score(response):
            return helper(len(response) / size)

        return reward(score)

    plain = make(2, lambda x: x)
    assert plain.fingerprint == make(2, lambda x: x).fingerprint
    assert plain.fingerprint != make(3, lambda x: x).fingerprint
    assert plain.fingerprint != make(2, lambda x: 2 * x).fingerprint


def test_a_default_counts_by_what_it_holds():
    def make(size, limit):
        def score(response, size=size, *, limit=limit):
            return float(size > limit)

        return reward(score).fingerprint

    assert make(1, 2) == make(1, 2)
    assert len({make(1, 2), make(2, 2), make(1, 3)}) == 3


def test_two_lambdas_on_one_line_are_two_rewards():
    a, b = reward(lambda response: 1.0), reward(lambda response: 2.0)
    c, d = reward(lambda response: 1.0).fingerprint, reward(lambda response: float("x" in response)).fingerprint
    assert len({a.fingerprint, b.fingerprint, d}) == 3
    assert a.fingerprint == c


def test_a_nested_function_and_a_default_of_it_count():
    def outer(k):
        exec_names = {}
        exec(f"def score(response):\n    def inner(x={k}): return x\n    return inner()", exec_names)
        return reward(exec_names["score"]).fingerprint

    assert outer(1) == outer(1)
    assert outer(1) != outer(2)


def test_recursion_and_functions_that_call_each_other_end():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert HEX.fullmatch(reward(lambda response: even(len(response))).fingerprint)


def test_a_bound_method_counts_with_its_object():
    @dataclass(frozen=True)
    class Scorer:
        k: int

        def score(self, response):
            return self.k

    assert reward(Scorer(1).score).fingerprint == reward(Scorer(1).score).fingerprint
    assert reward(Scorer(1).score).fingerprint != reward(Scorer(2).score).fingerprint


def test_a_partial_counts_with_its_arguments():
    def score(response, k):
        return k

    assert reward(functools.partial(score, k=1)).fingerprint != reward(functools.partial(score, k=2)).fingerprint


@pytest.mark.parametrize(
    ("old", "new"),
    [("> LIMIT", ">= LIMIT"), ("LIMIT = 5", "LIMIT = 6"), ("size: int = 1", "size: int = 2"), ("base() + 1", "base() + 2")],
)
def test_a_class_outside_the_catalogue_counts_with_its_source_its_bases_and_what_they_use(module, old, new):
    source = """
    from dataclasses import dataclass
    from plaudit import Facts, Reward, Verdict
    LIMIT = 5
    class Base(Reward):
        def base(self): return 1
        def more(self): return self.base() + 1
    @dataclass(frozen=True)
    class Mine(Base):
        size: int = 1
        @property
        def facts(self): return Facts(range=(0, 1))
        def score_one(self, sample, context): return Verdict(float(len(sample.response) > LIMIT))
    """
    before = module(source).Mine().fingerprint
    assert module("\n    # moved" + source).Mine().fingerprint == before
    assert module(source.replace(old, new)).Mine().fingerprint != before


def test_a_class_whose_source_is_not_at_hand_counts_by_its_code():
    def make(value):
        names = {"__name__": "__main__"}
        exec(
            "from dataclasses import dataclass\nfrom plaudit import Facts, Reward, Verdict\n"
            "@dataclass(frozen=True)\nclass Typed(Reward):\n    facts = property(lambda self: Facts())\n"
            f"    def score_one(self, sample, context): return Verdict({value})\n",
            names,
        )
        return names["Typed"]().fingerprint

    assert make(0.5) == make(0.5)
    assert make(0.5) != make(0.25)


def test_a_function_that_a_spec_names_by_file_counts_with_all_bytes_of_that_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def score(response): return 1.0\n# a\n")
    before = from_spec({"use": "function", "path": f"{path}:score"}).fingerprint
    copy = tmp_path / "copy.py"
    shutil.copy(path, copy)
    assert from_spec({"use": "function", "path": f"{copy}:score"}).fingerprint == before
    path.write_text("def score(response): return 1.0\n# b\n")
    assert from_spec({"use": "function", "path": f"{path}:score"}).fingerprint != before


def test_plaudits_own_classes_count_by_name_wherever_it_is_installed():
    def uses(response):
        return Verdict(1.0)

    (rows,) = [row for row in Canonical().of(uses)["function"] if isinstance(row, dict) and "Verdict" in row]
    assert rows["Verdict"] == {"name": "Verdict"}


# What has no version.


def test_what_cannot_be_pinned_is_named():
    class Opaque:
        pass

    held = Opaque()
    assert "Opaque" in reward(lambda response: held).unversioned[0]
    assert not Exact().unversioned
    assert (Exact() + reward(lambda response: held)).unversioned


def test_a_model_counts_by_its_version_and_without_one_is_unversioned():
    class Model:
        address, abilities = "world:x", frozenset()

        def __init__(self, version):
            self.version = version

    @dataclass(frozen=True)
    class Judge(Exact):
        model: object = None

    assert Judge(model=Model("1")).fingerprint == Judge(model=Model("1")).fingerprint
    assert Judge(model=Model("1")).fingerprint != Judge(model=Model("2")).fingerprint
    assert "world:x" in Judge(model=Model(None)).unversioned[0]


def test_a_class_that_is_no_frozen_dataclass_says_so():
    class Loose(Reward):
        facts = property(lambda self: Facts(range=(0, 1)))

        def score_one(self, sample, context):
            return Verdict(1.0)

    with pytest.raises(TypeError, match="frozen=True"):
        _ = Loose().fingerprint
    with pytest.raises(TypeError, match="frozen=True"):
        Loose().score([Sample("p", "r")])


def test_a_length_in_another_unit_is_another_reward():
    assert Length(unit="words").fingerprint != Length(unit="characters").fingerprint


def test_an_object_that_claims_to_have_every_attribute_does_not_send_it_round_in_circles():
    class Proxy:
        def __call__(self):
            return 1.0

        @property
        def __wrapped__(self):
            return Proxy()

    held = Proxy()
    assert reward(lambda response: held()).unversioned
