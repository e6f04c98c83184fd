"""Which features a model was trained on, asked without knowing what a model is."""

from __future__ import annotations

from typing import Protocol

from featurestore.graph.resolved import FeatureSet


class ModelFeatures(Protocol):
    def version_of(self, model: str) -> str:
        """The version that a name such as `fraud@champion` means now, as `fraud@3`. Asked every second or so of each
        model that is looked up by."""
        ...

    def features_of(self, version: str) -> FeatureSet:
        """The features, at their fingerprints, that the version was trained on. A version's never change."""
        ...
