"""The names of s3lync and pos3 over s3func, for programs that are moved: change the import, keep the rest."""
