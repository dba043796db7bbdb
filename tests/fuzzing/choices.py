"""Choices made from a fuzzer's bytes: the same bytes always choose the same."""

from collections.abc import Sequence
from typing import Any, TypeVar

from hostile_headers import NASTY

T = TypeVar("T")


class Choices:
    """Numbers and values made from bytes, and from zeros after their end.

    Parameters
    ----------
    data : bytes
    """

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def take(self, count: int) -> bytes:
        """The next bytes, fewer at the end."""
        self.place += count
        return self.data[self.place - count : self.place]

    def rest(self) -> bytes:
        """All remaining bytes."""
        return self.take(max(0, len(self.data) - self.place))

    def below(self, n: int) -> int:
        """An integer in [0, n)."""
        return int.from_bytes(self.take(((n - 1).bit_length() + 7) // 8), "little") % n

    def of(self, values: Sequence[T]) -> T:
        """One of several."""
        return values[self.below(len(values))]

    def rarely(self, n: int) -> bool:
        """True once in `n` times; False after the end of the bytes."""
        return self.below(n) == n - 1

    def number(self) -> Any:
        """A number of any size, or something that is not a number."""
        match self.below(8):
            case 0:
                return self.of(NASTY)
            case 1:
                return self.below(1 << 64)
            case 2:
                return (1 << self.below(80)) - 1 + self.below(3)
            case 3:
                return -self.below(256)
            case 4:
                return float.fromhex(f"{self.below(1 << 16) - 32768:x}p{self.below(1 << 11) - 1074}")
            case _:
                return self.below(32)

    def integer(self, bits: int) -> Any:
        """An integer of a number of bits; sometimes any number, or something that is not a number."""
        return self.number() if self.rarely(8) else self.below(1 << bits)

    def text(self, most: int = 24) -> str:
        """A text, with characters of any kind."""
        return self.take(self.below(most)).decode("utf-8", "surrogateescape")
