"""Multipart answers come apart the same in whatever pieces they arrive, and a cut is noticed wherever it falls."""

from __future__ import annotations

from email import policy
from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medview.network.multipart import CutOffError, Parts, boundary_of

BOUNDARY = b"frontier-7"
DELIMITER = b"\r\n--" + BOUNDARY
contents = st.lists(
    st.one_of(st.binary(max_size=60), st.sampled_from([b"", b"\r\n", b"--", b"\r\n--front", b"\r\n--frontier-"])),
    min_size=1,
    max_size=4,
).filter(lambda parts: all(DELIMITER not in b"\r\n" + part for part in parts))


def written(parts: list[bytes], preamble: bytes = b"") -> bytes:
    """As RFC 2046 has it."""
    body = preamble
    for part in parts:
        body += b"\r\n--" + BOUNDARY + b"\r\nContent-Type: application/dicom\r\n\r\n" + part
    return body + b"\r\n--" + BOUNDARY + b"--\r\n"


def pieces_of(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces: list[bytes] = []
    place = 0
    while place < len(data):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(data[place : place + size])
        place += size
    return pieces


def read(pieces: list[bytes]) -> list[bytes]:
    return [b"".join(part) for part in Parts(pieces, BOUNDARY)]


@given(contents, st.lists(st.integers(1, 40), min_size=1, max_size=5), st.sampled_from([b"", b"to be ignored"]))
def test_the_pieces_do_not_matter(parts: list[bytes], sizes: list[int], preamble: bytes) -> None:
    body = written(parts, preamble)
    assert read(pieces_of(body, sizes)) == parts
    assert read(pieces_of(body.removeprefix(b"\r\n"), sizes)) == parts


@given(contents, st.data())
def test_a_cut_is_noticed_wherever_it_falls(parts: list[bytes], data: st.DataObject) -> None:
    body = written(parts)
    closed = len(body) - len(b"\r\n")
    cut = data.draw(st.integers(0, closed - 1))
    with pytest.raises(CutOffError):
        read([body[:cut]])


def test_a_part_that_nobody_reads_is_passed_over() -> None:
    assert [b"".join(part) for number, part in enumerate(Parts([written([b"a", b"b", b"c"])], BOUNDARY)) if number] == [
        b"b",
        b"c",
    ]


def test_the_standard_library_reads_the_same() -> None:
    parts = [b"first", b"second\r\nwith a line", b""]
    head = b'Content-Type: multipart/related; boundary="frontier-7"\r\n\r\n'
    message = BytesParser(policy=policy.default).parsebytes(head + written(parts))
    assert [part.get_payload(decode=True) for part in message.iter_parts()] == read([written(parts)])


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        ('multipart/related; type="application/dicom"; boundary=abc', b"abc"),
        ('Multipart/Related; boundary="a b=c"; type="application/dicom"', b"a b=c"),
        ("application/dicom", None),
        ("text/html; boundary=abc", None),
        ("", None),
    ],
)
def test_the_boundary_is_read_from_the_content_type(kind: str, boundary: bytes | None) -> None:
    assert boundary_of(kind) == boundary
