"""Bad input by command: one line that says what to do, exit code 1, and nothing is changed."""

from __future__ import annotations

import resource
import shlex

import onnx
import pytest
from samples import make_picture, make_video

from edge.engine.base import ENGINES
from edge.model.onnx_file import save_model

LIMIT_BYTES = 10_000
NO_SOURCE = (
    "no such source. Give demo, a camera (0, csi://0, rtsp://, http://), a video, a picture or a"
    " folder"
)
NO_PICTURE = "not a picture, or a damaged one. Give a JPEG, PNG, WebP or BMP file"
NO_VIDEO = "not a video, or a truncated one. Play it elsewhere, or copy it again"
NO_ONNX = "not an ONNX model, or a truncated one. Give a whole .onnx file"
NO_FILE = "no such file or folder. Check the path"

NO_LABELS = (
    "bare.onnx: has no labels and no preprocessing in its metadata. Store them with:"
    " edge models import bare.onnx --labels FILE --size 224 -o model.onnx"
)
NO_CALIB = (
    "Give a folder with about 200 JPEG or PNG pictures of what the camera will see,"
    " or a text file that lists them"
)
NAME_CLASSES = (
    "Name folders by label, number or ImageNet's WordNet id, or give a CSV of path,label;"
    " edge models show lists the labels"
)
NO_TABLE = "is no calibration table. Move it away, or give another one with --table"
NO_QUANTISING = "--table: only where edge quantises the model itself. Leave it away"
OTHER_FILE = "is another file than the one that was listed. Get that file again, or take the hash"
RANK = "input has rank 3, rank 4 is wanted. Export an image classifier"
UNKNOWN_OP = "unknown operator Frobnicate. Export the model with standard ONNX operators"
IS_FOLDER = "is a folder, a file is wanted. Give the path of a file"
NO_ADDRESS = (
    "is no address to listen on. Give :PORT for this machine alone, 0.0.0.0:PORT for its network"
)
TOO_LARGE = "the file would be too large. Write to another file system"
NO_CAMERA = "/dev/video77: no such camera. Plug it in; there is "  # the rest is of this machine

BAD = {
    "run absent": f"absent: {NO_SOURCE}",
    "run absent.mp4": f"absent.mp4: {NO_SOURCE}",
    "run absent.jpg": f"absent.jpg: {NO_FILE}",
    "run text.jpg": f"text.jpg: {NO_PICTURE}",
    "run text.mp4": f"text.mp4: {NO_VIDEO}",
    "run cut.mp4": f"cut.mp4: {NO_VIDEO}",
    "run prose.txt": f"prose.txt: {NO_VIDEO}",
    "run /dev/null": "/dev/null: cannot be opened as a camera. Try edge cameras",
    "run empty": "empty: holds no picture. Put JPEG or PNG files there, or name another folder",
    "run spoiled": "spoiled: none of its 3 pictures can be decoded."
    " Check that the files are whole pictures",
    "run 77": NO_CAMERA,
    "run good --model absent.onnx": f"absent.onnx: {NO_FILE}",
    "run good --model squeezenet9": "squeezenet9: no such model file or name."
    " Did you mean squeezenet8?",
    "run good --model squeezenet1.1": "squeezenet1.1: not on this machine yet."
    " Run: edge models pull squeezenet1.1",
    "run good --model garbage.onnx": f"garbage.onnx: {NO_ONNX}",
    "run good --model cut.onnx": f"cut.onnx: {NO_ONNX}",
    "run good --model rank.onnx": f"rank.onnx: {RANK}",
    "run good --model bare.onnx": NO_LABELS,
    "run good --model unknown.onnx": f"unknown.onnx: {UNKNOWN_OP}",
    "run good --model empty": f"empty: {IS_FOLDER}",
    "run good --engine nonsense": "nonsense: no such engine."
    f" Use one of: auto, tensorrt, {', '.join(ENGINES)}",
    "run good --engine null --json no/out.jsonl": f"no/out.jsonl: {NO_FILE}",
    "run good --engine null --json empty": f"empty: {IS_FOLDER}",
    "run good --engine null --model absent --mqtt mqtt://host": "mqtt://host: names no topic."
    " Give it as in mqtt://host/topic or mqtts://host:8883/topic",
    "service install --print -- absent": f"absent: {NO_SOURCE}",
    "service install --print --": "edge service install: nothing says what to run."
    " Give it as in: edge service install -- demo",
    "run good --engine null --csv no/out.csv": f"no/out.csv: {NO_FILE}",
    "run good --engine null --json - --csv -": "--json and --csv: both write -."
    " Give each its own file",
    "run good --engine null --json out --csv ./out": "--json and --csv: both write out."
    " Give each its own file",
    "run good --engine null --csv - --rotate 1MB": "--rotate: there is no file to rotate."
    " Give one with --json or --csv",
    "run good --engine null --csv out.csv --rotate 5": "--rotate 5: is no size and number of old"
    " files. Give it like 100MB:5, with kB, MB or GB",
    "run good --engine null --csv /dev/null --rotate 1MB": "/dev/null: is no regular file and"
    " cannot be rotated. Leave --rotate away, or name another file",
    "run good --engine null --metrics 9464": f"--metrics 9464: {NO_ADDRESS}",
    "run good --engine null --metrics :65536": f"--metrics :65536: {NO_ADDRESS}",
    "run good --engine null --metrics a..b:9464": "--metrics a..b:9464: no such host."
    " Give an address of this machine, or 0.0.0.0 for all",
    "run good --engine null --metrics 192.0.2.1:9464": "--metrics 192.0.2.1:9464: this machine has"
    " no such address. Give one that `ip address` lists, or 0.0.0.0 for all",
    "quantize absent.onnx --calib good -o out.onnx": f"absent.onnx: {NO_FILE}",
    "quantize squeezenett --calib good -o out.onnx": "squeezenett: no such model file or name."
    " Did you mean squeezenet8?",
    "quantize garbage.onnx --calib good -o out.onnx": f"garbage.onnx: {NO_ONNX}",
    "quantize rank.onnx --calib good -o out.onnx": f"rank.onnx: {RANK}",
    "quantize bare.onnx --calib good -o out.onnx": NO_LABELS,
    "quantize unknown.onnx --calib good -o out.onnx": f"unknown.onnx: {UNKNOWN_OP}",
    "quantize small.onnx --calib absent -o out.onnx": f"absent: no such folder or list. {NO_CALIB}",
    "quantize small.onnx --calib empty -o out.onnx": f"empty: holds no picture. {NO_CALIB}",
    "quantize small.onnx --calib spoiled -o out.onnx": "spoiled: none of its 3 pictures can be"
    f" decoded. {NO_CALIB}",
    "quantize small.onnx --calib text.jpg -o out.onnx": f"text.jpg: is one picture. {NO_CALIB}",
    "quantize small.onnx --calib garbage.onnx -o out.onnx": "garbage.onnx: is no list of pictures."
    " Give a text file with one path a line, or a folder",
    "quantize small.onnx --calib bare.txt -o out.onnx": f"bare.txt: holds no picture. {NO_CALIB}",
    "quantize small.onnx --calib labels.txt -o out.onnx": "labels.txt, line 1: a: no such file."
    " Mend the line; a path counts from the list's own folder",
    "quantize small.onnx --calib hashes.txt -o out.onnx": f"hashes.txt, line 2: good/1.png:"
    f" {OTHER_FILE} out of the line",
    "build small.onnx --calib absent -o out.plan": f"absent: no such folder or list. {NO_CALIB}",
    "build small.onnx --calib good -o out.plan --table absent": f"absent: {NO_FILE}",
    "build small.onnx --calib good -o out.plan --table text.jpg": f"text.jpg: {NO_TABLE}",
    "build small.onnx --calib good -o foreign.plan": f"foreign.calib.json: {NO_TABLE}",
    "build small.onnx --calib good -o taken.plan": f"taken.calib.json: {IS_FOLDER}",
    "build small.onnx -o out.plan --table absent": "small: is fp32, INT8 wants pictures to"
    " calibrate on. Give --calib FOLDER, or a model of edge quantize",
    "build small.onnx --precision fp16 -o out.plan --table absent": NO_QUANTISING,
    "build squeezenet8-int8 -o out.plan --table absent": NO_QUANTISING,
    "build small.onnx --calib good --calibrator -o out.plan --table absent": NO_QUANTISING,
    "quantize small.onnx --calib good -o no/out.onnx": f"no/out.onnx: {NO_FILE}",
    "quantize small.onnx --calib good -o empty": f"empty: {IS_FOLDER}",
    "quantize small.onnx --calib good -o out.onnx --table absent": f"absent: {NO_FILE}",
    "quantize small.onnx --calib good -o out.onnx --table text.jpg": f"text.jpg: {NO_TABLE}",
    "quantize small.onnx --calib good -o foreign.onnx": f"foreign.calib.json: {NO_TABLE}",
    "quantize small.onnx --calib good -o taken.onnx": f"taken.calib.json: {IS_FOLDER}",
    "quantize small.onnx --calib good --tensorrt-cache no/out.cache": f"no/out.cache: {NO_FILE}",
    "quantize small.onnx --calib good --tensorrt-cache empty": f"empty: {IS_FOLDER}",
    "quantize squeezenet8-int8 --calib good --tensorrt-cache out.cache": "squeezenet8-int8: is"
    " quantised already. Give the fp32 model",
    "quantize squeezenet8-int8 --calib good -o out.onnx": "squeezenet8-int8: is quantised already."
    " Give the fp32 model",
    "models show absent.onnx": f"absent.onnx: {NO_FILE}",
    "models show xyz": "xyz: no such model file or name. See: edge models list",
    "models show cut.onnx": f"cut.onnx: {NO_ONNX}",
    "models show bare.onnx": NO_LABELS,
    "models pull nonsense": "nonsense: no such model file or name. See: edge models list",
    "models import absent.onnx -o out.onnx": f"absent.onnx: {NO_FILE}",
    "models import garbage.onnx --labels labels.txt -o out.onnx": f"garbage.onnx: {NO_ONNX}",
    "models import empty.onnx -o out.onnx": "empty.onnx: the file is empty. Get it again",
    "models import bare.onnx -o out.onnx": "bare.onnx: no labels."
    " Give --labels FILE, one name a line",
    "models import bare.onnx --labels absent.txt -o out.onnx": f"absent.txt: {NO_FILE}",
    "models import small.onnx -o out.onnx": "small.onnx: carries its contract already."
    " Use it as it is, with --model",
    "models import bare.onnx --labels labels.txt -o no/out.onnx": f"no/out.onnx: {NO_FILE}",
    "quantize small.onnx --calib good -o out.onnx --report text.jpg": "text.jpg: is a file, a"
    " folder is wanted. Give another path",
    "quantize small.onnx --calib good -o out.onnx --report no/report": f"no/report: {NO_FILE}",
    "quantize small.onnx --calib good -o out.onnx --keep-float auto": "--keep-float auto: nothing"
    " says what is good enough. Give --max-drop too",
    "quantize small.onnx --calib good -o out.onnx --held-out absent": "absent: no such folder or"
    " list. Give a folder with about 200 JPEG or PNG pictures of what the camera will see, or a"
    " text file that lists them",
    "eval absent.onnx --data good": f"absent.onnx: {NO_FILE}",
    "eval small.onnx --data absent": "absent: no such folder or CSV. Give a folder of pictures, or"
    " a CSV of path,label",
    "eval small.onnx --data empty": "empty: holds no picture. Give a folder with JPEG or PNG files",
    "eval small.onnx --data good": "good: 3 of 3 pictures lie in no folder that names their class,"
    f" 0.png is the first. {NAME_CLASSES}",
    "eval small.onnx --data zoo": f"zoo: 1 of 1 names are no class of small: yak. {NAME_CLASSES}",
    "eval small.onnx --data labels.txt": "labels.txt, line 2: is no path and class with a comma"
    " between. Mend it",
    "eval small.onnx --data garbage.onnx": "garbage.onnx: is no CSV. Give lines of path,label",
    "eval small.onnx --data good --against squeezenet8": "squeezenet8: has 8 classes, small has 5."
    " Compare two models of the same classes",
    "eval small.onnx --data good --json empty": f"empty: {IS_FOLDER}",
    "eval small.onnx --data good --report text.jpg": "text.jpg: is a file, a folder is wanted."
    " Give another path",
    "selftest --engine null": "null: cannot be tested. Use one of: auto, tensorrt, openvino",
    "selftest --json no/report.json": f"no/report.json: {NO_FILE}",
    "selftest --json empty": f"empty: {IS_FOLDER}",
}
FULL_DISK = {
    "quantize small.onnx --calib good -o out.onnx": f"out.onnx: {TOO_LARGE}",
    "quantize small.onnx --calib good -o small.onnx": f"small.onnx: {TOO_LARGE}",
    "models import bare.onnx --labels labels.txt -o out.onnx": f"out.onnx: {TOO_LARGE}",
}
"""The second would replace its own input: the old file must stay whole."""


@pytest.fixture(scope="module")
def shelf(tiny_model, tmp_path_factory):
    """Give a folder with one good and many bad files of each kind."""
    folder = tmp_path_factory.mktemp("shelf")
    for name in ("good", "mixed", "spoiled", "empty"):
        (folder / name).mkdir()
    for number in range(3):
        make_picture(folder / "good" / f"{number}.png", seed=number)
        make_picture(folder / "mixed" / f"{number}.png", seed=number)
        (folder / "spoiled" / f"{number}.jpg").write_text("no picture")
    (folder / "zoo" / "yak").mkdir(parents=True)
    make_picture(folder / "zoo" / "yak" / "0.png")
    (folder / "mixed" / "1-text.jpg").write_text("no picture")
    (folder / "text.jpg").write_text("no picture")
    (folder / "text.mp4").write_text("no video")
    (folder / "prose.txt").write_text("a line of prose\n" * 1000)
    (folder / "foreign.calib.json").write_text('{"mine": true}')
    (folder / "taken.calib.json").mkdir()
    (folder / "bare.txt").write_text("# none yet\n\n")
    (folder / "hashes.txt").write_text(f"good/0.png\ngood/1.png {'0' * 64}\n")
    (folder / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    for name, codec, kept in (("cut.avi", "MJPG", 0.7), ("cut.mp4", "mp4v", 0.6)):
        data = make_video(folder / name, codec=codec).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * kept)])
    write_models(folder, tiny_model)
    return folder


def write_models(folder, model):
    save_model(model, folder / "small.onnx")
    data = model.to_bytes()
    (folder / "garbage.onnx").write_bytes(b"\x00\xffgarbage" * 50)
    (folder / "empty.onnx").touch()
    (folder / "cut.onnx").write_bytes(data[: len(data) // 2])
    changed = {name: onnx.ModelProto.FromString(data) for name in ("rank", "bare", "unknown")}
    del changed["rank"].graph.input[0].type.tensor_type.shape.dim[3]
    del changed["bare"].metadata_props[:]
    next(n for n in changed["unknown"].graph.node if n.op_type == "Relu").op_type = "Frobnicate"
    for name, proto in changed.items():
        (folder / f"{name}.onnx").write_bytes(proto.SerializeToString())


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def assert_one_line(done, line):
    """Check what every refusal owes a person; warnings of the few pictures may come before it."""
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    *warnings, said = done.stderr.splitlines()
    assert all(warning.startswith("edge: good: 3 ") for warning in warnings), done.stderr
    assert said == f"edge: {line}" or (line == NO_CAMERA and said.startswith(f"edge: {line}"))


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_refused_in_one_line_and_changes_nothing(edge, shelf, words):
    before = contents(shelf)
    done = edge(*shlex.split(words), cwd=shelf)
    assert_one_line(done, BAD[words])
    assert contents(shelf) == before


@pytest.mark.parametrize("words", FULL_DISK)
def test_full_disk_is_told_in_one_line_and_leaves_the_folder_as_it_was(edge, shelf, words):
    """A limit on the size of files; Python ignores the signal, so that the write fails."""
    before = contents(shelf)
    done = edge(
        *shlex.split(words), cwd=shelf,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES)),
    )  # fmt: skip
    assert_one_line(done, FULL_DISK[words])
    assert contents(shelf) == before


def test_cut_video_gives_its_frames_before_its_line(edge, shelf):
    before = contents(shelf)
    done = edge("run", "cut.avi", "--engine", "null", cwd=shelf)
    assert done.returncode == 1
    assert "frames, 0 dropped" in done.stdout
    assert done.stderr.startswith("edge: cut.avi: ends after ")
    assert done.stderr.endswith(" of 12 frames, it is truncated or damaged. Copy it again\n")
    assert done.stderr.count("\n") == 1
    assert contents(shelf) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run mixed --model small.onnx", "  3 frames, 0 dropped, 1 unreadable in "),
        ("quantize small.onnx --calib mixed -o /dev/null", "skipped 1 unreadable pictures\n"),
    ],
)
def test_unreadable_pictures_among_good_ones_are_skipped_and_counted(edge, shelf, words, said):
    before = contents(shelf)
    done = edge(*shlex.split(words), cwd=shelf)
    assert done.returncode == 0
    assert all(line.startswith("edge: mixed: 3 ") for line in done.stderr.splitlines())
    assert said in done.stdout
    assert contents(shelf) == before
