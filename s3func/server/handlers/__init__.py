"""One function per S3 operation, a Call in and a Response out; `routing.ROUTES` says which answers what."""
