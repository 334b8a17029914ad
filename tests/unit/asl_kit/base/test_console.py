"""Progress where there is no terminal: plain lines on stderr, not one for every step."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from asl_kit.base import console as progress


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
        console.print("table.csv:100: wrong")
    assert capsys.readouterr() == ("table.csv:100: wrong\n", "table.csv:100: wrong\n")


HOSTILE = "[bold]v[/bold] [link=file:///etc]w[/link] \x1b[2J\x1b]0;title\x07 \x9b1m \u202e \ud800 \r"
SHOWN = r"[bold]v[/bold] [link=file:///etc]w[/link] \x1b[2J\x1b]0;title\x07 \x9b1m \u202e \ud800 \r"


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal then
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")


def test_names_on_a_terminal_are_shown_and_not_obeyed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_terminal(monkeypatch)
    table = Table(HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE)
    console = progress.out()
    console.print(table)
    console.print(HOSTILE)
    progress.warn(console, HOSTILE)
    with progress.progress_bar("work", 2) as bar:
        bar.note(HOSTILE)
        bar.advance(2)
        bar.message(HOSTILE)
    out, err = capsys.readouterr()
    assert out.count(SHOWN) == 5
    assert err.count(SHOWN) >= 2
    for printed in (out, err):
        assert not re.search(r"\x1b\[2J|\x1b\]|[\x07\x9b\u202e]", printed)


@given(st.text())
def test_visible_text_moves_nothing(text: str) -> None:
    shown = progress.escape_control_characters(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", shown)
    assert progress.escape_control_characters(shown) == shown


def settings_table() -> Table:
    table = Table(title="Proposed")
    table.add_column("setting", no_wrap=True)
    table.add_column("value", justify="right")
    table.add_column("reason", overflow="fold")
    table.add_row("model.attention_window", "9", "few training segments: a small network overfits less")
    table.add_row("", "\x1b[2J", "")
    return table


def test_a_table_is_stacked_where_its_columns_do_not_fit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    progress.out().print(settings_table())
    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in lines[1:]] == [
        "model.attention_window",
        "    value: 9",
        "    reason: few training segments: a small network",
        "    overfits less",
        r"\x1b[2J",
    ]
    assert lines[0].strip() == "Proposed"


@pytest.mark.parametrize(("columns", "width"), [("70", 70), ("", progress.PLAIN_WIDTH), ("wide", progress.PLAIN_WIDTH)])
def test_the_width_of_a_pipe(
    columns: str, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    console = progress.out()
    assert console.width == width
    console.print(settings_table())
    lines = capsys.readouterr().out.splitlines()
    assert "setting" in lines[2]
    assert max(map(len, lines)) <= width
