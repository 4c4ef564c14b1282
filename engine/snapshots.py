"""Keeps what an engine's venues have computed, every so often and when it stops. Reads and writes a directory."""

import asyncio
from collections.abc import Sequence

import structlog

from engine.snapshot import SnapshotError
from engine.snapshot_directory import SnapshotDirectory
from engine.venue import Venue
from engine.venue_state import VenueState, decode, encode

log = structlog.get_logger("engine")


class Snapshots:
    """The snapshots of `venues` in one directory. The engine's loop stops for the copying only."""

    def __init__(self, venues: Sequence[Venue], directory: SnapshotDirectory, *, period_s: float) -> None:
        self._venues = venues
        self._directory = directory
        self._period_s = period_s
        self._restored = False

    async def restore(self) -> None:
        """Let each venue go on from its newest snapshot that can be read; one without begins anew."""
        for venue in self._venues:
            state, errors = await asyncio.to_thread(self._directory.read, venue.name, decode)
            for error in errors:
                log.warning("snapshot.refused", venue=venue.name, error=str(error))
            if state is None:
                continue
            try:
                venue.restore(state)
            except SnapshotError as error:
                log.warning("snapshot.refused", venue=venue.name, error=str(error))
            else:
                venue.lapse()
                log.info("snapshot.restored", venue=venue.name)
        self._restored = True

    async def run(self) -> None:
        """Write every venue's state again and again, until it is cancelled."""
        while True:
            await asyncio.sleep(self._period_s)
            await self.save()

    async def save(self) -> None:
        """Write every venue's state now. What cannot be written is logged: computing goes on."""
        if not self._restored:
            return  # Who has not begun knows nothing, and what is there is another's.
        for venue in self._venues:
            try:
                size = await asyncio.to_thread(self._write, venue.name, venue.state())
            except SnapshotError as error:
                log.warning("snapshot.unwritten", venue=venue.name, error=str(error))
            else:
                log.info("snapshot.written", venue=venue.name, size_bytes=size)

    def _write(self, name: str, state: VenueState) -> int:
        data = encode(state)
        for graphs in state.graphs.values():
            graphs.end()  # What they remember may be written to again.
        self._directory.write(name, data)
        return len(data)
