"""Paths that stand for places in stores while a block of code runs: `with s3func.mirror(): path = download("s3://…")`."""

from s3func.mirrors.active import (
    current,
    download,
    ls,
    mirror,
    plan_download,
    plan_upload,
    sync,
    upload,
    with_mirror,
)
from s3func.mirrors.mirroring import Mirror
from s3func.profiles import Profile, register_profile

__all__ = [
    "Mirror",
    "Profile",
    "current",
    "download",
    "ls",
    "mirror",
    "plan_download",
    "plan_upload",
    "register_profile",
    "sync",
    "upload",
    "with_mirror",
]
