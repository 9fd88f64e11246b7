"""The store behind a session: `SessionBackend`. `words` translates, `bodies` are open bodies; `base` has the session and
its buckets, `versions` and `uploads` are two powers, and `backend` joins them.

What a gateway cannot promise, because somebody else keeps the objects:

- Owners, regions and documents of buckets and objects are not kept, but for the tags of objects; a commit with others
  is refused. Of the powers of powers.py it has `Versioned`, `Multipart` and `Tagged`, as far as the store behind has.
- A guard is asked about the object as it was a moment ago, and the change is sent under the condition that it still is
  (`if_match`, `if_none_match`): as atomic as the conditions of the store are. Where it has none, which its session's
  capabilities say, whatever has a guard is refused.
- A reader goes on reading what it opened from its beginning to its end. If it jumps after the object was replaced in a
  bucket that keeps no versions, that is an error, as is finishing the copy of a source that was replaced. Neither ever
  mixes two objects.
- A body is spooled, in memory or in a temporary file, until it is committed: a store wants to know its length first.
- The records of a listing say what a listing says; which parts an object was uploaded in, nothing says.

What the store refuses is passed on, but for faults of the gateway itself, such as its own credentials.
"""

from __future__ import annotations

from s3func.server.backends.session.backend import SessionBackend

__all__ = ["SessionBackend"]
