import pytest

from asl_kit.annotations.conversion import convert
from asl_kit.annotations.tiers import TierOptions
from asl_kit.errors import UsageError

TEXTS = {
    "none": ([], {}),
    "a name": (["a"], {"a": "action"}),
    "a vocabulary": (["a b = verb"], {"a b": "verb"}),
    "an equals sign in the name": (["x=1=verb"], {"x=1": "verb"}),
    "one vocabulary of two tiers": (["a=verb", "b=verb"], {"a": "verb", "b": "verb"}),
}


@pytest.mark.parametrize(("texts", "expected"), TEXTS.values(), ids=TEXTS)
def test_texts_are_tiers_with_their_vocabularies(texts, expected):
    assert TierOptions.parse(texts).vocabularies == expected


FAULTS = {
    "no name": (["=verb"], "--tier =verb: expected TIER or TIER=VOCABULARY"),
    "no vocabulary": (["a="], "--tier a=: expected TIER or TIER=VOCABULARY"),
    "empty": ([" "], "expected TIER or TIER=VOCABULARY"),
    "twice": (["a=x", "a=y"], "--tier a: given twice, for 'x' and 'y'"),
}


@pytest.mark.parametrize(("texts", "message"), FAULTS.values(), ids=FAULTS)
def test_a_wrong_text_is_refused(texts, message):
    with pytest.raises(UsageError, match=message):
        TierOptions.parse(texts)


def test_a_converter_without_tiers_says_so(tmp_path):
    (tmp_path / "a.csv").write_text("video,start,end,label\na,1,2,run\n")
    with pytest.raises(UsageError, match="the converter 'csv' reads no tiers"):
        convert("csv", tmp_path / "a.csv", tmp_path / "a.json", tiers=TierOptions.parse(["hands"]))
