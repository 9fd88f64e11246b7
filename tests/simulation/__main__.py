"""`python -m tests.simulation [HOW MANY] [FIRST SEED]`: more worlds than a test run has time for; prints what went wrong."""

from __future__ import annotations

import sys

from tests.simulation.world import run


def main() -> int:
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    wrong, totals = run(range(first, first + many))
    lines = [f"{many} seeds: " + ", ".join(f"{name} {count}" for name, count in totals._asdict().items())]
    lines += [f"seed {seed}: {what}" for seed, what in wrong]
    lines.append(f"{len(wrong)} went wrong")
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
