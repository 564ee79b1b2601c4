"""The examples of docs/telemetry.md do what the page says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from shutil import which

import pytest
from jsonschema import Draft202012Validator
from samples import ROOT, make_video

PAGE = (ROOT / "docs" / "telemetry.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_row_of_the_page_is_a_frame():
    (line,) = blocks("json")
    schema = json.loads((ROOT / "docs" / "schema" / "frame.json").read_text())
    Draft202012Validator(schema).validate(json.loads(line))


def test_program_of_the_page_reads_what_a_run_writes(edge, tmp_path):
    make_video(tmp_path / "clip.avi", frames=12)
    assert edge("run", "clip.avi", "--engine", "null", "--json", "rows.jsonl").returncode == 0
    (program,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"\d+ of 12 frames took more than 50 ms\n", done.stdout)


@pytest.mark.parametrize("kind", ["config", "rules"])
def test_settings_of_the_page_are_taken_by_prometheus(tmp_path, kind):
    if which("promtool") is None:
        pytest.skip("promtool is not here (apt install prometheus)")
    config, rules = blocks("yaml")
    (queries,) = blocks("promql")
    for number, query in enumerate(queries.splitlines()):
        rules += f"      - record: page:query{number}\n        expr: {query}\n"
    (tmp_path / "file.yml").write_text(config if kind == "config" else rules)
    done = subprocess.run(
        ["promtool", "check", kind, "file.yml"], cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
