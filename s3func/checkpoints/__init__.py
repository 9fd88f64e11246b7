"""Checkpoints of training runs: published whole or not at all, found again by their manifests."""

from s3func.checkpoints.checkpoints import Checkpoints
from s3func.checkpoints.manifest import Checkpoint, SavedFile

__all__ = ["Checkpoint", "Checkpoints", "SavedFile"]
