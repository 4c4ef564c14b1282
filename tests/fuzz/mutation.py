"""Inputs that are nearly right: what was made well is damaged in a few places. Pure; no I/O."""

from random import Random
from typing import Final

MOST_BYTES: Final = 256 * 1024
"""No input is longer: a few of the largest messages that a client may send."""

TOKENS: Final = (
    b"\x00",
    b"\xff",
    b"\n",
    b"\r\n\r\n",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x7f\xff\xff\xff\xff\xff\xff\xff",
    b'"',
    b"\\",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"NaN",
    b"4294967296",
    b"9223372036854775808",
    b"18446744073709551616",
    b"0.1",
    b"*",
    b"@1m",
    b"(",
    b")",
    b"(((((((((((((((((",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b" not ",
    b"--",
)
REPEATS: Final = (2, 3, 17, 300, 5_000)


def chance(seed: bytes | int | str) -> Random:
    """The same choices for the same seed."""
    return Random(seed)  # noqa: S311 - repeatable, not secret


def mutated(data: bytes, random: Random) -> bytes:
    """The same with one to six damages."""
    for _ in range(random.randint(1, 6)):
        data = _damaged(data, random)[:MOST_BYTES]
    return data


def _damaged(data: bytes, random: Random) -> bytes:
    start = random.randint(0, len(data))
    end = min(len(data), start + random.choice((0, 1, 2, 4, 16, 100)))
    before, piece, after = data[:start], data[start:end], data[end:]
    match random.randrange(8):
        case 0:
            return before + after
        case 1:
            return before + bytes(byte ^ (1 << random.randrange(8)) for byte in piece) + after
        case 2:
            return before + random.randbytes(len(piece)) + after
        case 3 | 4:
            return before + random.choice(TOKENS) + after
        case 5:
            return before + (piece or random.choice(TOKENS)) * random.choice(REPEATS) + after
        case 6:
            return before + after + piece
        case _:
            return before
