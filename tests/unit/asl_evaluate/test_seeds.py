"""Scores compared seed by seed, against scipy's paired t test.

from scipy import stats
first, second = [0.40, 0.50, 0.60, 0.55], [0.45, 0.52, 0.61, 0.60]
result = stats.ttest_rel(second, first)
print(result.pvalue, result.confidence_interval(), [stats.t.ppf(0.975, n) for n in (1, 2, 3, 10, 29)])
"""

from __future__ import annotations

import pytest

from asl_evaluate.seeds import compare_seeds, t_quantile, t_within

QUANTILES = {
    1: 12.706204736174694, 2: 4.302652729749462, 3: 3.18244630528371, 10: 2.2281388519862744, 29: 2.0452296421327034,
}  # fmt: skip


def test_the_interval_and_the_p_value_are_those_of_the_paired_t_test() -> None:
    found = compare_seeds({0: 0.40, 1: 0.50, 2: 0.60, 9: 0.55, 7: 0.1}, {9: 0.60, 2: 0.61, 1: 0.52, 0: 0.45, 8: 0.9})
    assert found is not None
    assert found.by_seed == pytest.approx({0: 0.05, 1: 0.02, 2: 0.01, 9: 0.05})
    assert found.mean == pytest.approx(0.0325)
    assert found.p_value == pytest.approx(0.051148166373703036)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((-0.0003039056613534513, 0.06530390566135343))


@pytest.mark.parametrize(("freedom", "quantile"), QUANTILES.items(), ids=str)
def test_students_t(freedom: int, quantile: float) -> None:
    assert t_quantile(0.95, freedom) == pytest.approx(quantile, rel=1e-9)
    assert t_within(quantile, freedom) == pytest.approx(0.95, abs=1e-12)


def test_few_seeds() -> None:
    assert compare_seeds({0: 0.5}, {1: 0.5}) is None
    one = compare_seeds({0: 0.5}, {0: 0.75})
    assert one is not None
    assert (one.mean, one.interval, one.p_value) == (0.25, None, None)


@pytest.mark.parametrize(("other", "p_value"), [(0.5, 1.0), (0.75, 0.0)], ids=["the same", "always as much better"])
def test_differences_that_do_not_vary(other: float, p_value: float) -> None:
    found = compare_seeds({0: 0.5, 1: 0.5}, {0: other, 1: other})
    assert found is not None
    assert found.p_value == p_value
    assert found.interval is not None
    assert found.interval.low == found.interval.high == other - 0.5
