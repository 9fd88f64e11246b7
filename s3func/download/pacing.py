"""PacedClient: a session's client for the tasks of one crew, so that a store which asks for fewer requests gets fewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from s3func.transport.client import Authorizer, Client
from s3func.transport.parallel import Crew, CrewClock, PacedAuthorizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3func.message import Request, Response

Result = TypeVar("Result")
AnySession = TypeVar("AnySession")


def paced(session: AnySession, crew: Crew) -> AnySession:
    """The session with a PacedClient in place of its client; a session that has none stays as it is."""
    state = vars(session)
    client = state.get("_client")
    if not isinstance(client, Client):
        return session
    # Not copy(): a session refuses to be copied by way of pickling.
    twin: Any = object.__new__(type(session))
    twin.__dict__.update(state, _client=PacedClient(client, crew))
    return twin  # type: ignore[no-any-return]


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
