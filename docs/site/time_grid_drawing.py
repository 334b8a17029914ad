"""Draw `docs/images/time-grid.svg`, the worked example of concepts.md: `python docs/site/time_grid_drawing.py`."""

from __future__ import annotations

from pathlib import Path

from asl_kit.grid import FeatureGrid

FILE = Path(__file__).parents[1] / "images" / "time-grid.svg"
FPS, WINDOW_FRAMES, STRIDE_FRAMES = 25.0, 16, 4
FRAMES = 32  # drawn
SEGMENT_S = (0.5, 0.9)

LEFT, SCALE = 90.0, 560.0  # pixels; pixels a second
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .small { font-size: 11px; fill: #57606a }
"""


def drawing() -> str:
    """Return the drawing as SVG, with its own background. Every number in it comes from the grid."""
    grid = FeatureGrid.from_windows(
        fps=FPS,
        window_frames=WINDOW_FRAMES,
        stride_frames=STRIDE_FRAMES,
        length=(FRAMES - WINDOW_FRAMES) // STRIDE_FRAMES + 1,
    )
    height = 150 + 26 * grid.length
    width = _x(FRAMES / FPS) + 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" width="{width:g}" role="img" '
        'aria-label="Windows of 16 frames, one every 4 frames, the centres of their features, and a segment">',
        f"<style>{STYLE}</style>",
        f'<rect width="{width:g}" height="{height}" rx="8" fill="#f6f8fa"/>',
        '<text x="14" y="40">frames</text>',
    ]
    parts += [
        f'<rect x="{_x(frame / FPS):.1f}" y="26" width="{SCALE / FPS - 2:.1f}" height="20" fill="#d0d7de"/>'
        f'<text class="small" x="{_x((frame + 0.5) / FPS) - 1:.1f}" y="40" text-anchor="middle">{frame}</text>'
        for frame in range(FRAMES)
    ]
    for i, center_s in enumerate(grid.centers_s()):
        y = 62 + 26 * i
        start_s = i * STRIDE_FRAMES / FPS
        parts += [
            f'<text x="14" y="{y + 14}">feature {i}</text>',
            f'<rect x="{_x(start_s):.1f}" y="{y}" width="{WINDOW_FRAMES / FPS * SCALE - 2:.1f}" height="20" rx="3" '
            'fill="#b6d4f5"/>',
            f'<circle cx="{_x(center_s):.1f}" cy="{y + 10}" r="4" fill="#0b4f9e"/>',
            f'<text class="small" x="{_x(center_s) + 9:.1f}" y="{y + 14}">{center_s:.2f} s</text>',
        ]
    bottom = 62 + 26 * grid.length
    start, end = (_x(time) for time in SEGMENT_S)
    parts += [
        f'<text x="14" y="{bottom + 24}">segment</text>',
        f'<rect x="{start:.1f}" y="{bottom + 10}" width="{end - start:.1f}" height="20" rx="3" fill="#f5c98b"/>',
        *(
            f'<path d="M{x:.1f} 62V{bottom + 42}" stroke="#9a5b00" stroke-dasharray="3 3" fill="none"/>'
            f'<text class="small" x="{x:.1f}" y="{bottom + 56}" text-anchor="middle">{time:g} s = index '
            f"{grid.to_index(time):.3f}</text>"
            for x, time in ((start, SEGMENT_S[0]), (end, SEGMENT_S[1]))
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(time_s: float) -> float:
    return LEFT + SCALE * time_s


if __name__ == "__main__":
    FILE.write_text(drawing(), encoding="utf-8")
