"""PacedClient: a session's client for the tasks of one crew, so that a store which asks for fewer requests gets fewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from s3func.transport.client import Authorizer, Client
from s3func.transport.parallel import Crew, CrewClock, PacedAuthorizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3func.message import Request, Response

Result = TypeVar("Result")


class PacedClient(Client):
    """The same transport, policy and quota; its waits end with the crew, and no attempt begins when the crew stops."""

    __slots__ = ("_crew",)

    def __init__(self, client: Client, crew: Crew) -> None:
        for name in Client.__slots__:
            setattr(self, name, getattr(client, name))
        self._clock = CrewClock(self._clock, crew)
        self._crew = crew

    def send(
        self,
        request: Request,
        authorizer: Authorizer,
        parse: Callable[[Request, Response], Result],
        *,
        attempt: int = 1,
    ) -> Result:
        """As Client.send; the limit of the crew learns of every Throttled."""
        return super().send(request, PacedAuthorizer(authorizer, self._crew), parse, attempt=attempt)
