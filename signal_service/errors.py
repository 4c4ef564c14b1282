"""How a command ends when it cannot do what was asked: one line, and an exit status."""

from runtime.errors import ConfigError, ServiceError


class CommandError(ServiceError):
    """The command failed: exit status 1."""


class UsageError(ConfigError):
    """The command was asked for something that cannot be: exit status 2."""
