"""What a gateway counts, on a registry that is passed in. Never labelled by user, symbol or channel."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class GatewayMetrics:
    """The gateway's metrics; counted once a round or an event, never once a delivery."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connections = Gauge("gateway_connections", "Sockets open now.", registry=registry)
        self.subscriptions = Gauge("gateway_subscriptions", "Subscriptions now.", registry=registry)
        self.channels = Gauge("gateway_channels", "Different channels wanted here now.", registry=registry)
        self.deliveries = Counter("gateway_deliveries", "Publications handed to connections.", registry=registry)
        self.envelopes = Counter("gateway_envelopes", "Envelopes heard from the bus.", registry=registry)
        self.unreadable = Counter(
            "gateway_unreadable", "Messages of the bus that could not be read: another version's.", registry=registry
        )
        self.holes = Counter(
            "gateway_holes",
            "Envelopes behind which the topic had to be read, because some were missed.",
            registry=registry,
        )
        self.recalls = Counter(
            "gateway_recalls",
            "Subscriptions recovered from what this gateway had heard, without a read.",
            registry=registry,
        )
        self.silences = Counter("gateway_silences", "Times that a topic fell silent and was read.", registry=registry)
        self.resets = Counter("gateway_resets", "Times that a topic came back with a new epoch.", registry=registry)
        self.closes = Counter(
            "gateway_closes", "Connections closed by the gateway, by close code.", ["code"], registry=registry
        )
        self.congested = Gauge(
            "gateway_congested", "Connections whose reader is behind what it is sent, now.", registry=registry
        )
        self.slow_consumers = Counter(
            "gateway_slow_consumers",
            "Connections closed because their reader was too far behind: bytes, age or stalled.",
            ["cause"],
            registry=registry,
        )
        self.turned_away = Counter(
            "gateway_turned_away",
            "Sockets refused before the upgrade, by the limit: connections or handshakes, of all or of one address.",
            ["limit"],
            registry=registry,
        )
        self.revocations = Counter(
            "gateway_revocations",
            "Revocations done here, by whom they name: sub or token.",
            ["kind"],
            registry=registry,
        )
        self.revocations_missed = Counter(
            "gateway_revocations_missed",
            "Times that revocations were lost unread, and all that was believed of tokens was asked again.",
            registry=registry,
        )
        self.floods = Counter(
            "gateway_floods", "Connections closed for sending too many: frames or bytes.", ["of"], registry=registry
        )
        self.judged_alone = Counter(
            "gateway_users_judged_alone",
            "Connects judged by what this process knows of the user, because Redis did not answer.",
            registry=registry,
        )
        self.refusals = Counter(
            "gateway_refusals", "Commands refused, by error code of the protocol.", ["code"], registry=registry
        )
