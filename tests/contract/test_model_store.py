"""What every keeper of models and aliases promises, in memory and in a SQL database."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import inf, isnan, nan
from pathlib import Path

import pytest

from featurestore.adapters.sql_database import Database, upgrade
from featurestore.ports.model_usage import DatasetUse, ModelUsage
from registry.adapters.dataset_users import RegisteredDatasetUsers
from registry.adapters.memory_models import MemoryAliases, MemoryModels
from registry.adapters.sql_aliases import SqlAliases
from registry.adapters.sql_models import SqlModels
from registry.adapters.sql_tables import REGISTRY_MIGRATIONS
from registry.errors import AliasNotFound, ModelNotFound, VersionNotFound
from registry.ports import AliasStore, ModelStore
from registry.records import (
    Alias,
    Artifact,
    RegisteredModel,
    Registration,
    Signature,
    SignatureColumn,
    UsedFeature,
    UsedTable,
)
from tests.contract.conftest import new_database

NOON = datetime(2014, 1, 1, 12, 0, 0, 654321, tzinfo=UTC)
HOUR = timedelta(hours=1)

DELAY = Registration(
    model="delay",
    dataset="d" * 64,
    no_dataset_reason=None,
    artifact=Artifact(sha256="a" * 64, size=2**40, file_name="delay.pkl"),
    features=(UsedFeature("weather:wind_kmh", "weather__wind_kmh", "f" * 64),),
    tables=(UsedTable("weather@ffffffff", 12),),
    params=(("max_depth", "6"), ("loss", "log ü")),
    metrics=(("auc", 0.1 + 0.2), ("worst", -inf)),
    environment=(("python", "3.11.7"),),
    code_commit="c" * 40,
    run_id="run-1",
    signature=Signature((SignatureColumn("weather__wind_kmh", "float64"),), (SignatureColumn("late", "bool"),)),
    description="First try",
    tags=(("team", "ops"),),
    registered_by="ada",
    registered_at=NOON,
)


@dataclass(frozen=True)
class Registry:
    models: ModelStore
    aliases: AliasStore

    @property
    def usage(self) -> ModelUsage:
        return RegisteredDatasetUsers(self.models, self.aliases)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    if request.param == "memory":
        models = MemoryModels()
        yield Registry(models, MemoryAliases(models))
        return
    with Database(new_database(request.param, request, tmp_path)) as database:
        upgrade(database, REGISTRY_MIGRATIONS)
        yield Registry(SqlModels(database), SqlAliases(database))


def champion(version: int, model: str = "delay") -> Alias:
    return Alias(model=model, name="champion", version=version, moved_at=NOON, moved_by="ada")


def test_a_version_comes_back_equal_in_every_part(registry: Registry) -> None:
    registered = registry.models.register(DELAY)

    assert registered == DELAY.numbered(1)
    assert registry.models.version("delay", 1) == registered


def test_a_version_without_anything_optional_comes_back_equal(registry: Registry) -> None:
    bare = Registration(
        model="delay",
        dataset=None,
        no_dataset_reason="bought",
        artifact=DELAY.artifact,
        features=(),
        tables=(),
        registered_at=NOON,
    )
    registered = registry.models.register(bare)

    assert registry.models.version("delay", 1) == registered == bare.numbered(1)


def test_metrics_keep_nan(registry: Registry) -> None:
    registry.models.register(replace(DELAY, metrics=(("auc", nan),)))

    ((name, value),) = registry.models.version("delay", 1).metrics

    assert name == "auc"
    assert isnan(value)


def test_the_first_version_creates_the_model(registry: Registry) -> None:
    registry.models.register(DELAY)
    registry.models.register(replace(DELAY, registered_by="bob", registered_at=NOON + HOUR))

    assert registry.models.models() == (RegisteredModel(name="delay", created_at=NOON, owner="ada"),)


def test_models_are_listed_by_name(registry: Registry) -> None:
    for name in ("b", "a", "B", "ä"):
        registry.models.register(replace(DELAY, model=name))

    assert [model.name for model in registry.models.models()] == ["B", "a", "b", "ä"]


def test_the_same_registration_again_is_a_new_version(registry: Registry) -> None:
    first, second = registry.models.register(DELAY), registry.models.register(DELAY)

    assert (first.version, second.version) == (1, 2)
    assert registry.models.versions("delay") == (first, second)


def test_each_model_counts_its_own_versions(registry: Registry) -> None:
    registry.models.register(DELAY)

    assert registry.models.register(replace(DELAY, model="fraud")).version == 1


def test_a_key_gives_back_the_version_it_registered(registry: Registry) -> None:
    first = registry.models.register(replace(DELAY, key="run-1"))

    again = registry.models.register(replace(DELAY, key="run-1", registered_at=NOON + HOUR))

    assert again == first
    assert registry.models.versions("delay") == (first,)


def test_a_key_belongs_to_one_model(registry: Registry) -> None:
    registry.models.register(replace(DELAY, key="run-1"))

    assert registry.models.register(replace(DELAY, model="fraud", key="run-1")).model == "fraud"


def test_threads_registering_at_once_leave_no_hole_and_no_double(registry: Registry) -> None:
    def register_25(_: int) -> list[int]:
        return [registry.models.register(DELAY).version for _ in range(25)]

    with ThreadPoolExecutor(8) as threads:
        numbers = [number for some in threads.map(register_25, range(8)) for number in some]

    assert sorted(numbers) == list(range(1, 201))
    assert [version.version for version in registry.models.versions("delay")] == list(range(1, 201))


def test_threads_registering_with_one_key_at_once_make_one_version(registry: Registry) -> None:
    with ThreadPoolExecutor(8) as threads:
        versions = list(threads.map(lambda _: registry.models.register(replace(DELAY, key="k")), range(16)))

    assert {version.version for version in versions} == {1}


def test_processes_registering_at_once_leave_no_hole_and_no_double(database_url: str) -> None:
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as processes:
        numbers = [number for some in processes.map(register_from_a_process, [database_url] * 4) for number in some]

    assert sorted(numbers) == list(range(1, 101))


def test_an_unknown_model_is_refused_with_the_nearest_name(registry: Registry) -> None:
    registry.models.register(DELAY)

    with pytest.raises(ModelNotFound, match="Did you mean 'delay'"):
        registry.models.versions("dleay")
    with pytest.raises(ModelNotFound):
        registry.models.version("dleay", 1)
    with pytest.raises(ModelNotFound):
        registry.aliases.aliases("dleay")


def test_an_unknown_version_is_refused_with_the_known_ones(registry: Registry) -> None:
    registry.models.register(DELAY)
    registry.models.register(DELAY)

    with pytest.raises(VersionNotFound, match="It has 2 versions, 1 to 2"):
        registry.models.version("delay", 3)


def test_an_alias_moves(registry: Registry) -> None:
    registry.models.register(DELAY)
    registry.models.register(DELAY)
    registry.aliases.move(champion(1))
    registry.aliases.move(champion(2))

    assert registry.aliases.aliases("delay") == (champion(2),)


def test_aliases_are_listed_by_name(registry: Registry) -> None:
    registry.models.register(DELAY)
    challenger = replace(champion(1), name="challenger")
    registry.aliases.move(champion(1))
    registry.aliases.move(challenger)

    assert registry.aliases.aliases("delay") == (challenger, champion(1))


def test_an_alias_can_not_point_at_a_version_that_is_not_there(registry: Registry) -> None:
    registry.models.register(DELAY)

    with pytest.raises(VersionNotFound):
        registry.aliases.move(champion(2))
    with pytest.raises(ModelNotFound):
        registry.aliases.move(champion(1, model="fraud"))
    assert registry.aliases.aliases("delay") == ()


def test_a_removed_alias_is_gone_and_its_version_stays(registry: Registry) -> None:
    registry.models.register(DELAY)
    registry.aliases.move(champion(1))
    registry.aliases.remove("delay", "champion")

    assert registry.aliases.aliases("delay") == ()
    assert registry.models.version("delay", 1).version == 1


def test_removing_an_alias_that_is_not_there_is_refused(registry: Registry) -> None:
    registry.models.register(DELAY)
    registry.aliases.move(champion(1))

    with pytest.raises(AliasNotFound, match="Did you mean 'champion'"):
        registry.aliases.remove("delay", "champoin")


def test_versions_are_found_by_the_datasets_they_were_trained_on(registry: Registry) -> None:
    first = registry.models.register(replace(DELAY, dataset="one"))
    registry.models.register(replace(DELAY, dataset="two"))
    third = registry.models.register(replace(DELAY, dataset="three", model="a"))

    many = ["one", "three", *(f"other-{number}" for number in range(2_000))]

    assert registry.models.trained_on(many) == (third, first)
    assert registry.models.trained_on([]) == ()


def test_the_feature_store_learns_which_models_use_a_dataset(registry: Registry) -> None:
    registry.models.register(replace(DELAY, dataset="one"))
    registry.models.register(replace(DELAY, dataset="one"))
    registry.models.register(replace(DELAY, dataset=None, no_dataset_reason="bought"))
    registry.aliases.move(champion(2))
    registry.aliases.move(replace(champion(2), name="best"))

    uses = registry.usage.users_of({"one"})

    assert uses == (DatasetUse("one", "model:delay@1"), DatasetUse("one", "model:delay@2", ("best", "champion")))


def test_registering_again_after_the_last_version_was_lost_does_not_reuse_its_number(database_url: str) -> None:
    from sqlalchemy import delete

    from registry.adapters.sql_tables import model_version

    with Database(database_url) as database:
        upgrade(database, REGISTRY_MIGRATIONS)
        models = SqlModels(database)
        models.register(DELAY)
        models.register(DELAY)
        with database.write("test") as connection:
            connection.execute(delete(model_version).where(model_version.c.version == 2))

        assert models.register(DELAY).version == 3


def register_from_a_process(url: str) -> list[int]:
    with Database(url) as database:
        upgrade(database, REGISTRY_MIGRATIONS)
        models = SqlModels(database)
        return [models.register(DELAY).version for _ in range(25)]
