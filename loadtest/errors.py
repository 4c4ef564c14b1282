"""What can go wrong in a load test. Pure; no I/O."""


class LoadTestError(Exception):
    """A load test cannot go on; the message says why."""


class ScenarioError(LoadTestError):
    """A file is no scenario; the message names the place."""
