"""The command line: the only package that imports click and tqdm. stdout carries data, stderr the rest."""
