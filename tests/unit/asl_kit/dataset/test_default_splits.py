"""The splits to train on, to validate on and to score, where none is named."""

from __future__ import annotations

import re

import pytest
from helpers.support import make_annotation_set

from asl_kit.annotations import AnnotationSet
from asl_kit.dataset.default_splits import evaluation_split, training_split, validation_split
from asl_kit.errors import AnnotationError


def make(dataset: str, splits: str) -> AnnotationSet:
    return make_annotation_set({name: (name, []) for name in splits.split()}, ["run"], dataset=dataset)


@pytest.mark.parametrize(
    ("dataset", "splits", "train", "validation", "evaluate"),
    [
        pytest.param("own", "train test", "train", None, "test", id="two"),
        pytest.param("own", "training val test", "training", "val", "test", id="three"),
        pytest.param("own", "train validation", "train", "validation", None, id="validation"),
        pytest.param("own", "Train Val Test", "Train", "Val", "Test", id="capitals"),
        pytest.param("own", "TRAIN train Test test", "train", None, "test", id="the usual capitals first"),
        pytest.param("thumos14", "validation test", "validation", None, "test", id="test is reported on"),
        pytest.param("thumos14", "Validation Test", "Validation", None, "Test", id="ActionFormer's JSON"),
        pytest.param("activitynet13", "training validation", "training", None, "validation", id="ActivityNet"),
        pytest.param("activitynet13", "training validation test", "training", None, "validation", id="not test"),
        pytest.param("activitynet13", "training test", "training", None, "test", id="validation is not there"),
        pytest.param("activitynet13", "train test", "train", None, "test", id="own table of that name"),
        pytest.param("thumos14", "train validation test", "train", "validation", "test", id="own validation split"),
        pytest.param("activitynet13", "train", "train", None, None, id="own table without split"),
    ],
)
def test_default_splits(dataset: str, splits: str, train: str, validation: str | None, evaluate: str | None) -> None:
    annotations = make(dataset, splits)
    assert training_split(annotations, "auto") == train
    assert validation_split(annotations, "auto", train) == validation
    assert evaluation_split(annotations, ["test"]) == evaluate


def test_a_named_split_is_taken() -> None:
    annotations = make("own", "train val test")
    assert training_split(annotations, "val") == "val"
    assert validation_split(annotations, "none", "train") is None
    assert validation_split(annotations, "test", "train") == "test"


def test_several_splits_are_one_name() -> None:
    annotations = make("own", "train val test")
    assert training_split(annotations, ("train", "val")) == "train,val"
    assert validation_split(annotations, "auto", "train,val") is None, "val is trained on"
    assert validation_split(annotations, ("val", "test"), "train") == "val,test"


@pytest.mark.parametrize(
    ("dataset", "splits", "message"),
    [
        ("own", "part", "dataset own: no split named train or training; the splits are: part"),
        ("thumos14", "test", "dataset thumos14: no split named validation; the splits are: test"),
    ],
)
def test_no_training_split(dataset: str, splits: str, message: str) -> None:
    with pytest.raises(AnnotationError, match=re.escape(message)):
        training_split(make(dataset, splits), "auto")
