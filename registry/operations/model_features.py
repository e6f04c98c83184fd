"""The features that a model version was trained on: the feature store's question, answered from the registry."""

from __future__ import annotations

from featurestore.errors import UnsupportedOperation
from featurestore.graph.resolved import FeatureSet
from registry.operations.read_models import read_version
from registry.ports import RegistryStores
from registry.reference import ModelReference


class RegisteredModelFeatures:
    """A ModelFeatures: a version's features are those of its dataset, as they were when it was pulled."""

    def __init__(self, stores: RegistryStores) -> None:
        self._stores = stores

    def version_of(self, model: str) -> str:
        reference = ModelReference.parse(model)
        if isinstance(reference.target, str):
            return read_version(reference, self._stores).reference
        return str(reference)  # a number means the same for ever, so it needs no look into the registry

    def features_of(self, version: str) -> FeatureSet:
        found = read_version(ModelReference.parse(version), self._stores)
        if found.dataset is None:
            raise UnsupportedOperation(
                f"Model {found.reference} was registered without a dataset ({found.no_dataset_reason}), so its "
                "features are not known: name them by service or by references."
            )
        return self._stores.datasets.get(found.dataset).features
