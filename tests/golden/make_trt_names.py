"""Make trt_names.json: which public names each TensorRT has, of the classes that edge uses.

    python tests/golden/make_trt_names.py FOLDER

FOLDER holds one VERSION.json a TensorRT, with the list `names` of its Python module's public names
("trt.Builder.create_network"), as walking the imported module gives them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

SUPPORTED = ("8.6.1", "10.3.0", "10.7.0", "10.13.3.9", "10.16.1.11", "11.0.0.114", "11.4.0.106",
             "rtx-1.7.1.116")  # fmt: skip
CLASSES = ("Builder", "BuilderFlag", "ComputeCapability", "DataType", "DeviceType",
           "EngineInspector", "IBuilderConfig", "ICudaEngine", "IExecutionContext", "ILayer",
           "ILogger", "IInt8EntropyCalibrator2", "INetworkDefinition", "IOptimizationProfile",
           "IProfiler", "IProgressMonitor", "ITensor", "ITimingCache", "LayerInformationFormat",
           "MemoryPoolType", "NetworkDefinitionCreationFlag", "OnnxParser", "ParserError",
           "ProfilingVerbosity", "Runtime", "TensorIOMode")  # fmt: skip

table = {}
for version in SUPPORTED:
    names = json.loads((Path(sys.argv[1]) / f"{version}.json").read_text())["names"]
    table[version] = sorted(
        name.removeprefix("trt.") for name in names if name.split(".")[1] in CLASSES
    )
Path(__file__).with_name("trt_names.json").write_text(json.dumps(table, indent=0) + "\n")
