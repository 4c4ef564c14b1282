"""What an engine counts, on a registry that is passed in. Never labelled by symbol or channel."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_CYCLE_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)


class EngineMetrics:
    """The engine's metrics; counted once a cycle."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.cycle = Histogram(
            "engine_cycle_seconds", "Time that a cycle took.", buckets=_CYCLE_BUCKETS, registry=registry
        )
        self.ticks = Counter("engine_ticks", "Ticks folded into bars.", registry=registry)
        self.late = Counter("engine_late_ticks", "Ticks whose bar had closed.", registry=registry)
        self.refused = Counter(
            "engine_refused_ticks", "Trades that make no sense, or too far ahead of the clock.", registry=registry
        )
        self.unknown = Counter("engine_unknown_messages", "Messages of feeds that were skipped.", registry=registry)
        self.duplicates = Counter("engine_duplicate_ticks", "Trades whose id came before.", registry=registry)
        self.gaps = Counter("engine_feed_gaps", "Holes in venues' trade ids.", registry=registry)
        self.boundaries = Counter("engine_boundaries", "Bars' boundaries closed.", registry=registry)
        self.corrections = Counter("engine_corrections", "Closed bars told anew after late trades.", registry=registry)
        self.refresh = Gauge(
            "engine_refresh_seconds",
            "Period at which live values are refreshed; 0.1 unless too many.",
            registry=registry,
        )
        self.graph_bytes = Gauge("engine_graph_bytes", "Memory that expressions take of the budget.", registry=registry)
        self.channels = Gauge("engine_channels", "Channels computed now.", registry=registry)
        self.published = Counter("engine_publications", "Publications that the bus has taken.", registry=registry)
        self.envelopes = Counter("engine_envelopes", "Envelopes that the bus has taken.", registry=registry)
        self.feeds_up = Gauge("engine_feeds_up", "Feeds that bring ticks now.", registry=registry)
        self.resent = Counter(
            "engine_resent_batches", "Batches that were sent again without an answer.", registry=registry
        )
        self.epochs = Counter("engine_new_epochs", "Topics whose positions became void.", registry=registry)
        self.buffered = Gauge("engine_buffer_bytes", "Finals that the bus has not confirmed.", registry=registry)
