"""Feature views: a set of features with the same keys, computed together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from featurestore.errors import InvalidDeclaration, UnknownName
from featurestore.spec.aggregate import Aggregate, Feature
from featurestore.spec.entity import Entity
from featurestore.spec.names import check_list, check_name, check_sql, declaration_site, parse_duration, show_duration
from featurestore.spec.source import Source


@dataclass(frozen=True, slots=True, init=False)
class FeatureView:
    """Features that share an entity, a query and a rhythm.

    Rows come from one `source`, or from `sql`, a SELECT over sources and row-level views by their names that yields the
    join keys, `event_timestamp`, optionally `known_at`, and the features' columns. A view that is read offers its keys,
    `event_timestamp`, `known_at` (with its publish delay) and features. With aggregates the view is *windowed*: its
    values change at multiples of `every` since the Unix epoch. Without them each row is a value of its own, valid until
    the next one or, with `ttl`, until it is that old. `publish_delay` is how long after a value is known it is online.
    A view without an entity has one row for all.

    `lateness` is how long after they were known rows still come to the source. Days that were younger than that when
    they were filled are filled again when rows have come since; later rows are counted and told, and left out until a
    backfill is told to recompute. Without it, whatever comes is taken in, however late.
    """

    name: str
    entity: Entity | None
    source: Source | None
    sql: str | None
    features: tuple[Feature | Aggregate, ...]
    every: timedelta | None
    ttl: timedelta | None
    publish_delay: timedelta
    lateness: timedelta | None
    description: str
    owner: str
    tags: tuple[str, ...]
    declared_at: str = field(compare=False, repr=False)

    def __init__(
        self,
        name: str,
        *,
        entity: Entity | None = None,
        source: Source | None = None,
        sql: str | None = None,
        features: Sequence[Feature | Aggregate | str] = (),
        every: str | timedelta | None = None,
        ttl: str | timedelta | None = None,
        publish_delay: str | timedelta = timedelta(0),
        lateness: str | timedelta | None = None,
        description: str = "",
        owner: str = "",
        tags: Sequence[str] = (),
    ) -> None:
        site = declaration_site()
        check_name("feature view", name)
        listed = check_list(f"features of view '{name}'", features)
        members = tuple(Feature(feature) if isinstance(feature, str) else feature for feature in listed)
        hop = None if every is None else parse_duration(f"every of view '{name}'", every)
        life = None if ttl is None else parse_duration(f"ttl of view '{name}'", ttl)
        late = None if lateness is None else parse_duration(f"lateness of view '{name}'", lateness)
        _check_shape(f"{site}: view '{name}'", entity, source, sql, members)
        _check_rhythm(f"{site}: view '{name}'", members, hop, life)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "entity", entity)
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "sql", None if sql is None else check_sql(f"sql of view '{name}'", sql))
        object.__setattr__(self, "features", members)
        object.__setattr__(self, "every", hop)
        object.__setattr__(self, "ttl", life)
        object.__setattr__(self, "publish_delay", parse_duration(f"publish_delay of view '{name}'", publish_delay))
        object.__setattr__(self, "lateness", late)
        object.__setattr__(self, "description", description)
        object.__setattr__(self, "owner", owner)
        object.__setattr__(self, "tags", check_list(f"tags of view '{name}'", tags))
        object.__setattr__(self, "declared_at", site)

    @property
    def is_windowed(self) -> bool:
        return any(isinstance(feature, Aggregate) for feature in self.features)

    def __getitem__(self, feature: str | tuple[str, ...]) -> ViewSelection:
        """Some of this view's features: `view["a"]`, `view["a", "b"]`."""
        return ViewSelection(self, features=(feature,) if isinstance(feature, str) else tuple(feature))

    def role(self, prefix: str, **join_keys: str) -> ViewSelection:
        """This view under other join keys: `weather.role("dest", origin="dest")` joins `origin` on the column `dest`.

        Its features are then called `dest_weather:…`.
        """
        return ViewSelection(self, prefix=prefix, join_keys=tuple(join_keys.items()))


@dataclass(frozen=True, slots=True, init=False)
class ViewSelection:
    """A view in a role, or some of its features, or both."""

    view: FeatureView
    features: tuple[str, ...] | None
    prefix: str | None
    join_keys: tuple[tuple[str, str], ...]
    declared_at: str = field(compare=False, repr=False)

    def __init__(
        self,
        view: FeatureView,
        *,
        features: tuple[str, ...] | None = None,
        prefix: str | None = None,
        join_keys: tuple[tuple[str, str], ...] = (),
    ) -> None:
        site = declaration_site()
        known_keys = [key for key, _ in view.entity.join_keys] if view.entity else []
        for key, column in join_keys:
            if key not in known_keys:
                raise UnknownName(f"join key of view '{view.name}' ({site})", key, known_keys)
            check_name("join key", column)
        object.__setattr__(self, "view", view)
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "prefix", None if prefix is None else check_name("role", prefix))
        object.__setattr__(self, "join_keys", join_keys)
        object.__setattr__(self, "declared_at", site)

    @property
    def name(self) -> str:
        """What the view is called here: its own name, or `{role}_{view}`."""
        return self.view.name if self.prefix is None else f"{self.prefix}_{self.view.name}"

    def __getitem__(self, feature: str | tuple[str, ...]) -> ViewSelection:
        chosen = (feature,) if isinstance(feature, str) else tuple(feature)
        return ViewSelection(self.view, features=chosen, prefix=self.prefix, join_keys=self.join_keys)


def _check_shape(
    where: str,
    entity: object,
    source: object,
    sql: object,
    features: tuple[Feature | Aggregate, ...],
) -> None:
    if entity is not None and not isinstance(entity, Entity):
        raise InvalidDeclaration(f"{where}: entity is an Entity or None, got {entity!r}")
    if (source is None) == (sql is None):
        raise InvalidDeclaration(f"{where} needs either source= or sql=")
    if source is not None and not isinstance(source, Source):
        raise InvalidDeclaration(f"{where}: source is a source object, got {source!r}")
    if sql is None and not features:
        raise InvalidDeclaration(f"{where} has no features")
    if wrong := [feature for feature in features if not isinstance(feature, Feature | Aggregate)]:
        raise InvalidDeclaration(f"{where}: features are Feature, Aggregate or column names, got {wrong[0]!r}")


def _check_rhythm(
    where: str, features: tuple[Feature | Aggregate, ...], every: timedelta | None, ttl: timedelta | None
) -> None:
    aggregates = [feature for feature in features if isinstance(feature, Aggregate)]
    if not aggregates:
        if every is not None:
            raise InvalidDeclaration(f"{where}: every= is the hop of aggregates, and this view has none")
        if ttl == timedelta(0):
            raise InvalidDeclaration(f"{where}: a ttl is longer than zero")
        return
    if len(aggregates) != len(features):
        raise InvalidDeclaration(f"{where} mixes aggregates and plain columns: make two views")
    if every is None or not timedelta(minutes=1) <= every <= timedelta(days=1) or timedelta(days=1) % every:
        given = "" if every is None else f", and '{show_duration(every)}' is not"
        raise InvalidDeclaration(
            f"{where} has aggregates and needs every=, from '1m' to '1d', a whole part of a day{given}"
        )
    if ttl is not None:
        raise InvalidDeclaration(f"{where} has aggregates and takes no ttl: windows expire values by themselves")
    for aggregate in aggregates:
        for window in aggregate.windows:
            if window is not None and window % every:
                raise InvalidDeclaration(
                    f"{where}: window {show_duration(window)} of '{aggregate.name}' is not a multiple of "
                    f"{show_duration(every)}"
                )
