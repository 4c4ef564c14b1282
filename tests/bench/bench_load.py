"""The engine under sustained load, on a Redis of its own, and where its time goes.

    .venv/bin/python -m tests.bench.bench_load --minutes 10 --channels 50000
    .venv/bin/python -m tests.bench.bench_load --profile

Method: that of `signal-service bench engine load` (an engine pinned to one core, whoever listens on another), with a
Redis server started for it, or with a bus in memory. A profile says which functions take the time, and makes all of
them slower: its figures are no figures.
"""

import argparse
import asyncio
import cProfile
import pstats
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from signal_service.bench.figures import as_lines, header
from signal_service.bench.load import load
from signal_service.bench.scale import Scale
from standins.redis import RedisServer

TOP = 40


@contextmanager
def redis_server() -> Iterator[str]:
    """The address of a server with nothing in it."""
    with asyncio.Runner() as runner:
        server = RedisServer()
        runner.run(server.__aenter__())
        try:
            yield server.url
        finally:
            runner.run(server.__aexit__(None, None, None))


def report(scale: Scale) -> None:
    """Measure and print."""
    sys.stdout.write("\n".join([header(), *(as_lines(figure) for figure in load(scale))]) + "\n")


def main(given: argparse.Namespace) -> None:
    """Run the load that is asked for."""
    scale = Scale(channels=given.channels, ticks_per_s=given.rate, measured_s=given.minutes * 60)
    if given.profile:
        profile = cProfile.Profile()
        profile.runcall(report, scale)
        pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(TOP)
    elif given.memory:
        report(scale)
    else:
        with redis_server() as url:
            report(
                Scale(
                    channels=scale.channels, ticks_per_s=scale.ticks_per_s, measured_s=scale.measured_s, redis_url=url
                )
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=100_000, help="ticks/s")
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--memory", action="store_true", help="a bus in memory")
    parser.add_argument("--profile", action="store_true", help="on a bus in memory, and tell where the time goes")
    main(parser.parse_args())
