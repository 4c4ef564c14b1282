"""What can go wrong in the engine."""


class EngineError(Exception):
    """The root of the engine's errors."""


class GraphError(EngineError):
    """A graph was given columns, or a program, that it can't take."""


class UnknownChannelError(EngineError):
    """A channel that this engine does not compute."""


class OwnershipLostError(EngineError):
    """Another engine has taken a topic of ours."""


class BusUnavailableError(EngineError):
    """The bus gave no answer: whether it did what it was asked is not known."""
