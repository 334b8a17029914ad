import csv
import io
from dataclasses import replace
from pathlib import Path

import decord
import numpy as np
import pytest

from asl_kit.demo.videos import (
    ACTION_RANGE_S,
    FPS,
    HEIGHT,
    HOLD,
    MOTIONS,
    WIDTH,
    demo_plans,
    plan_video,
    render_frames,
    segments_csv,
    write_demo_videos,
    write_video,
)
from asl_kit.errors import UsageError

PLANS = demo_plans()


def short(plan, frames=20):
    return replace(plan, frames=frames)


def test_equal_seeds_give_equal_videos_byte_for_byte(tmp_path: Path):
    plan = short(plan_video("train_00", seed=3, split="train"))
    files = set()
    for _ in range(10):
        write_video(tmp_path / "video.mp4", render_frames(plan))
        files.add((tmp_path / "video.mp4").read_bytes())
    assert len(files) == 1


def test_other_seeds_and_other_names_give_other_videos():
    plans = [plan_video(name, seed=seed, split="train") for seed in (0, 1) for name in ("a", "b")]
    assert len({repr(replace(plan, video_id="")) for plan in plans}) == 4


def test_splits_classes_and_videos_without_action():
    assert [sum(plan.split == split for plan in PLANS) for split in ("train", "test")] == [20, 8]
    assert len({plan.video_id for plan in PLANS}) == 28
    for split in ("train", "test"):
        acts = [plan.actions() for plan in PLANS if plan.split == split]
        assert {act.name for own in acts for act in own} == set(MOTIONS)
        assert any(not own for own in acts)


def test_actions_lie_within_the_video_and_have_the_stated_lengths():
    for plan in PLANS:
        for act in plan.actions():
            assert 0 <= act.start_s < act.end_s <= plan.duration_s
            assert ACTION_RANGE_S[0] - 0.011 <= act.end_s - act.start_s <= ACTION_RANGE_S[1] + 0.011


def test_actions_overlap_but_never_two_of_one_class():
    overlaps = 0
    for plan in PLANS:
        acts = plan.actions()
        for number, first in enumerate(acts):
            for second in acts[number + 1 :]:
                if second.start_s < first.end_s and first.start_s < second.end_s:
                    overlaps += 1
                    assert first.name != second.name
    assert overlaps >= 20


def test_a_figure_moves_in_an_action_and_is_still_in_a_held_pose():
    plan = next(plan for plan in PLANS if any(act.name == HOLD for figure in plan.figures for act in figure.acts))
    held = next(act for figure in plan.figures for act in figure.acts if act.name == HOLD)
    middle_s = (held.start_s + held.end_s) / 2
    assert held.pose(middle_s) == held.pose(middle_s + 0.3)
    for act in plan.actions():
        poses = {act.pose(act.start_s + share * (act.end_s - act.start_s)) for share in (0.3, 0.4, 0.5)}
        assert len(poses) == 3


def test_every_pose_is_upright_at_both_ends_of_a_cycle():
    for name, motion in MOTIONS.items():
        assert motion.pose(0.0).turn == pytest.approx(0, abs=1e-9), name
        assert motion.pose(1.0).turn == pytest.approx(0, abs=1e-9), name


def test_csv_has_all_actions_and_a_row_for_a_video_without_any():
    rows = list(csv.DictReader(io.StringIO(segments_csv(PLANS))))
    assert list(rows[0]) == ["video", "start", "end", "label", "split", "duration", "fps"]
    for plan in PLANS:
        own = [row for row in rows if row["video"] == plan.video_id]
        assert {(row["split"], row["duration"], row["fps"]) for row in own} == {
            (plan.split, f"{plan.duration_s:.3f}", str(FPS))
        }
        found = [(float(row["start"]), float(row["end"]), row["label"]) for row in own if row["label"]]
        assert found == [(act.start_s, act.end_s, act.name) for act in plan.actions()]
        assert len(own) == max(1, len(found))


def test_decord_finds_every_frame_as_it_was_drawn(tmp_path: Path):
    plan = short(PLANS[0], 40)
    drawn = list(render_frames(plan))
    write_video(tmp_path / "video.mp4", drawn)
    reader = decord.VideoReader(str(tmp_path / "video.mp4"))
    assert len(reader) == 40
    assert reader.get_avg_fps() == FPS
    decoded = reader.get_batch(range(40)).asnumpy()
    assert decoded.shape == (40, HEIGHT, WIDTH, 3)
    # Compression costs a few grey levels; the neighbour in time differs by more where something moves.
    errors = [[np.abs(decoded[i].astype(int) - drawn[j]).mean() for j in (i, i - 5)] for i in range(10, 40)]
    assert np.mean([own < other for own, other in errors]) > 0.9
    assert np.mean([own for own, _ in errors]) < 4


def test_mean_colour_does_not_tell_the_action():
    """Nearest class mean on the frame's mean colour, in the middle of an action: near chance, 1 in 5."""
    colors: dict[str, list[tuple[np.ndarray, str]]] = {"train": [], "test": []}
    for plan in PLANS:
        for act in plan.actions():
            middle = int((act.start_s + act.end_s) / 2 * FPS)
            frame = next(iter(render_frames(plan, start=middle)))
            colors[plan.split].append((frame.reshape(-1, 3).mean(0), act.name))
    names = sorted(MOTIONS)
    centers = np.stack([np.mean([color for color, label in colors["train"] if label == name], 0) for name in names])
    right = [names[int(np.argmin(((centers - color) ** 2).sum(1)))] == label for color, label in colors["test"]]
    assert np.mean(right) < 0.35


def test_videos_that_are_there_stay_and_others_are_refused(tmp_path: Path):
    folder = tmp_path / "demo"
    plans = [short(plan, 3) for plan in demo_plans(train=2, test=1)]
    assert write_demo_videos(folder, plans) == 3
    (folder / "videos" / "train_01.mp4").unlink()
    assert write_demo_videos(folder, plans) == 1
    assert write_demo_videos(folder, plans) == 0
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    with pytest.raises(UsageError, match="holds a demo with other videos"):
        write_demo_videos(folder, [short(plan, 4) for plan in plans])
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(UsageError, match="is not a folder of the demo"):
        write_demo_videos(tmp_path / "mine", plans)
