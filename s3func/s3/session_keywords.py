"""The further keywords of S3Session, as types: imported by type checkers, and when one of them is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from s3func.transport.observation import OnAttempt


class EndpointKeywords(TypedDict, total=False):
    """What S3Session can be told about its endpoint besides endpoint_url, region and addressing_style.

    store: which store it is, a name of docs/providers.md ("r2", "wasabi", "minio" …), where the host of endpoint_url does
    not say so; with a region it stands for the endpoint_url of most. use_dualstack, use_fips, use_accelerate: AWS's
    endpoints of these kinds. use_arn_region: False refuses a bucket given as an ARN of another region than the session's.
    disable_s3_express_session_auth: sign requests to directory buckets with the account's own credentials.
    None: what environment and profile say.
    """

    store: str | None
    use_dualstack: bool | None
    use_fips: bool | None
    use_accelerate: bool | None
    use_arn_region: bool | None
    disable_s3_express_session_auth: bool | None


class SessionKeywords(EndpointKeywords, total=False):
    """The same, and on_attempt: called after each attempt of each request with what became of it, see Attempt.

    It is called by the thread that made the attempt, and should be quick; what it raises is logged and forgotten.
    """

    on_attempt: OnAttempt | None
