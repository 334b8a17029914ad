"""Several devices on one job: nothing is done twice, nothing is lost, whoever dies."""

from collections import deque
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from asl_extract.executors.work_queue import ATTEMPTS, Coordinator
from asl_extract.videos import VideoFile


def make(count):
    return Coordinator(deque(VideoFile(f"v{number}", Path(f"v{number}.mp4")) for number in range(count)))


def test_videos_are_handed_out_in_order_and_come_back_first():
    queue = make(3)
    assert [queue.assign(worker).video_id for worker in ("a", "b", "a")] == ["v0", "v1", "v2"]
    assert (queue.assign("b"), queue.is_finished) == (None, False)
    queue.finished("a", "v2")
    assert queue.lost("a", "gone") == []
    assert queue.assign("b").video_id == "v0"
    assert (queue.is_idle("a"), queue.is_idle("b")) == (True, False)
    for video_id in ("v0", "v1"):
        queue.finished("b", video_id)
    assert queue.is_finished


def test_a_video_that_takes_every_worker_with_it_is_given_up():
    queue = make(1)
    for attempt in range(ATTEMPTS):
        queue.assign(f"worker {attempt}")
        given_up = queue.lost(f"worker {attempt}", "signal 9")
    assert given_up == [
        (VideoFile("v0", Path("v0.mp4")), "v0.mp4: 2 workers died while they worked on it; the last: signal 9")
    ]
    assert queue.is_finished


@settings(max_examples=50)
@given(st.data())
def test_every_video_is_settled_or_given_up_once(data):
    count = data.draw(st.integers(0, 8))
    queue, settled, given_up, in_hand = make(count), [], [], {"a": [], "b": []}
    while not queue.is_finished:
        worker = data.draw(st.sampled_from(["a", "b"]))
        action = data.draw(st.sampled_from(["next", "settle", "die"]))
        if action == "next" and (file := queue.assign(worker)) is not None:
            in_hand[worker].append(file.video_id)
        elif action == "settle" and in_hand[worker]:
            video_id = in_hand[worker].pop(data.draw(st.integers(0, len(in_hand[worker]) - 1)))
            queue.finished(worker, video_id)
            settled.append(video_id)
        elif action == "die":
            in_hand[worker].clear()
            given_up += [file.video_id for file, _ in queue.lost(worker, "gone")]
    assert sorted(settled + given_up) == [f"v{number}" for number in range(count)]
