"""The tiers of an annotation tool, on which a video is annotated in several ways, and those that a user chooses.

A tier is what the tool calls a tier, track, column or category. Without a choice, all tiers share one vocabulary; with
one, the annotations of other tiers are left out, and each tier has the vocabulary that is stated for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from asl_kit.annotations.collector import ACTION, Collector
from asl_kit.base.similar_names import close_matches
from asl_kit.errors import UsageError


@dataclass(frozen=True, slots=True)
class TierOptions:
    """The tiers to convert.

    Parameters
    ----------
    vocabularies : mapping of str to str
        The vocabulary by the name of the tier. Empty: all tiers, in the vocabulary "action".
    """

    vocabularies: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> TierOptions:
        """Return the options that texts ``TIER`` or ``TIER=VOCABULARY`` state.

        Raises
        ------
        UsageError
            If a name is empty, or a tier is given twice.

        Examples
        --------
        >>> TierOptions.parse(["talk", "hands=gesture"]).vocabularies
        {'talk': 'action', 'hands': 'gesture'}
        """
        vocabularies: dict[str, str] = {}
        for text in texts:
            before, equals, after = (part.strip() for part in text.rpartition("="))
            tier, vocabulary = (before, after) if equals else (after, ACTION)
            if not tier or not vocabulary:
                raise UsageError(
                    f"--tier {text}: expected TIER or TIER=VOCABULARY", hint="for example --tier hands=verb"
                )
            if tier in vocabularies:
                raise UsageError(f"--tier {tier}: given twice, for {vocabularies[tier]!r} and {vocabulary!r}")
            vocabularies[tier] = vocabulary
        return cls(vocabularies)


ALL_TIERS: Final = TierOptions()


class TierChoice:
    """The tiers that are found while sources are read, and what becomes of them.

    Parameters
    ----------
    options : TierOptions
        The tiers to convert.
    collector : Collector
        Records the annotations of other tiers as left out.
    """

    def __init__(self, options: TierOptions, collector: Collector) -> None:
        self._options = options
        self._collector = collector
        self._found: dict[str, None] = {}
        self._ambiguous: set[str] = set()

    def __bool__(self) -> bool:
        """Return whether tiers are chosen."""
        return bool(self._options.vocabularies)

    def found(self, tier: str) -> str | None:
        """Record that a tier exists, and return its vocabulary; None: it is not to be converted."""
        self._found[tier] = None
        return self._options.vocabularies.get(tier) if self else ACTION

    def vocabulary(self, tier: str, *, video_id: str, where: str) -> str | None:
        """Return the vocabulary of an annotation's tier; None: the annotation is recorded as left out."""
        vocabulary = self.found(tier)
        if vocabulary is None:
            self._collector.exclude(video_id, where, f"on {tier!r}, not among the chosen tiers")
        return vocabulary

    def of_fields(self, tier: str, names: Iterable[str]) -> dict[str, str | None]:
        """Return the vocabulary by the name of each field that the annotations of a tier have, as `found` does.

        A tier with several fields is a tier for each of them, ``tier.field``.
        """
        names = list(names)
        if len(names) <= 1:
            return {name: self.found(tier) for name in names or [""]}
        return {name: self.found(f"{tier}.{name}") for name in names}

    def labels(self, tier: str, values: Mapping[str, str], *, video_id: str, where: str) -> list[dict[str, str]]:
        """Return the labels of each segment that an annotation with several fields gives.

        An annotation is one segment, with a class in each vocabulary; it is several if fields have the same vocabulary.
        One that gives none is recorded as left out. With several fields, the user has to choose.

        Parameters
        ----------
        tier : str
            Name of the tier.
        values : mapping of str to str
            The value of each field that the annotations of this tier have; empty: not set. The label of a tier with
            one field is its value, or the name of the tier if it is not set.
        video_id, where : str
            The video and the place of the annotation.
        """
        vocabularies = self.of_fields(tier, values)
        if len(vocabularies) > 1 and not self:
            if tier not in self._ambiguous:
                example = f"--tier {tier}.{next(iter(values))}"
                text = f"{tier!r} has several fields ({', '.join(values)}): choose, for example {example}"
                self._collector.error(where, text, video_id=video_id)
            self._ambiguous.add(tier)
            return []
        labels: list[dict[str, str]] = []
        for name, vocabulary in vocabularies.items():
            value = values.get(name, "") or (tier if len(vocabularies) == 1 else "")
            if vocabulary is not None and value:
                free = next((found for found in labels if vocabulary not in found), None)
                if free is None:
                    labels.append({vocabulary: value})
                else:
                    free[vocabulary] = value
        if not labels:
            is_chosen = any(vocabulary is not None for vocabulary in vocabularies.values())
            reason = "without a value of the chosen fields" if is_chosen else "not among the chosen tiers"
            self._collector.exclude(video_id, where, f"on {tier!r}, {reason}")
        return labels

    def check(self) -> None:
        """Raise a UsageError if a chosen tier is in none of the sources; the message lists those that are."""
        for tier in self._options.vocabularies:
            if tier not in self._found:
                close = close_matches(tier, self._found)
                names = ", ".join(map(repr, self._found)) or "none"
                hint = f"Did you mean {close[0]!r}?" if close else None
                raise UsageError(f"--tier {tier}: no such tier in the sources; there are: {names}", hint=hint)
