"""Specs: every reward can be written down as YAML and built again, and a wrong spec says what is wrong with it."""

import copy
import dataclasses
import json

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit import Facts, Reward, Sample, Verdict, catalog, from_spec, lexicographic, minimum
from plaudit.compose import Mean
from plaudit.errors import SpecError
from plaudit.reward import Sum, reward
from plaudit.verify import Exact, Format, Length, Math

SAMPLES = [Sample("6 * 7?", response, "42") for response in ("42", "41", "<answer>42</answer>", "")]


def comes_back(built):
    """Through the mapping, JSON, YAML: the same fields, fingerprint, spec and verdicts."""
    spec = built.spec
    for again in (from_spec(copy.deepcopy(spec)), from_spec(json.loads(json.dumps(spec))), from_spec(built.to_yaml())):
        assert again.fingerprint == built.fingerprint
        assert again.spec == spec
        assert type(again) is type(built)
        assert again.facts == built.facts
        assert again == built
    return again


@pytest.mark.parametrize("name", catalog.names())
def test_every_registered_reward_comes_back_from_its_spec(name, tmp_path):
    built = from_spec({"use": name, **catalog.load(catalog.REWARDS, name).example})
    comes_back(built)
    path = tmp_path / "reward.yaml"
    path.write_text(built.to_yaml(), encoding="utf-8")
    assert from_spec(path).fingerprint == from_spec(str(path)).fingerprint == built.fingerprint
    assert from_spec(name).fingerprint == built.fingerprint, "a bare name is its example"


leaf = st.one_of(
    st.builds(Exact, ignore_case=st.booleans(), strip=st.booleans(), collapse_whitespace=st.booleans()),
    st.builds(Math, read=st.sampled_from(["final", "whole"]), max_chars=st.integers(1, 10**6)),
    st.builds(Length, max_length=st.integers(10, 10**6), cache=st.integers(0, 10), unit=st.sampled_from(["characters", "words"])),
    st.builds(Format, tags=st.just(("think", "answer"))),
)
names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="/"), min_size=1, max_size=6)
weights = st.floats(0, 100) | st.integers(0, 3).map(float)


@st.composite
def trees(draw, depth=3):
    if depth == 0 or draw(st.booleans()):
        return draw(leaf)
    kids = [draw(trees(depth=depth - 1)) for _ in range(draw(st.integers(1, 3)))]
    named = dict(zip(draw(st.lists(names, min_size=len(kids), max_size=len(kids), unique=True)), kids, strict=True))
    kind = draw(st.sampled_from(["sum", "drop", "product", "minimum", "lexicographic", "clip", "gate", "mean", "named", "part"]))
    if kind in ("sum", "drop"):
        w = {name: draw(weights) for name in named}
        return Sum(named, w, draw(st.floats(-5, 5)), on_failure="drop" if kind == "drop" else "fail")
    if kind == "product":
        return kids[0] * kids[-1]
    if kind == "minimum":
        return minimum(*kids)
    if kind == "lexicographic":
        return lexicographic(*(kid.clip(-1, 1) for kid in kids), resolution=0.5)
    if kind == "clip":
        return kids[0].clip(draw(st.none() | st.floats(-2, 0)), draw(st.none() | st.floats(0, 2)))
    if kind == "gate":
        return kids[0].gate(kids[-1].clip(0.0), draw(st.sampled_from([0.0, -1.0])))
    if kind == "mean":
        return Mean(named, on_failure=draw(st.sampled_from(["fail", "drop"])))
    if kind == "part":
        return Sum(named)[next(iter(named))]
    return kids[0].named(draw(names))


@settings(deadline=None, max_examples=60)
@given(trees())
def test_any_tree_comes_back_from_its_spec(tree):
    again = comes_back(tree)
    assert np.array_equal(again.score(SAMPLES).values, tree.score(SAMPLES).values, equal_nan=True)


def test_a_spec_says_what_differs_from_the_defaults_and_no_more():
    assert Exact(ignore_case=True).spec == {"use": "verify.exact", "ignore_case": True}
    tree = Exact().named("right") + 0.5 * Length(max_length=9, cache=0)
    assert tree.spec == {
        "use": "sum",
        "parts": {
            "right": {"use": "verify.exact", "name": "right"},
            "length": {"use": "verify.length", "max_length": 9, "cache": 0},
        },
        "weights": {"right": 1.0, "length": 0.5},
    }


def test_weights_that_a_spec_leaves_out_are_one():
    tree = from_spec("{use: sum, weights: {b: 0.2}, parts: {a: {use: verify.exact}, b: {use: verify.math}}}")
    assert dict(tree.weights) == {"a": 1.0, "b": 0.2}


def test_a_reward_outside_the_catalogue_is_named_by_its_module(tmp_path, monkeypatch):
    (tmp_path / "spec_module.py").write_text(
        "from dataclasses import dataclass\n"
        "from plaudit import Facts, Reward, Verdict\n"
        "@dataclass(frozen=True)\n"
        "class Mine(Reward):\n"
        "    inner: Reward\n"
        "    sizes: tuple[int, ...] = ()\n"
        "    facts = property(lambda self: Facts(range=(0, 1)))\n"
        "    def score_one(self, sample, context): return Verdict(0.5)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    built = from_spec({"use": "spec_module:Mine", "inner": {"use": "verify.exact"}, "sizes": [1, 2]})
    assert built.sizes == (1, 2)
    assert built.spec["use"] == "spec_module:Mine"
    comes_back(built)


# Functions.

SOURCE = """
from plaudit.reward import reward

def plain(response, reference):
    return float(response == reference)

@reward(range=(0, 1), version="7")
def decorated(response):
    return 0.5

@reward(range=(0, 1), name="given")
def renamed(response):
    return 0.25

def _hidden():
    pass

number = 5
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def test_a_function_in_a_file_comes_back_with_its_facts(source):
    built = from_spec({"use": "function", "path": f"{source}:plain", "range": [0, 1]})
    assert built.score(SAMPLES).values.tolist() == [1, 0, 0, 0]
    assert built.spec == {"use": "function", "path": f"{source}:plain", "range": [0.0, 1.0]}
    assert from_spec(built.to_yaml()).fingerprint == built.fingerprint


def test_a_decorated_function_brings_its_own_facts(source):
    built = from_spec({"use": "function", "path": f"{source}:decorated"})
    assert built.facts.version == "7"
    assert built.spec == {"use": "function", "path": f"{source}:decorated"}
    assert from_spec(built.spec).fingerprint == built.fingerprint
    with pytest.raises(SpecError, match="facts of its own; remove range"):
        from_spec({"use": "function", "path": f"{source}:decorated", "range": [0, 1]})
    with pytest.raises(SpecError, match="give them to @reward there"):
        _ = dataclasses.replace(built, version="8").spec


def test_a_decorated_function_with_a_name_keeps_it(source):
    built = from_spec({"use": "function", "path": f"{source}:renamed"})
    assert built.name == "given"
    assert from_spec(built.spec).fingerprint == built.fingerprint


def test_a_decorated_function_in_a_module_comes_back(source, monkeypatch):
    monkeypatch.syspath_prepend(source.parent)
    import mine  # the file of the fixture

    assert from_spec(mine.decorated.spec).fingerprint == mine.decorated.fingerprint
    assert mine.decorated.spec == {"use": "function", "path": "mine:decorated"}


def test_paths_are_relative_to_the_file_that_names_them(source):
    folder = source.parent / "specs"
    folder.mkdir()
    (folder / "inner.yaml").write_text("{use: function, path: '../mine.py:plain', range: [0, 1]}")
    (source.parent / "outer.yaml").write_text("{use: sum, parts: {a: {use: spec, path: specs/inner.yaml}}}")
    built = from_spec(source.parent / "outer.yaml")
    assert built.score(SAMPLES).values.tolist() == [1, 0, 0, 0]
    assert from_spec("{use: spec, path: inner.yaml}", folder=folder).fingerprint


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("mine.py:plian", "did you mean 'plain'"),
        ("mine.py:number", "has no function 'number'"),
        ("none.py:plain", "no Python file"),
        ("mine.py", "expected 'FILE.py:NAME'"),
        (5, "expected 'FILE.py:NAME'"),
        ("no_such_module:f", "cannot import"),
    ],
)
def test_a_function_that_cannot_be_found_is_named(source, path, said):
    with pytest.raises(SpecError, match=said):
        from_spec({"use": "function", "path": path}, folder=source.parent)


def test_a_file_that_does_not_load_says_why(tmp_path):
    (tmp_path / "bad.py").write_text("1 / 0")
    with pytest.raises(SpecError, match="ZeroDivisionError"):
        from_spec("{use: function, path: 'bad.py:f'}", folder=tmp_path)


def test_what_has_no_address_says_what_to_do():
    @dataclasses.dataclass(frozen=True)
    class Local(Reward):
        facts = property(lambda self: Facts(range=(0, 1)))

        def score_one(self, sample, context):
            return Verdict(0.5)

    with pytest.raises(SpecError, match="top of a module"):
        _ = Local().spec
    with pytest.raises(SpecError, match=r"FILE\.py"):
        _ = reward(lambda response: 1.0).spec


@dataclasses.dataclass(frozen=True)
class Holder(Exact):
    criteria: object = None


def test_a_field_that_yaml_cannot_say_is_named():
    with pytest.raises(SpecError, match=r"holder\.criteria holds object"):
        _ = Holder(criteria=object()).spec


# Wrong specs.


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"use": "verify.exat"}, "did you mean 'verify.exact'"),
        ({"use": "verify.exact", "ignore_cas": True}, "no field 'ignore_cas'; did you mean 'ignore_case'"),
        ({"use": "verify.exact", "ignore_case": "yes"}, r"verify\.exact|ignore_case: expected true or false, got 'yes'"),
        ({"use": "verify.length", "max_length": 2.5}, "expected a whole number, got 2.5"),
        ({"use": "verify.length", "max_length": True}, "expected a whole number, got True"),
        ({"use": "verify.length", "unit": "lines"}, "'tokens' or 'characters' or 'words', got 'lines'"),
        ({"use": "verify.math", "rules": "boxed"}, "expected a list, got 'boxed'"),
        ({"use": "sum", "parts": {"a": {"use": "verify.exact"}}, "weights": {"b": 1}}, "weights name"),
        ({"use": "sum", "parts": {"a": {"use": "verify.exact"}}, "weights": {"a": "much"}}, "weights: expected a mapping"),
        ({"use": "sum", "parts": {"a": 5}}, "expected"),
        ({"use": "sum"}, "needs 'parts'"),
        ({"use": "sum", "parts": {"a": {"use": "nothing"}}}, r"spec\.parts\.a: 'nothing' is not a registered reward"),
        ({"use": "gate", "cond": {"use": "verify.exact"}, "body": {"use": "verify.length"}}, "below closed"),
        ({"use": "os:getcwd"}, "expected a Reward"),
        ({"use": "no_such_module:Thing"}, "cannot import"),
        ({"use": ":"}, "cannot import"),
        ({"parts": {}}, "a key 'use'"),
        ({"use": 5}, "a key 'use'"),
        ({"use": "spec"}, "use: spec, path"),
        ({"use": "spec", "path": "nowhere.yaml"}, "cannot read the spec nowhere.yaml"),
        ({"use": "verify.exact", "name": "a/b"}, "without '/'"),
        ({"use": "part", "reward": {"use": "verify.exact"}, "part": "x"}, "no part 'x'"),
        ("verify.exat", "did you mean 'verify.exact'"),
        ("[1, 2]", "expected a mapping"),
        ("", "expected a mapping"),
        ("{use: verify.exact", "is not YAML"),
        ("{use: verify.exact, use: verify.math}", "stands twice"),
        ("{use: sum, parts: {a: {use: verify.exact}, a: {use: verify.math}}}", "stands twice"),
        ("? [1]\n: 2\n", "a key must be text"),
        ("a: &a {use: sum, parts: {x: *a}}\nuse: sum\nparts: {y: *a}\n", "no field 'a'|contains itself"),
        ("use: &loop {use: *loop}", "expected a mapping|contains itself"),
        ("!!python/object/apply:os.getcwd []", "is not YAML"),
    ],
)
def test_a_wrong_spec_is_an_error_that_says_where_and_what(spec, said):
    with pytest.raises(SpecError, match=said):
        from_spec(spec)


def test_a_spec_that_contains_itself_is_found():
    loop = {"use": "sum", "parts": {}}
    loop["parts"]["again"] = loop
    with pytest.raises(SpecError, match="contains itself"):
        from_spec(loop)
    numbers = []
    numbers.append(numbers)
    with pytest.raises(SpecError, match="contains itself"):
        from_spec({"use": "verify.math", "rules": numbers})


def test_spec_files_that_include_each_other_are_found(tmp_path):
    (tmp_path / "a.yaml").write_text("{use: spec, path: b.yaml}")
    (tmp_path / "b.yaml").write_text("{use: spec, path: a.yaml}")
    with pytest.raises(SpecError, match=r"a\.yaml -> b\.yaml -> a\.yaml"):
        from_spec(tmp_path / "a.yaml")


def test_one_part_may_stand_in_two_places():
    built = from_spec("use: sum\nparts:\n  a: &s {use: verify.exact}\n  b: *s\n")
    assert built.score(SAMPLES[:1]).values == [2.0]


def test_specs_that_grow_without_end_are_refused_at_once():
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{k}: &l{k} [{', '.join([f'*l{k - 1}'] * 10)}]" for k in range(1, 12)]
    bomb = "use: verify.math\nrules:\n  - " + "\n  - ".join(f"{{{line}}}" for line in lines)
    with pytest.raises(SpecError, match="nodes or"):
        from_spec(bomb)
    deep = "{use: clip, reward: " * 200 + "{use: verify.exact}" + "}" * 200
    with pytest.raises(SpecError, match=r"levels|not YAML"):
        from_spec(deep)


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_a_file_with_a_byte_order_mark_and_windows_line_ends_is_read(tmp_path, start):
    path = tmp_path / "reward.yaml"
    path.write_bytes((start + "use: verify.exact\r\nignore_case: true\r\n").encode())
    assert from_spec(path) == Exact(ignore_case=True)


def test_json_is_yaml(tmp_path):
    path = tmp_path / "reward.json"
    path.write_text(json.dumps({"use": "verify.exact", "strip": False}))
    assert from_spec(str(path)) == Exact(strip=False)


def test_an_address_stands_in_the_spec_and_not_in_the_fingerprint():
    plain = from_spec({"use": "judge.pointwise", "model": "openai:m"})
    there = from_spec({"use": "judge.pointwise", "model": "openai:m", "base_url": "http://other:1/v1"})
    assert there.spec["base_url"] == "http://other:1/v1"
    assert there.fingerprint == plain.fingerprint


def test_yaml_of_a_tree_reads_well():
    text = (Exact().named("right") + 0.5 * Math()).to_yaml()
    assert yaml.safe_load(text)["use"] == "sum"
    assert "!!" not in text
    assert "&" not in text
