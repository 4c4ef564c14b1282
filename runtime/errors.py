"""What can go wrong in the parts that every process shares. Pure; no I/O."""


class ServiceError(Exception):
    """Root of the errors of `runtime`; its text is one line, fit to be the last that a process prints."""


class ConfigError(ServiceError):
    """A configuration that cannot be used: the message names the place, what was expected and what was found."""


class ListenError(ServiceError):
    """An address that cannot be listened on."""


class RedisUnavailableError(ServiceError):
    """Redis gave no answer, or refused one command: whether it was carried out is not known."""
