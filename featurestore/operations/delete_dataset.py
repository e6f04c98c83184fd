"""Delete a dataset: nobody pins what it was made of any more. Its bytes go with the next `gc`."""

from __future__ import annotations

from featurestore.errors import DatasetInUse
from featurestore.operations.make_plan import Project
from featurestore.ports.state import Manifest


def delete_dataset(dataset: str, project: Project) -> Manifest:
    """Forget the dataset with this id, or the only one whose id starts so, and return what its manifest was.

    Raises UnknownName, DatasetInUse when a registered model was trained on it.
    """
    manifest = project.datasets.get(dataset)
    _check_unused(manifest, project)
    project.datasets.delete(manifest.id)
    try:
        _check_unused(manifest, project)
    except DatasetInUse:  # a model was registered in the same moment
        project.datasets.put(manifest)
        raise
    return manifest


def _check_unused(manifest: Manifest, project: Project) -> None:
    if users := project.usage.users_of([manifest.id]):
        raise DatasetInUse(manifest.id, (use.user for use in users))
