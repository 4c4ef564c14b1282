"""What can go wrong in a gateway: a class for each thing that a caller does differently."""


class GatewayError(Exception):
    """The root of the gateway's errors."""


class UserServiceUnavailableError(GatewayError):
    """The user service gave no answer that can be trusted: nobody is let in, and the client may try again."""


class BusUnavailableError(GatewayError):
    """The bus gave no answer in time: the client may try again."""


class ChannelRefusedError(GatewayError):
    """The engine does not compute the channel: `temporary` when the client may try again."""

    def __init__(self, message: str, *, temporary: bool) -> None:
        super().__init__(message)
        self.temporary = temporary
