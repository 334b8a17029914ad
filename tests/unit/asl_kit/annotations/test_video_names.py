import doctest

import pytest

from asl_kit.annotations import video_names
from asl_kit.annotations.video_names import file_name, split_name


def test_examples():
    assert doctest.testmod(video_names).failed == 0


LOCATIONS = {
    "nothing": ("", ""),
    "folder": ("https://x.org/", ""),
    "no URL": ("http://[", ""),
    "only a name": ("a b.mp4", "a b.mp4"),
    "query": ("https://x.org/v/a.mp4?token=x/y.mp4#t=3", "a.mp4"),
    "escaped slash": ("s3://bucket/v%2Fa.mp4", "a.mp4"),
    "name with ? and # in a file URL": ("file:///x/what? #2.mp4", "what? #2.mp4"),
    "percent sign that escapes nothing": ("file:///x/100%.mp4", "100%.mp4"),
}


@pytest.mark.parametrize(("location", "name"), LOCATIONS.values(), ids=LOCATIONS)
def test_file_name(location, name):
    assert file_name(location) == name


def test_only_suffixes_of_videos_are_taken_off():
    assert split_name("a.wav") == ("a.wav", None)
    assert split_name(".mp4") == (".mp4", None)
    assert split_name("x/../a.MKV") == ("a", "x/../a.MKV")
