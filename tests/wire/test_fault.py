"""Error bodies come in every shape; reading one gives a short printable message and never fails."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.wire import Fault, encode_json, parse_fault


@given(st.text(min_size=1, max_size=100).filter(lambda t: t.strip() == t and t.isprintable() and t.isascii()))
def test_the_standard_shape_goes_through_unchanged(message):
    fault = Fault(" ".join(message.split()), "invalid_request_error", "invalid_value", "n")
    assert parse_fault(fault.encode()) == fault


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": "model not found"}', "model not found"),
        (b'{"error": {"message": "too long", "code": 400}}', "too long"),
        (b'{"object": "error", "message": "max context is 4096", "code": 400}', "max context is 4096"),
        (b'{"detail": [{"loc": ["body", "n"], "msg": "wrong"}]}', "[{'loc': ['body', 'n'], 'msg': 'wrong'}]"),
        (b"upstream connect error", "upstream connect error"),
        (b"<html><head></head><body><h1>502 Bad\nGateway</h1></body></html>", "502 Bad Gateway"),
        (b"", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[]", "[]"),
    ],
)
def test_the_shapes_of_other_servers_are_understood(body, message):
    assert parse_fault(body).message == message


def test_a_numeric_code_is_kept_as_text():
    assert parse_fault(b'{"error": {"message": "x", "code": 400}}').code == "400"


@given(st.binary(max_size=2000) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(encode_json))
def test_any_body_gives_a_short_printable_message(body):
    message = parse_fault(body).message
    assert len(message) <= 500
    assert message.isprintable()


def test_a_megabyte_of_tags_is_read_in_no_time():
    assert len(parse_fault(b"<" * 1_000_000).message) <= 500
