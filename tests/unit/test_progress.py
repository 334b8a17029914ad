"""Progress where there is no terminal: plain lines on stderr, not one for every step."""

from __future__ import annotations

import pytest

from asl_kit import progress


def test_plain_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.progress_bar("extract", 4) as bar:
        bar.note("30 frames/s")
        for _ in range(8):
            now[0] += 3.0
            bar.advance(0.5)
        bar.message("failed: a [not markup]")
    printed = capsys.readouterr()
    assert printed.out == ""
    # A line after 12 and 24 seconds; the last is also the end.
    assert printed.err.splitlines() == [
        "extract 2/4 30 frames/s",
        "extract 4/4 30 frames/s",
        "failed: a [not markup]",
    ]


def test_an_unknown_total(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.progress_bar("reading", None) as bar:
        now[0] = 11.0
        bar.advance(1.23)
    assert capsys.readouterr().err == "reading 1.2\n"


def test_a_line_number_is_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    for console in (progress.out(), progress.err()):
        console.print("table.csv:100: wrong", markup=False)
    assert capsys.readouterr() == ("table.csv:100: wrong\n", "table.csv:100: wrong\n")
