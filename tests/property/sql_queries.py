"""Random SQL over random tables, of the kinds that an engine expands and that columns are followed through.

Every query gives the same rows whatever the order of those of its tables: where some are picked, all columns decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.property.sql_tables import Columns, Source, Tables, quoted


@dataclass
class Writer:
    """Writes queries. What it has written in WITH is in `ctes`."""

    random: Random
    tables: Tables
    ctes: list[str] = field(default_factory=list)
    known: dict[str, Columns] = field(default_factory=dict)
    used: int = 0

    def view(self) -> str:
        """SQL of a view with the key `id`, an event timestamp, and some columns of a random query as features."""
        text, columns = self.query(2)
        offered = columns.of("int", "text", "list")
        kept = self.random.sample(offered, min(len(offered), self.random.randint(1, 3))) or ["1 AS one"]
        features = ", ".join(kept) if kept == ["1 AS one"] else ", ".join(map(quoted, kept))
        body = f"SELECT id, seen AS event_timestamp, {features} FROM ({text}) AS outermost"
        recursive = "RECURSIVE " if any("/* itself */" in cte for cte in self.ctes) else ""
        return f"WITH {recursive}{', '.join(self.ctes)} {body}" if self.ctes else body

    def query(self, depth: int) -> tuple[str, Columns]:
        """A query of `id`, `seen` and other columns."""
        if depth <= 0:
            return self._select(0)
        kinds: list[Callable[[int], tuple[str, Columns]]] = [
            *[self._select] * 6, self._grouped, self._grouped, self._set_operation, self._set_operation,
            self._picked, self._pivot, self._unpivot,
        ]  # fmt: skip
        return self.random.choice(kinds)(depth)

    def _fresh(self, base: str) -> str:
        self.used += 1
        return f"{base}{self.used}"

    def _one_of(self, *texts: str) -> str:
        return self.random.choice(texts)

    # -- in FROM

    def _source(self, depth: int) -> tuple[str, Source]:
        choice = self.random.random()
        if self.known and choice < 0.25:
            name = self.random.choice(list(self.known))
            alias = self._fresh("k")
            return f"{name} AS {alias}", Source(alias, self.known[name])
        if depth > 0 and choice < 0.5:
            text, columns = self.query(depth - 1)
            alias = self._fresh("q")
            return f"({text}) AS {alias}", Source(alias, columns)
        if depth > 0 and choice < 0.65:
            name, columns = self._cte(depth)
            alias = self._one_of(name, self._fresh("k"))
            return f"{name} AS {alias}" if alias != name else name, Source(alias, columns)
        name = self._one_of("ev", "rates")
        alias = self._one_of(name, self._fresh("t"))
        if alias in self.tables.columns[name].kinds:
            alias = self._fresh("t")
        return f"{name} AS {alias}" if alias != name else name, Source(alias, self.tables.columns[name])

    def _cte(self, depth: int) -> tuple[str, Columns]:
        name = self._fresh("c")
        if self.random.random() < 0.15:
            text, columns = self._recursive(name)
        else:
            text, columns = self.query(depth - 1)
        self.ctes.append(f"{name} AS ({text})")
        self.known[name] = columns
        return name, columns

    def _recursive(self, name: str) -> tuple[str, Columns]:
        table = self._one_of("ev", "rates")
        number = self._int(Source(table, self.tables.columns[table]))
        other = self._int(Source(table, self.tables.columns[table]))
        step = self._one_of("m + 1", "n + 1")
        again = f"SELECT id, seen, {step}, n FROM {name} WHERE m < 3 AND coalesce(n, 9) < 9"
        return (
            f"SELECT id, seen, {number} AS m, {other} AS n FROM {table} UNION {again} /* itself */",
            Columns({"m": "int", "n": "int"}),
        )

    def _sources(self, depth: int) -> tuple[str, list[Source]]:
        text, first = self._source(depth)
        sources = [first]
        for _ in range(self.random.choice((0, 0, 1, 1, 2))):
            joined, more = self._joined(depth, sources)
            text = f"{text} {joined}"
            sources += more
        return text, sources

    def _joined(self, depth: int, sources: list[Source]) -> tuple[str, list[Source]]:
        kind = self.random.randint(0, 10)
        if kind <= 2:
            return self._items(sources)
        if kind <= 5:
            return self._for_each_row(sources)
        text, other = self._source(depth - 1)
        if any(other.alias == source.alias for source in sources):
            return "", []
        joined = self._joined_by_name(kind, sources[0], (text, other)) if len(sources) == 1 else None
        if joined is not None:
            return joined
        condition = f"{sources[0].alias}.id = {other.alias}.id"
        left, right = self._of(sources[0], "int"), self._of(other, "int")
        if left and right and self.random.random() < 0.5:
            condition += f" AND {self.random.choice(left)} <= {self.random.choice(right)}"
        return f"{self._one_of('JOIN', 'LEFT JOIN')} {text} ON {condition}", [other]

    def _joined_by_name(self, kind: int, first: Source, joined: tuple[str, Source]) -> tuple[str, list[Source]] | None:
        text, other = joined
        if kind == 6:
            return f"{self._one_of('SEMI', 'ANTI')} JOIN {text} USING (id)", []
        if kind == 7 and self._of(first, "int"):
            # What an as-of join finds must not depend on the order of rows: one row for each key and moment.
            alias, value = self._fresh("o"), self._int(other)
            one = f"(SELECT id, seen, max({value}) AS last FROM {text} GROUP BY id, seen) AS {alias}"
            word = self._one_of("ASOF JOIN", "ASOF LEFT JOIN")
            return f"{word} {one} USING (id, seen)", [Source(alias, Columns({"last": "int"}))]
        if kind == 8:
            return f"{self._one_of('JOIN', 'LEFT JOIN')} {text} USING (id)", [other]
        return None

    def _items(self, sources: list[Source]) -> tuple[str, list[Source]]:
        """Several rows for each row."""
        alias = self._fresh("u")
        if lists := [(source.alias, name) for source in sources for name in source.columns.of("list")]:
            where, name = self.random.choice(lists)
            item = self._one_of("a", "item", "g")
            word = self._one_of(", ", ", LATERAL ", " CROSS JOIN ")
            made = Source(alias, Columns({item: "int"}), has_id=False)
            return f"{word}unnest({where}.{quoted(name)}) AS {alias}({item})", [made]
        made = Source(alias, Columns({"a": "int", "g": "text"}), has_id=False)
        return f", (VALUES (1, 'x'), (2, 'y')) AS {alias}(a, g)", [made]

    def _for_each_row(self, sources: list[Source]) -> tuple[str, list[Source]]:
        """A subquery that reads columns of what stands before it."""
        alias = self._fresh("y")
        text, inner = self._source(0)
        if inner.alias in (source.alias for source in sources):
            return "", []
        number, outer = self._int(inner), self._int(self.random.choice(sources))
        made, kind = self.random.choice(
            (("count(*)", "int"), (f"max({inner.alias})::VARCHAR", "text"), (f"sum({number} + 1)::BIGINT", "int"))
        )
        word = self._one_of(", LATERAL", ",", " LEFT JOIN LATERAL", " LEFT JOIN")
        where = f"{inner.alias}.id = {sources[0].alias}.id{self._one_of('', f' AND {number} >= {outer}')}"
        query = f"SELECT max({number}) AS a, {made} AS m FROM {text} WHERE {where}"
        on = " ON true" if "JOIN" in word else ""
        return f"{word} ({query}) AS {alias}{on}", [Source(alias, Columns({"a": "int", "m": kind}), has_id=False)]

    # -- values

    def _of(self, source: Source, *kinds: str) -> list[str]:
        return [f"{source.alias}.{quoted(name)}" for name in source.columns.of(*kinds)]

    def _int(self, source: Source) -> str:
        """A number made of the source's columns."""
        found = self._of(source, "int") + [f"len({text})" for text in self._of(source, "text", "list")]
        for struct in self._of(source, "struct"):
            found += [f"{struct}.a", f"{struct}.deep.b", f"{struct}['a']", f"len({struct}.deep.g)"]
        if source.has_id:
            found.append(f"{source.alias}.id")
        return self.random.choice(found)

    def _bare(self, sources: list[Source]) -> list[str]:
        """Columns of numbers that need no table's name: no other source, nor a table, has one of that name."""
        names = [name.lower() for source in sources for name in source.columns.kinds]
        taken = {source.alias for source in sources} | {"ev", "rates"}
        return [
            name
            for source in sources
            for name in source.columns.of("int")
            if names.count(name.lower()) == 1 and name not in taken
        ]

    def _value(self, sources: list[Source], aliases: dict[str, str]) -> tuple[str, str]:
        """A value over the sources, and its kind."""
        source = self.random.choice(sources)
        number, other = self._int(source), self._int(self.random.choice(sources))
        choices = [
            (number, "int"), (f"{number} + {other}", "int"), (f"CASE WHEN {other} > 1 THEN {number} END", "int"),
            (f"coalesce({number}, {other}, 7)", "int"), (f"greatest({number}, {other})", "int"),
            (f"CAST({number} AS VARCHAR)", "text"), (f"to_json({source.alias})::VARCHAR", "text"),
            (f"hash({source.alias})::VARCHAR", "text"), (f"{source.alias}::VARCHAR", "text"),
            (f"max({number}) OVER (PARTITION BY {other})", "int"),
            (f"sum({number}) OVER (PARTITION BY {other} ORDER BY {number})::BIGINT", "int"),
            (f"rank() OVER (ORDER BY {number}, {other})", "int"), (f"max({number}) OVER w", "int"),
            (f"count({number}) OVER (w ORDER BY {other})", "int"), (f"count({source.alias}) OVER w", "int"),
            (self._scalar(source), "int"),
        ]  # fmt: skip
        choices += [(bare, "int") for bare in self._bare(sources)]
        choices += [(f"{name} + 1", "int") for name, kind in aliases.items() if kind == "int"]
        for text in self._of(source, "list"):
            choices += [
                (text, "list"), (f"[x + {number} for x in {text} if x > 0]", "list"),
                (f"list_transform({text}, lambda x: x + {other})", "list"), (f"list_sum({text})::BIGINT", "int"),
                (f"len(list_filter({text}, lambda a: a > {number}))", "int"),
            ]  # fmt: skip
        choices += [(text, "text") for text in self._of(source, "text")]
        choices += [(text, "struct") for text in self._of(source, "struct")]
        return self.random.choice(choices)

    def _scalar(self, source: Source) -> str:
        text, inner = self._source(0)
        if inner.alias == source.alias:
            return "3"
        made = f"max({self._int(inner)})"
        condition = (
            f"{inner.alias}.id = {source.alias}.id" if source.has_id else f"{self._int(inner)} < {self._int(source)}"
        )
        return f"(SELECT {made} FROM {text} WHERE {condition})"

    def _condition(self, sources: list[Source], aliases: dict[str, str]) -> str:
        source = self.random.choice(sources)
        number = self._int(source)
        text, inner = self._source(0)
        choices = [f"{number} > 0", f"{number} IS NOT NULL", f"{number} + {self._int(self.random.choice(sources))} < 5"]
        choices += [f"{name} >= 1" for name, kind in aliases.items() if kind == "int"]
        if all(inner.alias != one.alias for one in sources):
            choices += [
                f"EXISTS (SELECT 1 FROM {text} WHERE {self._int(inner)} = {number})",
                f"{number} IN (SELECT {self._int(inner)} FROM {text})",
                f"NOT EXISTS (FROM {text} WHERE {self._int(inner)} > {number})",
            ]
        return self.random.choice(choices)

    # -- queries

    def _select(self, depth: int) -> tuple[str, Columns]:
        text, sources = self._sources(depth)
        first = sources[0]
        if len(sources) == 1 and self.random.random() < 0.3:
            return self._starred(text, first)
        items: list[str] = []
        kinds: dict[str, str] = {}
        for _ in range(self.random.randint(1, 4)):
            value, kind = self._value(sources, kinds)
            alias = self._fresh("v") if self.random.random() < 0.8 else self._one_of("a", "g", "m")
            if alias in kinds or any(alias in map(str.lower, source.columns.kinds) for source in sources):
                alias = self._fresh("v")
            items.append(f"{value} AS {alias}")
            kinds[alias] = kind
        plain = {name: kind for name, kind in kinds.items() if kind != "struct"}
        clauses = ""
        if self.random.random() < 0.5:
            inner = {n: k for n, k in plain.items() if "OVER" not in items[list(kinds).index(n)]}
            clauses += f" WHERE {self._condition(sources, inner)}"
        if any("OVER w" in item or "OVER (w" in item for item in items):
            clauses += f" WINDOW w AS (PARTITION BY {self._int(self.random.choice(sources))})"
        if self.random.random() < 0.15:
            clauses += f" QUALIFY rank() OVER (ORDER BY {self._int(first)}, {self._int(first)}) <= 4"
        listed = f"{first.alias}.id, {first.alias}.seen, {', '.join(items)}"
        distinct = "DISTINCT " if self.random.random() < 0.1 else ""
        if self.random.random() < 0.1:
            return f"FROM {text} SELECT {distinct}{listed}{clauses}", Columns(kinds)
        return f"SELECT {distinct}{listed} FROM {text}{clauses}", Columns(kinds)

    def _starred(self, text: str, source: Source) -> tuple[str, Columns]:
        """A query whose columns are not named one by one."""
        kinds = source.columns.kinds
        numbers = source.columns.of("int")
        head = f"{source.alias}.id, {source.alias}.seen"
        if not numbers:
            return f"SELECT * FROM {text}", source.columns
        one = self.random.choice(numbers)
        some = self.random.sample(numbers, self.random.randint(1, len(numbers)))
        pattern = f"'^({'|'.join(some)})$'"
        less = {name: kind for name, kind in kinds.items() if name != one}
        matched = {name: kind for name, kind in kinds.items() if one[0] in name and kind in ("int", "text")}
        unmatched = {name: kind for name, kind in kinds.items() if one[0] not in name}
        choices = [
            (f"SELECT * FROM {text}", kinds),
            (f"SELECT * EXCLUDE ({quoted(one)}) FROM {text}", less),
            (f"SELECT * REPLACE ({quoted(one)} + 1 AS {quoted(one)}) FROM {text}", kinds),
            (f"SELECT * RENAME ({quoted(one)} AS renamed) FROM {text}", {**less, "renamed": "int"}),
            (f"SELECT {head}, COLUMNS({pattern}) FROM {text}", dict.fromkeys(some, "int")),
            (f"SELECT {head}, COLUMNS({pattern}) + 1 FROM {text}", dict.fromkeys(some, "int")),
            (
                f"SELECT {head}, max(COLUMNS({pattern})) OVER (PARTITION BY {quoted(one)}) FROM {text}",
                dict.fromkeys(some, "int"),
            ),
            (f"SELECT {head}, greatest(*COLUMNS({pattern})) AS top FROM {text}", {"top": "int"}),
            (f"SELECT {head}, list_sum([*COLUMNS({pattern}), 1])::BIGINT AS top FROM {text}", {"top": "int"}),
            (f"SELECT {head}, coalesce(UNPACK(COLUMNS({pattern})), 5) AS top FROM {text}", {"top": "int"}),
            (f"SELECT COLUMNS(* EXCLUDE ({quoted(one)})) FROM {text}", less),
            (f"SELECT COLUMNS({source.alias}.*) FROM {text}", kinds),
        ]  # fmt: skip
        if matched and not any("%" in name for name in kinds):
            like = f"{head}, {source.alias}.* LIKE '%{one[0]}%'"
            extra = [name for name in ("id", "seen") if one[0] in name]
            if not extra:
                choices.append((f"SELECT {like} FROM {text}", {name: kinds[name] for name in kinds if one[0] in name}))
        if unmatched and one[0] not in "idsen":
            choices.append((f"SELECT * NOT LIKE '%{one[0]}%' FROM {text}", unmatched))
        chosen, found = self.random.choice(choices)
        return chosen, Columns(found)

    def _grouped(self, depth: int) -> tuple[str, Columns]:
        text, sources = self._sources(depth)
        first = sources[0]
        number, other = self._int(self.random.choice(sources)), self._int(self.random.choice(sources))
        made = self._one_of(
            f"max({number})", f"sum({number})::BIGINT", f"count(DISTINCT {number})", f"count({first.alias})",
            f"sum({number}) FILTER (WHERE {other} > 0)::BIGINT", f"max({number} + {other})", "count(*)",
        )  # fmt: skip
        head = f"SELECT {first.alias}.id, max({first.alias}.seen) AS seen, "
        having = f" HAVING count({other}) > 0" if self.random.random() < 0.3 else ""
        two, key = Columns({"k": "int", "m": "int"}), f"{first.alias}.id"
        listed = f"{head}{other} AS k, {made} AS m FROM {text}"
        match self.random.randint(0, 4):
            case 0:
                return f"{head}{made} AS m FROM {text} GROUP BY {key}{having}", Columns({"m": "int"})
            case 1:
                return f"{listed} GROUP BY ALL{having}", two
            case 2:
                return f"{listed} GROUP BY 1, 3{having}", two
            case 3:
                return f"{head}5 AS b, {made} AS a FROM {text} GROUP BY 1, 3{having}", Columns({"b": "int", "a": "int"})
            case _:
                sets = self._one_of("ROLLUP (k)", "GROUPING SETS ((k), ())", "CUBE (k)")
                return f"{listed} GROUP BY {key}, {sets}{having}", two

    def _set_operation(self, depth: int) -> tuple[str, Columns]:
        (left, first), (right, second) = self.query(depth - 1), self.query(depth - 1)
        if self.random.random() < 0.5:
            word = self._one_of("UNION ALL BY NAME", "UNION BY NAME")
            both = {n for n in first.kinds if n.lower() in map(str.lower, second.kinds)}
            if all({k.lower(): v for k, v in second.kinds.items()}[n.lower()] == first.kinds[n] for n in both):
                more = {n: k for n, k in second.kinds.items() if n.lower() not in map(str.lower, first.kinds)}
                if "struct" not in {**first.kinds, **more}.values() or word == "UNION ALL BY NAME":
                    return self._ordered(f"({left}) {word} ({right})", Columns({**first.kinds, **more}))
        names = first.of("int")[:2], second.of("int")[:2]
        width = min(map(len, names))
        if width == 0:
            return left, first
        sides = [
            f"SELECT id, seen, {', '.join(map(quoted, listed[:width]))} FROM ({text}) AS {self._fresh('z')}"
            for text, listed in ((left, names[0]), (right, names[1]))
        ]
        word = self._one_of("UNION ALL", "UNION", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL")
        return self._ordered(f" {word} ".join(sides), Columns(dict.fromkeys(names[0][:width], "int")))

    def _ordered(self, text: str, columns: Columns) -> tuple[str, Columns]:
        """A set operation, or its first rows in an order of all its columns."""
        match self.random.randint(0, 3):
            case 0:
                return f"{text} ORDER BY ALL LIMIT 5", columns
            case 1:
                names = ["seen", *map(quoted, columns.kinds), "id"]
                return f"{text} ORDER BY {', '.join(names)} LIMIT 5", columns
            case _:
                return text, columns

    def _picked(self, depth: int) -> tuple[str, Columns]:
        """Some rows of a query, by an order of all its columns."""
        text, columns = self.query(depth - 1)
        names = ["id", *map(quoted, columns.kinds), "seen DESC"]
        numbers = columns.of("int")
        match self.random.randint(0, 3):
            case 0 if numbers:
                one = quoted(self.random.choice(numbers))
                return f"SELECT DISTINCT ON ({one}) * FROM ({text}) AS d ORDER BY {one}, {', '.join(names)}", columns
            case 1:
                return f"SELECT * FROM ({text}) AS d ORDER BY ALL LIMIT 4", columns
            case 2:
                return f"(({text}) ORDER BY {', '.join(names)} LIMIT 4)", columns
            case _:
                return f"SELECT * FROM ({text}) AS d ORDER BY {', '.join(names)} LIMIT 4 OFFSET 1", columns

    def _pivot(self, depth: int) -> tuple[str, Columns]:
        text, source = self._source(depth)
        number, other = self._int(source), self._int(source)
        inner = f"(SELECT {source.alias}.id, {source.alias}.seen, {other} AS k, {number} AS n FROM {text})"
        return f"SELECT * FROM {inner} PIVOT (max(n) FOR k IN (1 AS one, 2 AS two))", Columns(
            {"one": "int", "two": "int"}
        )

    def _unpivot(self, depth: int) -> tuple[str, Columns]:
        text, source = self._source(depth)
        numbers = [name for name in source.columns.of("int") if name == name.lower()]
        if len(numbers) < 2 or (" AS " in text and text.startswith("(")):
            return self._select(depth)
        listed = ", ".join(map(quoted, numbers[:2]))
        kept = ", ".join(["id", "seen", *map(quoted, numbers)])
        inner = f"(SELECT {kept} FROM {text}) AS {self._fresh('q')}"
        left = dict.fromkeys(numbers[2:], "int")
        return f"SELECT * FROM {inner} UNPIVOT (x FOR n IN ({listed}))", Columns({**left, "n": "text", "x": "int"})
