"""A distributed lock on plain object storage: `with session.lock("job"):`. docs/lock.md has the protocol and its limits.

tickets.py decides (pure), core.py is the protocol (generators, no I/O), driver.py carries it out with the verbs of a
session, keeper.py renews leases, lock.py is what users hold. Nothing here knows a provider, or imports a session.
"""

from s3func.lock.lock import Lock
from s3func.lock.owners import Owner

__all__ = ["Lock", "Owner"]
