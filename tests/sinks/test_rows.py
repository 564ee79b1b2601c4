"""Rows of frames: what a line of JSON or CSV holds, and how a run ends whose file cannot be."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import re
import resource
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import ROOT, make_record, make_snapshot, make_video

from edge.errors import InputError
from edge.schema import frame_row
from edge.sinks.line_file import LineFile
from edge.sinks.rows import COLUMNS, RowsSink, csv_head, csv_line, json_line

GOLDEN = ROOT / "tests" / "golden" / "record.jsonl"
KEYS = {
    "version", "kind", "time", "seq", "source", "file", "top", "age_ms", "capture_ms", "decode_ms",
    "wait_ms", "preprocess_ms", "infer_ms", "post_ms",
}  # fmt: skip


def golden_record():
    return make_record(("apple", 0.75), ("Käse", 0.2), ("犬", 0.0499999), file="bench/a b.png")


def write_rows(path, *records):
    sink = RowsSink(LineFile(str(path)), json_line)
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
    sink = RowsSink(LineFile(str(path)), json_line)
    sink.take_record(golden_record())
    assert path.read_bytes() == GOLDEN.read_bytes()
    sink.close()


@pytest.mark.parametrize(("name", "said"), [("no/out.jsonl", "no such"), (".", "is a folder")])
def test_sink_is_refused_when_its_file_cannot_be_made(tmp_path, name, said):
    with pytest.raises(InputError, match=said):
        LineFile(str(tmp_path / name))


def test_sink_raises_when_the_disk_is_full():
    sink = RowsSink(LineFile("/dev/full"), json_line)
    with pytest.raises(InputError, match="/dev/full: no space left on the disk"):
        sink.take_record(golden_record())
    sink.close()


def test_run_writes_both_kinds_of_rows(edge, tmp_path):
    make_video(tmp_path / "clip.avi", frames=12)
    done = edge("run", "clip.avi", "--engine", "null", "--json", "r.jsonl", "--csv", "r.csv")
    assert done.returncode == 0, done.stderr
    objects = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    rows = read_csv((tmp_path / "r.csv").read_bytes())
    assert [row["seq"] for row in rows] == [str(number) for number in range(12)]
    assert [row["age_ms"] for row in rows] == [str(row["age_ms"]) for row in objects]


def test_live_run_has_a_row_for_each_frame(edge):
    done = edge("run", "demo", "--engine", "null", "--seconds", 1, "--csv", "-")
    assert f"  {len(read_csv(done.stdout.encode()))} frames, " in done.stderr


def test_run_rotates_its_files(edge, tmp_path):
    make_video(tmp_path / "clip.avi", frames=40)
    words = ("run", "clip.avi", "--engine", "null", "--csv", "r.csv", "--rotate", "1kB:2")
    assert edge(*words).returncode == 0
    files = [tmp_path / name for name in ("r.csv.2", "r.csv.1", "r.csv")]
    assert sorted(path.name for path in tmp_path.glob("r.csv*")) == ["r.csv", "r.csv.1", "r.csv.2"]
    rows = [row for path in files for row in read_csv(path.read_bytes())]
    assert [int(row["seq"]) for row in rows] == list(range(40))[-len(rows) :]
    assert all(path.stat().st_size <= 1000 for path in files)


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


def read_csv(data):
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_csv_row_holds_the_columns_of_the_schema_and_the_best_guess():
    record = golden_record()
    (row,) = read_csv(csv_head() + csv_line(record))
    assert tuple(row) == COLUMNS
    told = frame_row(record)
    best = told.pop("top")[0]
    assert (row.pop("top1_label"), int(row.pop("top1_index"))) == (best["label"], best["index"])
    assert float(row.pop("top1_p")) == best["p"]
    del told["kind"]
    assert row == {name: str(value) for name, value in told.items()}


def test_csv_row_leaves_the_file_empty_when_the_frame_has_none():
    (row,) = read_csv(csv_head() + csv_line(make_record(("apple", 1.0))))
    assert row["file"] == ""


@given(label=st.text(), file=st.text())
def test_csv_row_is_one_line_that_a_spreadsheet_does_not_run(label, file):
    line = csv_line(make_record((label, 0.5), file=file))
    assert len(line.decode().splitlines()) == 1
    (row,) = read_csv(csv_head() + line)
    assert row["seq"] == "7"
    assert not row["top1_label"].startswith(("=", "+", "-", "@", "\t", "\r"))
    if label.isalnum():
        assert row["top1_label"] == label


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+2.png", "'=1+2.png"),
        ("@a", "'@a"),
        ("a=1, b.png", "a=1, b.png"),
        ('a "b"\n.png', 'a "b"\\n.png'),
        ("\udcff.png", "\\udcff.png"),
    ],
)
def test_csv_cell_is_quoted_where_it_has_to_be(name, cell):
    (row,) = read_csv(csv_head() + csv_line(make_record(("apple", 1.0), file=name)))
    assert row["file"] == cell


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


def test_reader_that_hangs_stops_neither_the_run_nor_its_end(edge):
    """What it did not take is counted; the pipe holds eight lines or so."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    done = edge(
        "run", "demo", "--engine", "null", "--seconds", 2, "--json", "-",
        capture_output=False, stdout=writer, stderr=-1,
    )  # fmt: skip
    os.close(writer)
    os.close(reader)
    assert done.returncode == 0
    frames = int(re.search(r"^  (\d+) frames, ", done.stderr, re.MULTILINE)[1])
    missing, of = re.search(r"^edge: stdout: (\d+) of (\d+) lines are missing", done.stderr,
                            re.MULTILINE).groups()  # fmt: skip
    assert int(of) == frames
    assert 0 < int(missing) < frames


if __name__ == "__main__":
    LineFile(sys.argv[1] if sys.argv[1:] else str(GOLDEN)).write(json_line(golden_record()))
