"""Write docs/schema/*.json, the JSON Schema of each kind of row, from one table.

python tools/write_schemas.py [-o docs/schema]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, get_args

from edge.record import STAGES, RailKind, SourceState
from edge.schema import SCHEMA_VERSION

Schema = dict[str, Any]


def number(text: str, unit: str, **limits: object) -> Schema:
    """Describe a number of 0 or more in a unit; keywords add to it or replace that."""
    return {"description": text, "type": "number", "minimum": 0, **limits, "unit": unit}


def signed(text: str, unit: str) -> Schema:
    """Describe a number in a unit that may be below 0, as the power of an idle rail is."""
    return {"description": text, "type": "number", "unit": unit}


def count(text: str, unit: str = "1") -> Schema:
    """Describe a whole number of 0 or more."""
    return {"description": text, "type": "integer", "minimum": 0, "unit": unit}


def share(text: str) -> Schema:
    """Describe a number from 0 to 1."""
    return number(text, "1", maximum=1)


def string(text: str, **more: object) -> Schema:
    """Describe a text."""
    return {"description": text, "type": "string", **more}


def optional(schema: Schema) -> Schema:
    """Let it be null too, where the machine does not tell."""
    return {**schema, "type": [schema["type"], "null"]}


def mapping(text: str, values: Schema) -> Schema:
    """Describe an object whose names are those of the machine."""
    return {"description": text, "type": "object", "additionalProperties": values}


def items(text: str, of: Schema, **more: object) -> Schema:
    """Describe an array."""
    return {"description": text, "type": "array", "items": of, **more}


def record(text: str, fields: dict[str, Schema], absent: tuple[str, ...] = ()) -> Schema:
    """Describe an object with these fields and no other ones; only `absent` may be missing."""
    return {
        "description": text,
        "type": "object",
        "properties": fields,
        "required": [name for name in fields if name not in absent],
        "additionalProperties": False,
    }


def refer(name: str) -> Schema:
    """Refer to one of the definitions."""
    return {"$ref": f"#/$defs/{name}"}


def either(text: str, name: str) -> Schema:
    """Describe a reading that a machine gives or not."""
    return {"description": text, "oneOf": [refer(name), refer("unavailable")]}


def head(kind: str) -> dict[str, Schema]:
    """Give the fields that every row begins with."""
    return {
        "version": {
            "description": "Goes up when a field is renamed, removed or means something else.",
            "const": SCHEMA_VERSION,
        },
        "kind": {"description": "What the row is of.", "const": kind},
        "time": {
            "description": "When the label, or the state, was there: ISO 8601, UTC.",
            "type": "string",
            "format": "date-time",
        },
    }


FRAME_FIELDS = {
    **head("frame"),
    "seq": count("Number of the frame as its source counts; a gap means frames that were lost."),
    "source": string("The source's name, without passwords."),
    "file": string("File name of the picture, where it is one; else the field is missing."),
    "top": items("The best guesses, the best first.", refer("guess"), minItems=1),
    "age_ms": number("From the picture's arrival to its label: end to end.", "ms"),
    "capture_ms": number("Reading, without waiting for the camera.", "ms"),
    "decode_ms": number("From what the camera coded to pixels; 0 where it gives pixels.", "ms"),
    "wait_ms": number("Between the source and the loop.", "ms"),
    "preprocess_ms": number("Crop and resize, without decoding.", "ms"),
    "infer_ms": number("From submission to scores.", "ms"),
    "post_ms": number("From scores to the label.", "ms"),
}
GUESS = record(
    "One class and how likely it is.",
    {
        "label": string("Name of the class."),
        "index": count("Number of the class in the model's labels."),
        "p": share("Its probability."),
    },
)
PERCENTILES = record(
    "Latency over the whole run, 0 before the first frame.",
    {
        "p50_ms": number("Half took no longer.", "ms"),
        "p90_ms": number("90 in 100 took no longer.", "ms"),
        "p99_ms": number("99 in 100 took no longer.", "ms"),
        "p999_ms": number("999 in 1000 took no longer.", "ms"),
        "max_ms": number("None took longer.", "ms"),
    },
)
UNAVAILABLE = record(
    "A reading that this machine cannot give.", {"unavailable": string("Why, in a few words.")}
)
POWER = record(
    "Power now and energy since the start of the run.",
    {
        "total": string("Which rail or sum the figures are."),
        "power_mw": signed("Now.", "mW"),
        "mean_mw": signed("Mean of the run so far.", "mW"),
        "idle_mw": optional(signed("Mean before the run; null where it was not measured.", "mW")),
        "idle_error_mw": number("How far that may be off, for it was sampled.", "mW"),
        "energy_j": signed("Of the run so far, idle included.", "J"),
        "energy_error_j": number("How far the energy may be off, for it was sampled.", "J"),
        "covered_s": number("The time that mean and energy are of.", "s"),
        "rails_mw": mapping(
            "Each rail now, those outside the total too.",
            {"type": ["number", "null"], "unit": "mW", "description": "Null: cannot be read."},
        ),
        "sampler_share": number("Share of one core that the sampling takes.", "1"),
    },
)
RAIL_SUMMARY = record(
    "A rail, or a total, so far.",
    {
        "readings": count("How many there were."),
        "min_mw": signed("The least one.", "mW"),
        "mean_mw": signed("Over time: energy divided by duration.", "mW"),
        "max_mw": signed("The largest one.", "mW"),
        "energy_j": signed("Trapezoids between the readings.", "J"),
        "energy_error_j": number("How far the energy may be off, for it was sampled.", "J"),
    },
)
RAIL = record(
    "One rail, or a total of rails.",
    {
        "name": string("Of the rail, or which rails make the total."),
        "kind": string(
            "A rail that counts in the total, another rail, the total, or another total of these"
            " rails.",
            enum=list(get_args(RailKind)),
        ),
        "power_mw": optional(signed("Now; null where it cannot be read.", "mW")),
        "problem": string("Why it cannot be read; empty when it can."),
        "summary": {
            "description": "So far; null before the first reading.",
            "oneOf": [refer("rail_summary"), {"type": "null"}],
        },
    },
)
CLOCK = record(
    "A clock and the limits that it moves between.",
    {
        "name": string("gpu, emc, or cpu0 and so on."),
        "mhz": number("Now.", "MHz"),
        "min_mhz": optional(number("Not below this.", "MHz")),
        "max_mhz": optional(number("Not above this.", "MHz")),
    },
)
BOARD = record(
    "Heat, clocks, load and mode of the machine.",
    {
        "temperatures_c": mapping(
            "By the zone's name; a zone that sleeps is missing.",
            {"type": "number", "unit": "°C", "description": "Now."},
        ),
        "clocks": items("Those that the machine tells.", refer("clock")),
        "gpu_load": optional(share("Load of the GPU.")),
        "mode": optional(string("Name and number of the power mode.")),
        "locked": {
            "description": "Whether all clocks are held at one frequency.",
            "type": ["boolean", "null"],
        },
        "throttling": items(
            "What holds the clocks down now.", {"type": "string", "description": "One cause."}
        ),
        "throttles": count("Times that anything began to do so since the run began."),
    },
)
SOURCE = record(
    "One source at this moment.",
    {
        "name": string("Without passwords."),
        "state": string(
            "Where it is: first frame awaited, frames come, none for too long, opened again, over,"
            " given up.",
            enum=list(get_args(SourceState)),
        ),
        "problem": string("Why it is not live; empty when it is."),
        "size": {
            "description": "Width and height of its newest frame; null before the first.",
            "type": ["array", "null"],
            "items": {"type": "integer", "minimum": 1, "description": "A side.", "unit": "px"},
            "minItems": 2,
            "maxItems": 2,
        },
        "frames": count("Classified so far."),
        "fps": number("Classified a second over the last second or so.", "1/s"),
        "dropped": count("Replaced by a newer frame, or missing in the source's own count."),
        "duplicates": count("The same picture or time stamp as the frame before."),
        "out_of_order": count("With an earlier time stamp than the frame before."),
        "unreadable": count("Could not be decoded."),
        "stalls": count("Times in which no frame came for too long."),
        "reconnects": count("Times that it was lost and found again."),
        "age": refer("percentiles"),
        "latest": {
            "description": "Its newest frame; null before the first.",
            "oneOf": [refer("frame"), {"type": "null"}],
        },
    },
)
SEEN = record(
    "What one picture, or one source, was named most often.",
    {
        "what": string("File name of the picture, or the source."),
        "label": string("The most frequent first guess."),
        "share": share("Of its frames that got this label."),
        "frames": count("How many frames of it were classified."),
    },
)
STATE_FIELDS = {
    "elapsed_s": number("Since the start of the run.", "s"),
    "frames": count("Classified so far."),
    "dropped": count("Replaced by a newer one before they were classified."),
    "unreadable": count("Pictures that could not be decoded."),
    "fps": number("Classified a second: lately, and in a summary of the whole run.", "1/s"),
    "stages": record(
        "Latency of each stage; end_to_end is from a picture's arrival to its label.",
        {stage: refer("percentiles") for stage in STAGES},
    ),
    "power": either("Power of the machine.", "power"),
    "energy_per_frame_j": optional(
        signed("Mean power times the time of a classified frame, idle included.", "J")
    ),
    "net_energy_per_frame_j": optional(signed("The same above idle.", "J")),
    "energy_per_frame_error_j": optional(
        number("How far energy_per_frame_j may be off, for power was sampled.", "J")
    ),
    "net_energy_per_frame_error_j": optional(
        number("The same of net_energy_per_frame_j; what idle may be off by is in it.", "J")
    ),
    "board": either("State of the machine.", "board"),
    "sources": items("Each source, in the order in which they were given.", refer("source")),
}
FRAME = record("One classified frame.", FRAME_FIELDS, absent=("file",))
SNAPSHOT = record("The state of a run at one moment.", {**head("snapshot"), **STATE_FIELDS})
SUMMARY = record(
    "A whole run.",
    {
        **head("summary"),
        **STATE_FIELDS,
        "seen": items("What was named what, in order of appearance.", refer("seen")),
        "max_temperatures_c": mapping(
            "By the zone's name.",
            {"type": "number", "unit": "°C", "description": "The most in the run."},
        ),
        "lost": optional(string("How the first source that failed did so; null when none did.")),
    },
)
POWER_NOW = record(
    "This machine's power at one moment.",
    {
        **head("power"),
        "power": either("Power of the machine.", "power"),
        "rails": items("Each rail, then the totals that they make.", refer("rail")),
    },
)
STATE_PARTS = {
    "frame": FRAME,
    "guess": GUESS,
    "percentiles": PERCENTILES,
    "unavailable": UNAVAILABLE,
    "power": POWER,
    "clock": CLOCK,
    "board": BOARD,
    "source": SOURCE,
}
KINDS = {
    "frame": (FRAME, {"guess": GUESS}),
    "snapshot": (SNAPSHOT, STATE_PARTS),
    "summary": (SUMMARY, {**STATE_PARTS, "seen": SEEN}),
    "power": (
        POWER_NOW,
        {"power": POWER, "unavailable": UNAVAILABLE, "rail": RAIL, "rail_summary": RAIL_SUMMARY},
    ),
}


def schema_of(kind: str) -> Schema:
    """Give the whole schema of a kind of row."""
    body, parts = KINDS[kind]
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, "title": f"edge {kind}", **body, "$defs": parts}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/schema"))
    folder = parser.parse_args().output
    for kind in KINDS:
        text = json.dumps(schema_of(kind), indent=2, ensure_ascii=False)
        (folder / f"{kind}.json").write_text(f"{text}\n")


if __name__ == "__main__":
    main()
