"""Our row of the sync benchmark: what a user's script would be. Arguments: the action, the URL, the folder."""

from __future__ import annotations

import sys


def main() -> int:
    """Exit code 0 when everything was done."""
    from s3func.sync import plan
    from s3func.sync.syncing import sync

    action, url, folder = sys.argv[1:]
    if action == "plan":
        found = plan(url, folder, state=None).summary()
        return 0 if found.operations else 1
    source, target = (url, folder) if action == "download" else (folder, url)
    report = sync(source, target)
    for failure in report.failures[:3]:
        print(f"{failure.operation.name}: {failure}"[-300:], file=sys.stderr)
    code: int = report.exit_code
    return code
