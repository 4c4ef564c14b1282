"""Many inputs for one target, each made of a seed and its number, and what they took. Reads the process's memory."""

import time
import traceback
from pathlib import Path
from typing import Final

from msgspec import Struct

from tests.fuzz.mutation import chance, mutated
from tests.fuzz.targets import Target

WARM_UP_SHARE: Final = 0.1
"""The inputs after which memory counts: by then what is remembered to save time is there."""
MAX_GROWTH_BYTES: Final = 32 * 1024 * 1024
"""What the process may grow by behind the warm-up, whatever the number of inputs."""
MAX_INPUT_S: Final = 1.0
"""The processor time that one input may take."""
PAGE_BYTES: Final = 4096
SHOWN_BYTES: Final = 400


class Summary(Struct, frozen=True):
    """A campaign that found nothing."""

    target: str
    inputs: int
    bytes_fed: int
    seconds: float
    slowest_s: float
    slowest: int
    grown_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.target:14} {self.inputs:>9,} inputs {self.bytes_fed / 1e6:>8,.1f} MB {self.seconds:>6.1f} s"
            f"  slowest {self.slowest_s * 1e3:>6.1f} ms (number {self.slowest})"
            f"  grown {self.grown_bytes / 2**20:>5.1f} MiB"
        )


class Finding(Struct, frozen=True):
    """What an input did that no input may do."""

    target: str
    seed: int
    number: int
    data: bytes
    what: str

    def __str__(self) -> str:
        return (
            f"{self.target}: {self.what}\nfound by {self.data[:SHOWN_BYTES]!r}\n"
            f"again with: python -m tests.fuzz {self.target} --seed {self.seed} --first {self.number} --inputs 1"
        )


class Campaign:
    """The inputs of one target: half of them as they are made, half damaged."""

    def __init__(self, target: Target, seed: int, max_input_s: float = MAX_INPUT_S) -> None:
        self._target = target
        self._seed = seed
        self._max_input_s = max_input_s

    def input(self, number: int) -> bytes:
        """The input of a number: the same in every run."""
        random = chance(f"{self._target.name} {self._seed} {number}")
        data = self._target.make(random)
        return data if random.random() < 0.5 else mutated(data, random)

    def run(self, first: int, count: int) -> Summary | Finding:
        """Feed `count` inputs from number `first` on, up to the first that does what none may do."""
        began_s, slowest_s, slowest, fed = time.perf_counter(), 0.0, first, 0
        held_bytes = resident_bytes()
        for number in range(first, first + count):
            data = self.input(number)
            fed += len(data)
            start_s = time.perf_counter()
            try:
                self._target.feed(data)
                took_s = time.perf_counter() - start_s
                if took_s > self._max_input_s:
                    took_s = self._processor_s(data)
            except Exception:  # noqa: BLE001 - any is a finding
                return self._found(number, data, traceback.format_exc())
            if took_s > slowest_s:
                slowest_s, slowest = took_s, number
            if took_s > self._max_input_s:
                return self._found(number, data, f"took {took_s:.1f} s")
            if number == first + int(count * WARM_UP_SHARE):
                held_bytes = resident_bytes()
        grown = resident_bytes() - held_bytes
        if grown > MAX_GROWTH_BYTES:
            return self._found(first + count - 1, b"", f"the process grew by {grown:,} bytes")
        took = time.perf_counter() - began_s
        return Summary(self._target.name, count, fed, took, slowest_s, slowest, grown)

    def _processor_s(self, data: bytes) -> float:
        """What an input takes of the processor; to ask for that each time takes longer than most inputs."""
        start_s = time.thread_time()
        self._target.feed(data)
        return time.thread_time() - start_s

    def _found(self, number: int, data: bytes, what: str) -> Finding:
        return Finding(self._target.name, self._seed, number, data, what)


def resident_bytes() -> int:
    """The memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES
