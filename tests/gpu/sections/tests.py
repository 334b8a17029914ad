"""The tests marked gpu: how many passed, failed and were skipped."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from section import TESTS, Measure, Options


def measure(options: Options) -> Iterator[Measure]:
    """Yield the counts. Without a GPU, every test is skipped, which is counted too."""
    report = options.scratch / "tests.xml"
    environment = dict(os.environ)
    if options.device.type == "cuda":
        environment["ASL_KIT_REQUIRE_GPU"] = "1"
    words = ["-m", "gpu", "--junit-xml", str(report), "-p", "no:cacheprovider", "--durations=5"]
    subprocess.run([sys.executable, "-m", "pytest", str(TESTS / "gpu"), *words], check=False, env=environment)
    suite = next(ET.parse(report).iter("testsuite"))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    yield Measure("passed", int(suite.get("tests", 0)) - failed - int(suite.get("skipped", 0)))
    yield Measure("skipped", int(suite.get("skipped", 0)))
    yield Measure("failed", failed, at_most=0)
    for case in suite.iter("testcase"):
        fault = case.find("failure")
        if fault is None:
            fault = case.find("error")
        if fault is not None:
            yield Measure(f"{case.get('classname')}.{case.get('name')}", fault.get("message", "")[:200])
