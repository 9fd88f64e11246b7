"""Folders and prefixes made to agree: scan both, decide, show the plan, carry it out. Never delete on doubt."""
