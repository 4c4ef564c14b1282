"""A load on gateways: swarms of connections, scenarios, baselines, a report. Nothing that serves needs it."""
