"""Keys, URLs, filters, back-off, ranges of a zip: the parts of the client that need no network."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync import logs
from fwsync.client import query as q
from fwsync.client import retry, urls
from fwsync.client.key import ApiKey
from fwsync.client.session import Answer, decode
from fwsync.client.zipmember import Unpacker
from fwsync.errors import AuthError, ProtocolError, UsageError
from fwsync.model import FileEntry
from fwsync.sandbox.query import filters
from fwsync.selection import Selection, parse_where


@pytest.mark.parametrize(
    ("text", "base", "site"),
    [
        ("site.example:abcd1234", "https://site.example:443/api", "site.example"),
        ("site.example:8443:abcd1234", "https://site.example:8443/api", "site.example:8443"),
        ("127.0.0.1:8080:__force_insecure:abcd", "http://127.0.0.1:8080/api", "127.0.0.1:8080"),
        (" https://site.example:abcd1234\n", "https://site.example:443/api", "site.example"),
        ("scitran-user site.example:abcd1234", "https://site.example:443/api", "site.example"),
    ],
)
def test_keys_as_the_sdk_takes_them(text: str, base: str, site: str) -> None:
    key = ApiKey.parse(text)
    assert (key.base, key.site) == (base, site)
    assert key.secret not in repr(key)


def test_long_secrets_are_bearers() -> None:
    assert ApiKey.parse("h:" + "x" * 57).authorization == "Bearer " + "x" * 57
    assert ApiKey.parse("h:short").authorization == "scitran-user short"


@given(st.text(max_size=60))
def test_a_malformed_key_never_shows_itself(text: str) -> None:
    known = set()
    for sample in ("nonsense", "host:no-port:secret"):
        with pytest.raises(AuthError) as refused:
            ApiKey.parse(sample)
        known.add(str(refused.value))  # messages that hold nothing of what was given
    try:
        key = ApiKey.parse(text)
    except AuthError as error:
        assert str(error) in known
    else:
        assert key.host
        assert key.secret


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), min_size=1, max_size=4))
def test_a_segment_never_becomes_another_path(segments: list[str]) -> None:
    try:
        url = urls.build("http://h:1/api", segments)
    except UsageError:
        assert any(segment in (".", "..") for segment in segments)
        return
    assert str(url).count("/") == 3 + len(segments)
    assert len(url.raw_path.split("/")) == 2 + len(segments)


def test_redirects_keep_signatures_as_written() -> None:
    base = urls.build("http://h:1/api", ["x"])
    signed = "https://bucket.example/a%2Fb?sig=a%2Bb%3D&x=%7e"
    assert str(urls.joined(base, signed)) == signed
    assert urls.origin(urls.joined(base, "/other")) == urls.origin(base)


values = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=20) | st.sampled_from(
    [
        "null",
        "TRUE",
        "007",
        "1e5",
        "65920000000000000000000e",
        "2019-01-01",
        "a,b",
        "a, sex=male",
        " x ",
        "=",
        "\\,",
        "[a]",
        "a~b",
    ]
)


@given(value=values, other=values)
def test_a_filter_means_its_value_and_no_other(value: str, other: str) -> None:
    """Judged by the sandbox's parser, which was written from the wire facts and shares nothing with the client."""
    if not q.expressible(value):
        with pytest.raises(UsageError):
            q.where("label", "=", value)
        return
    (clause,) = filters.parse(q.where("label", "=", value))
    assert filters.holds(clause, {"label": value})
    assert filters.holds(clause, {"label": other}) == (value == other)


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=1, max_size=5))
def test_any_of_lets_every_named_value_through(labels: list[str]) -> None:
    (clause,) = filters.parse(q.any_of("label", labels))
    for label in labels:
        assert filters.holds(clause, {"label": label}) or "\n" in label


@given(attempt=st.integers(1, 60), chance=st.floats(0, 0.999))
def test_back_off_is_bounded_and_grows(attempt: int, chance: float) -> None:
    policy = retry.Policy()
    assert 0 <= retry.back_off(policy, attempt, chance) <= policy.most_wait
    assert retry.back_off(policy, attempt + 1, 0.5) >= retry.back_off(policy, attempt, 0.5)
    assert retry.back_off(policy, attempt, chance, retry_after=7.0) >= 7.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0),
        ("soon", None),
        ("-5", None),
        (None, None),
        ("1e9", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry.retry_after(header, now=100.0) == seconds


def test_tries_and_time_both_end_the_patience() -> None:
    policy = retry.Policy(tries=3, seconds=10)
    assert retry.may_go_on(policy, 2, 0, 1)
    assert not retry.may_go_on(policy, 3, 0, 1)
    assert not retry.may_go_on(policy, 1, 9.5, 1)


async def test_the_limiter_shrinks_at_most_once_a_second_and_grows_back() -> None:
    clock = [0.0]
    limiter = retry.AdaptiveLimiter(16, 20, clock=lambda: clock[0])
    limiter.too_much()
    limiter.too_much()
    assert limiter.limit == 8
    clock[0] = 2.0
    limiter.too_much()
    assert limiter.limit == 4
    for _ in range(1000):
        limiter.went_well()
    assert limiter.limit == 20


async def test_the_limiter_doubles_each_round_until_it_is_first_told_to_slow_down() -> None:
    clock = [0.0]
    limiter = retry.AdaptiveLimiter(16, 64, clock=lambda: clock[0])
    for _ in range(16):
        limiter.went_well()
    assert limiter.limit == 32
    limiter.too_much()
    for _ in range(16):
        limiter.went_well()
    assert limiter.limit < 18


@given(content=st.binary(max_size=5000), cut=st.integers(1, 999), stored=st.booleans(), extra=st.integers(0, 20))
def test_a_member_is_unpacked_from_any_pieces(content: bytes, cut: int, stored: bool, extra: int) -> None:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = content if stored else packer.compress(content) + packer.flush()
    header = (
        b"PK\x03\x04"
        + b"\x00" * 22
        + (3).to_bytes(2, "little")
        + extra.to_bytes(2, "little")
        + b"a.b"
        + b"\x00" * extra
    )
    raw = header + packed + b"what comes after"
    unpacker = Unpacker(len(packed), 0 if stored else 8, len(content))
    out = b"".join(piece for at in range(0, len(raw), cut) for piece in unpacker.feed(raw[at : at + cut]))
    assert (out, unpacker.done) == (content, True)


def test_a_member_larger_than_announced_is_refused() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(b"\x00" * 100_000_000) + packer.flush()
    unpacker = Unpacker(len(packed), 8, 1000)
    with pytest.raises(ValueError, match="more content"):
        list(unpacker.feed(b"PK\x03\x04" + b"\x00" * 26 + packed))


def test_secrets_are_scrubbed_from_any_text() -> None:
    logs.hide("hunter2hunter2")
    text = "GET http://h/x?ticket=abc123&a=1 Authorization: Bearer tok3n host:443:__force_insecure:abcdefghijklmnop hunter2hunter2"
    clean = logs.scrub(text)
    for secret in ("abc123", "tok3n", "abcdefghijklmnop", "hunter2"):
        assert secret not in clean
    assert "a=1" in clean


def test_a_selection_narrows_listings_by_what_the_site_can_judge() -> None:
    where = parse_where("session.age>=20y,subject.label=a\\,b,session.tags=x")
    wished = Selection(where=where, types=("nifti",), modalities=("M*",))
    assert q.narrowed(wished, "session") == "age>=631152000,tags=x"
    assert q.narrowed(wished, "subject") == "label=a\\,b"
    assert q.narrowed(wished, "acquisition") == ""
    assert q.fewer_files(wished) == "type=nifti"
    assert (
        q.fewer_files(Selection(types=("tabular data",), modalities=("1,2",))) == 'type=tabular data,modality="1\\,2"'
    )
    assert q.fewer_files(Selection(types=("nifti", "dicom"), modalities=('a"b',))) == ""
    assert q.fewer_files(Selection(types=("nifti",), versions="all")) == ""


@pytest.mark.parametrize(
    ("body", "info"),
    [
        (b'{"name": "a", "info": {"snr": NaN}}', {"snr": "nan"}),
        (b'{"name": "a", "info": {"x": [-Infinity], "y": 1}}', {"x": ["-inf"], "y": "1"}),
        (b'{"name": "NaN", "info": {}}', {}),
    ],
)
def test_numbers_that_are_no_json_are_read_all_the_same(body: bytes, info: dict[str, Any]) -> None:
    found = decode(Answer(200, {}, body), FileEntry, "GET /files")
    told = {
        key: [str(v) for v in value] if isinstance(value, list) else str(value) for key, value in found.info.items()
    }
    assert told == info


@pytest.mark.parametrize("body", [b'{"name": NaN', b'{"name": NaN}', b"NaN", b"[" * 100_000 + b"NaN", b"<html>NaN"])
def test_what_is_wrong_besides_stays_wrong(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(Answer(200, {}, body), FileEntry, "GET /files")
