"""A training run that can be killed at any moment. Usage: training.py BUCKET RUN STEPS

It saves a checkpoint after every step, whole or not at all, keeps the last three, and begins with the newest one.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from s3func import Checkpoints

Model = dict[str, float]


def train(model: Model, step: int) -> Model:
    """One step; a real one is longer."""
    return {"weight": model["weight"] * 0.9 + step * 0.1}


def newest(checkpoints: Checkpoints) -> tuple[int, Model]:
    """Where the run was when it was killed."""
    found = checkpoints.latest()
    if found is None:
        return 0, {"weight": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        # Every file is compared with what was saved.
        checkpoints.load(found.step, to=folder)
        model: Model = json.loads(Path(folder, "model.json").read_text("utf-8"))
    return found.step, model


def main(bucket: str, run: str, steps: int) -> None:
    """Train to the last step."""
    with Checkpoints(f"s3://{bucket}/{run}", keep=3) as checkpoints:
        begin, model = newest(checkpoints)
        print(f"from step {begin}", flush=True)
        for step in range(begin + 1, steps + 1):
            model = train(model, step)
            with checkpoints.save(step, metadata=model) as folder:
                (folder / "model.json").write_text(json.dumps(model), "utf-8")
            print(f"step {step}: {model['weight']:.4f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
