"""The loop: every frame of a file, the newest of a camera, and an end that loses nothing."""

from __future__ import annotations

import threading
import time
from itertools import count

import pytest
from doubles import DEADLINE_S, NO_POWER, KeepingSink, ScriptedSource, reading, run_source
from samples import LABELS, make_frame, make_picture

from edge.camera.base import open_source
from edge.engine.base import open_engine
from edge.engine.null import NullEngine
from edge.errors import CameraLostError, EngineLostError, InputError
from edge.loop import LoopOptions, run_loop
from edge.record import STAGES, BoardReading
from edge.telemetry.tally import SEEN_LIMIT


class CountingEngine(NullEngine):
    """A null engine that counts what goes in."""

    submitted = 0

    def submit(self, slot) -> None:
        self.submitted += 1
        super().submit(slot)


def film(frames):
    return ScriptedSource((make_frame(seq) for seq in range(frames)), live=False)


@pytest.mark.parametrize("frames", [1, 2, 3, 50])
def test_file_gives_one_record_a_frame_in_order(small_model, frames):
    summary, sink = run_source(film(frames), small_model)
    assert sink.seqs == list(range(frames))
    assert summary.final.frames == frames
    assert (summary.final.dropped, summary.lost) == (0, None)
    assert summary.final.latest is sink.records[-1]


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_folder_goes_through_a_real_engine(small_model, picture_folder, engine):
    """What one picture is called does not depend on the picture that runs beside it."""
    pytest.importorskip(engine)
    alone = []
    with open_engine(engine, small_model) as opened:
        for number in range(6):
            with open_source(str(picture_folder / f"{number}.png")) as source:
                alone.append(run_source(source, small_model, engine=opened)[1].records[0].result)
        with open_source(str(picture_folder)) as source:
            summary, sink = run_source(source, small_model, engine=opened)
    assert [record.result for record in sink.records] == alone
    assert [seen.what for seen in summary.seen] == [f"{number}.png" for number in range(6)]
    assert all(record.times.infer_ns > 0 for record in sink.records)


def test_folder_reports_what_it_could_not_read(small_model, picture_folder):
    (picture_folder / "3-text.jpg").write_text("no picture")
    with open_source(str(picture_folder)) as source:
        summary, _ = run_source(source, small_model)
    assert (summary.final.frames, summary.final.unreadable) == (6, 1)


def test_top_k_limits_the_guesses(small_model):
    _, sink = run_source(film(1), small_model, top_k=2)
    assert [guess.label for guess in sink.records[0].result.top] == list(LABELS[:2])


def test_times_of_a_frame_are_not_negative_and_add_up(small_model, tmp_path):
    with open_source(str(make_picture(tmp_path / "one.png"))) as source:
        summary, sink = run_source(source, small_model)
    times = sink.records[0].times
    parts = (times.capture_ns, times.wait_ns, times.preprocess_ns, times.infer_ns)
    assert min(parts) >= 0
    assert sum(parts) <= times.age_ns
    assert tuple(summary.final.stages) == STAGES


def test_wait_is_not_negative_when_a_source_stamps_oddly(small_model):
    late = make_frame(0, captured_ns=time.monotonic_ns() + 10**12)
    _, sink = run_source(ScriptedSource([late], live=False), small_model)
    assert sink.records[0].times.wait_ns == 0


def test_run_ends_when_its_time_is_over_and_no_frame_came(small_model):
    over = threading.Event()

    def frames():
        assert over.wait(DEADLINE_S)
        yield make_frame(0)

    with reading(ScriptedSource(frames(), live=True)) as sources:
        summary = run_loop(
            sources,
            NullEngine(small_model),
            small_model.contract,
            [],
            LoopOptions(read_power=lambda: NO_POWER, seconds=0.001),
        )
        over.set()
    assert (summary.final.frames, summary.final.fps, summary.seen) == (0, 0.0, ())
    assert summary.final.latest is None


def test_run_ends_when_its_time_is_over_and_frames_go_on(small_model):
    endless = ScriptedSource(map(make_frame, count()), live=True)
    summary, sink = run_source(endless, small_model, seconds=0.05)
    assert summary.final.frames == len(sink.records)
    assert summary.final.elapsed_s >= 0.05
    assert summary.lost is None


def test_run_ends_when_another_thread_stops_it(small_model):
    stop = threading.Event()

    def frames():
        for seq in count():
            if seq == 10:
                stop.set()  # this is the capture's thread
            yield make_frame(seq)

    summary, sink = run_source(ScriptedSource(frames(), live=False), small_model, stop=stop)
    assert sink.seqs == list(range(summary.final.frames))
    assert 8 <= summary.final.frames <= 12


def test_frames_in_flight_are_collected_when_the_run_is_stopped(small_model):
    stop, engine = threading.Event(), CountingEngine(small_model)

    class StoppingSink(KeepingSink):
        def take_record(self, record) -> None:
            super().take_record(record)
            stop.set()

    endless = ScriptedSource(map(make_frame, count()), live=False)
    _, sink = run_source(endless, small_model, engine=engine, sinks=[StoppingSink()], stop=stop)
    assert len(sink.records) == engine.submitted > 0


def test_lost_camera_ends_the_run_with_its_summary(small_model):
    lost = CameraLostError("camera: gone", hint="Plug it in")

    def frames():
        yield from map(make_frame, range(3))
        raise lost

    summary, sink = run_source(ScriptedSource(frames(), live=False), small_model)
    assert sink.seqs == [0, 1, 2]
    assert summary.lost is lost
    assert summary.final.frames == 3


def test_source_without_a_usable_picture_ends_the_run_with_its_error(small_model, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    with open_source(str(tmp_path)) as source, pytest.raises(InputError, match="none of its 1"):
        run_source(source, small_model)


@pytest.mark.parametrize("error", [InputError("disk: full", hint="Free it"), ZeroDivisionError()])
def test_failing_sink_ends_the_run_with_its_error(small_model, error):
    class FailingSink(KeepingSink):
        def take_record(self, record) -> None:
            super().take_record(record)
            if len(self.records) == 2:
                raise error

    sink = FailingSink()
    with pytest.raises(type(error)):
        run_source(film(100), small_model, sinks=[sink])
    assert sink.seqs == [0, 1]


def test_lost_engine_ends_the_run_with_its_error(small_model):
    class LostEngine(NullEngine):
        def collect(self):
            raise EngineLostError("engine: gone", hint="Try another")

    with pytest.raises(EngineLostError, match="engine: gone"):
        run_source(film(10), small_model, engine=LostEngine(small_model))


def test_every_sink_gets_every_record(small_model):
    sinks = [KeepingSink() for _ in range(3)]
    run_source(film(20), small_model, sinks=sinks)
    assert {tuple(sink.seqs) for sink in sinks} == {tuple(range(20))}


def test_snapshots_are_told_while_the_run_goes_on(small_model):
    """The source gives one frame, and its end only after a snapshot was told."""
    sink = KeepingSink()

    def frames():
        yield make_frame(0)
        assert sink.told.wait(DEADLINE_S)

    run_source(ScriptedSource(frames(), live=True), small_model, sinks=[sink])
    first = sink.snapshots[0]
    assert (first.frames, first.dropped, first.latest) == (1, 0, sink.records[0])
    assert first.power is NO_POWER
    assert first.elapsed_s > 0


def test_summary_keeps_the_most_that_each_zone_reached(small_model):
    told, stop = KeepingSink(), threading.Event()
    hot = BoardReading({"cpu": 71.5, "gpu": 60.0})
    cool = BoardReading({"cpu": 48.0, "gpu": 62.5})

    def frames():
        yield make_frame(0)
        assert told.told.wait(DEADLINE_S)
        stop.set()
        yield make_frame(1)

    summary, _ = run_source(
        ScriptedSource(frames(), live=True), small_model, sinks=[told], stop=stop,
        read_board=lambda: cool if told.snapshots else hot,
    )  # fmt: skip
    assert summary.final.board == cool
    assert summary.max_temperatures_c == {"cpu": 71.5, "gpu": 62.5}


def test_answer_of_a_live_frame_does_not_wait_for_the_next_frame(small_model):
    answered = threading.Event()

    class AnsweredSink(KeepingSink):
        def take_record(self, record) -> None:
            super().take_record(record)
            answered.set()

    def frames():
        yield make_frame(0)
        assert answered.wait(DEADLINE_S)
        yield make_frame(1)

    _, sink = run_source(ScriptedSource(frames(), live=True), small_model, sinks=[AnsweredSink()])
    assert sink.seqs == [0, 1]


def test_seen_names_each_picture_with_its_most_frequent_label(small_model):
    named = [make_frame(seq, file=f"{seq % 2}.png") for seq in range(10)]
    summary, _ = run_source(ScriptedSource(named, live=False), small_model)
    assert [(seen.what, seen.label, seen.share, seen.frames) for seen in summary.seen] == [
        ("0.png", "apple", 1.0, 5),
        ("1.png", "apple", 1.0, 5),
    ]


def test_seen_tells_files_of_the_same_name_apart_by_their_source(small_model):
    one, other = (
        ScriptedSource([make_frame(seq, file=file) for seq, file in enumerate(files)], live=False)
        for files in (("a.png", "b.png"), ("a.png", "c.png"))
    )
    with reading(one, other) as captures:
        for capture, name in zip(captures.captures, ("left", "right"), strict=True):
            capture.name = name
        options = LoopOptions(read_power=lambda: NO_POWER)
        engine = NullEngine(small_model)
        summary = run_loop(captures, engine, small_model.contract, [], options)
    assert {(seen.what, seen.frames) for seen in summary.seen} == {
        ("left: a.png", 1), ("right: a.png", 1), ("b.png", 1), ("c.png", 1),
    }  # fmt: skip


def test_seen_stays_short_when_there_are_many_pictures(small_model):
    named = [make_frame(seq, file=f"{seq}.png") for seq in range(3 * SEEN_LIMIT)]
    summary, _ = run_source(ScriptedSource(named, live=False), small_model)
    assert [seen.what for seen in summary.seen] == [f"{seq}.png" for seq in range(SEEN_LIMIT)]
    assert summary.final.frames == 3 * SEEN_LIMIT
