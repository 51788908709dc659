"""JSON bodies are read strictly: one whole value, or an error that names the place."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.wire import WireError, decode_json, encode_json, well_formed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_encoded_is_decoded_again(value):
    assert decode_json(encode_json(value)) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_wire_error(body):
    try:
        decode_json(body)
    except WireError:
        pass
    else:
        json.loads(body)  # nothing is accepted that is not JSON


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b'{"a": 1', b'{"a": 1} trailing', b"<html>", b'"\xff"', b"\xef\xbb\xbf{}", b"NaN", b"[Infinity]",
        b'{"a": 1, "a": 2}', b"[" * 100_000, b"1" * 100_000,
    ],
)  # fmt: skip
def test_half_a_value_and_values_out_of_bounds_are_refused(body):
    with pytest.raises(WireError) as caught:
        decode_json(body)
    assert caught.value.field == "body"
    assert len(str(caught.value)) < 200


def test_lone_surrogates_go_out_as_replacement_characters():
    assert encode_json({"t": "a\ud800b"}) == '{"t":"a\ufffdb"}'.encode()
    assert well_formed("\ud83d\ude00") == "😀"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": object()}, {1, 2}])
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(WireError):
        encode_json(value)


def test_an_error_survives_pickling_with_its_field():
    error = pickle.loads(pickle.dumps(WireError("a.b", "text", "null")))
    assert (error.field, str(error)) == ("a.b", "a.b: expected text, got null")
