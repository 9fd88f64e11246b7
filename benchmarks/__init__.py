"""s3func and its peers, measured side by side in one run; see benchmarks/README.md."""
