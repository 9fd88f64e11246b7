"""An fsspec filesystem over a session, by entry point for s3func:// and b2://; needs `s3func[fsspec]`."""

from s3func.filesystem.filesystem import B2FileSystem, S3FileSystem, install

__all__ = ["B2FileSystem", "S3FileSystem", "install"]
