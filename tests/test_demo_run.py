"""The claim of the first screen: the bundled model names what the demo shows."""

from __future__ import annotations

import json
from collections import Counter, defaultdict

SHOWN = {"chelsea.png": "cat", "motorcycle_left.png": "motorbike", "astronaut.png": "person"}
ENOUGH = 0.8


def test_demo_names_its_photographs_in_most_frames(edge, tmp_path):
    """Eight seconds: three for each photograph but the last."""
    done = edge("run", "demo", "--seconds", 8, "--json", "out.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    labels = defaultdict(Counter)
    for line in (tmp_path / "out.jsonl").read_text().splitlines():
        row = json.loads(line)
        labels[row["file"]][row["top"][0]["label"]] += 1
    shares = {file: labels[file][label] / labels[file].total() for file, label in SHOWN.items()}
    assert set(labels) == set(SHOWN)
    assert min(shares.values()) >= ENOUGH, f"{shares}, {dict(labels)}"
