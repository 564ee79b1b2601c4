"""One JSON object a line: what it holds, and that the file ends with a whole line."""

from __future__ import annotations

import json
import os
import resource
import sys

import pytest
from samples import ROOT, make_record, make_snapshot

from edge.errors import InputError
from edge.sinks.rows import JSONLinesSink

GOLDEN = ROOT / "tests" / "golden" / "record.jsonl"
KEYS = {
    "version", "kind", "seq", "source", "file", "top", "age_ms", "capture_ms", "decode_ms",
    "wait_ms", "preprocess_ms", "infer_ms", "post_ms",
}  # fmt: skip


def golden_record():
    return make_record(("apple", 0.75), ("Käse", 0.2), ("犬", 0.0499999), file="bench/a b.png")


def write_rows(path, *records):
    sink = JSONLinesSink(str(path))
    for record in records:
        sink.take_record(record)
        sink.take_snapshot(make_snapshot())
    sink.close()
    sink.close()
    return path.read_bytes()


def test_record_is_written_as_the_golden_says(tmp_path):
    """To make the golden again: PYTHONPATH=. python tests/sinks/test_rows.py (and say why)."""
    assert write_rows(tmp_path / "out.jsonl", golden_record()) == GOLDEN.read_bytes()


def test_row_holds_what_the_record_format_promises(tmp_path):
    row = json.loads(write_rows(tmp_path / "out.jsonl", golden_record()))
    assert set(row) == KEYS
    assert [set(guess) for guess in row["top"]] == [{"label", "index", "p"}] * 3
    assert (row["age_ms"], row["infer_ms"], row["seq"]) == (4.321, 2.0, 7)


def test_row_leaves_the_file_out_when_the_frame_has_none(tmp_path):
    row = json.loads(write_rows(tmp_path / "out.jsonl", make_record(("apple", 1.0))))
    assert set(row) == KEYS - {"file"}


def test_rows_come_one_a_line_and_replace_an_old_file(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("old\n" * 100)
    text = write_rows(path, *[golden_record()] * 5).decode()
    assert [json.loads(line)["seq"] for line in text.splitlines()] == [7] * 5
    assert text.endswith("}\n")


def test_row_is_in_the_file_at_once(tmp_path):
    """A reader that follows the file (tail -f) sees each frame."""
    path = tmp_path / "out.jsonl"
    sink = JSONLinesSink(str(path))
    sink.take_record(golden_record())
    assert path.read_bytes() == GOLDEN.read_bytes()
    sink.close()


@pytest.mark.parametrize(("name", "said"), [("no/out.jsonl", "no such"), (".", "is a folder")])
def test_sink_is_refused_when_its_file_cannot_be_made(tmp_path, name, said):
    with pytest.raises(InputError, match=said):
        JSONLinesSink(str(tmp_path / name))


def test_sink_raises_when_the_disk_is_full():
    sink = JSONLinesSink("/dev/full")
    with pytest.raises(InputError, match="/dev/full: no space left on the disk"):
        sink.take_record(golden_record())
    sink.close()


@pytest.mark.parametrize("limit_bytes", [1000, 4096, 10_001])
def test_file_ends_with_a_whole_line_when_the_disk_is_full(edge, tmp_path, limit_bytes):
    """Python ignores SIGXFSZ, so that a write over the limit fails as on a full disk."""
    done = edge(
        "run", "demo", "--engine", "null", "--seconds", 60, "--json", "out.jsonl",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes)),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "edge: out.jsonl: the file would be too large. Write to another file system\n"
    )
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines(keepends=True)
    assert lines
    assert all(line.endswith(b"}\n") and json.loads(line) for line in lines)
    longest = max(map(len, lines))
    assert limit_bytes - longest - 20 < sum(map(len, lines)) <= limit_bytes


def test_json_on_stdout_is_pure(edge, picture_folder):
    (picture_folder / "7.jpg").write_text("no picture")
    done = edge("run", picture_folder, "--engine", "null", "--json", "-")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["file"] for row in rows] == [f"{number}.png" for number in range(6)]
    assert all(set(row) == KEYS for row in rows)
    assert "6 frames, 0 dropped, 1 unreadable" in done.stderr


def test_run_ends_with_one_line_when_its_disk_is_full(edge, picture_folder):
    done = edge("run", picture_folder, "--engine", "null", "--json", "/dev/full")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "edge: /dev/full: no space left on the disk. Free some space, then run it again\n"
    )


@pytest.mark.parametrize("words", [("--json", "-"), ()])
def test_run_ends_with_one_line_when_stdout_is_full(edge, picture_folder, words):
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = edge(
            "run", picture_folder, "--engine", "null", *words,
            capture_output=False, stdout=full, stderr=-1,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "edge: stdout: no space left on the disk. Free some space, then run it again\n"
    )


def test_run_ends_quietly_when_nobody_reads_its_rows(edge):
    reader, writer = os.pipe()
    os.close(reader)
    done = edge(
        "run", "demo", "--engine", "null", "--seconds", 60, "--json", "-",
        capture_output=False, stdout=writer, stderr=-1,
    )  # fmt: skip
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr == ""


if __name__ == "__main__":
    JSONLinesSink(sys.argv[1] if sys.argv[1:] else str(GOLDEN)).take_record(golden_record())
