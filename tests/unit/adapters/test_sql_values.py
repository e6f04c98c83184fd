"""Records as JSON text: what earlier versions wrote is read, and types are their text."""

from __future__ import annotations

import pytest

from featurestore.adapters.sql_values import from_json, to_json
from featurestore.errors import StoreCorrupted
from featurestore.graph.resolved import Column, Graph
from featurestore.ports.state import Manifest
from tests.contract.states import GRAPH, MANIFEST

# What GRAPH and MANIFEST were stored as before there were types with arguments.
OLD_GRAPH = (
    '{"entities":[],"on_demand":[],"services":[],"sources":[{"delay":"PT3600S","description":"",'
    '"event_timestamp":"landed_at","fields":[{"name":"dep_time","type":"int32"}],"known_at":null,'
    '"name":"flights","owner":"","path":"flights/*.parquet"}],"views":[{"delay":"PT3600S",'
    '"description":"","entity":"aircraft","every":"PT3600S","features":[{"description":"","dtype":'
    '"float64","edges":[{"column":{"column":"arr_delay","source":"flights"},"kind":"direct"}],'
    '"fingerprint":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","name":'
    '"late_7d","window":{"function":"mean","input":"late","window":"P7D"}}],"fingerprint":'
    '"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff","inputs":[{"dtype":"float64"'
    ',"functions":["mean","count"],"name":"late"}],"keys":[{"dtype":"string","name":"tailnum"}],'
    '"name":"delays","owner":"","publish_delay":"PT600S","query":'
    '"SELECT tailnum, \'\\u00e9\' AS x FROM flights","sources":[{"delay":"PT3600S","description":"",'
    '"event_timestamp":"landed_at","fields":[{"name":"dep_time","type":"int32"}],"known_at":null,'
    '"name":"flights","owner":"","path":"flights/*.parquet"}],"tags":["tier-1"],"ttl":null}]}'
)
OLD_MANIFEST = (
    '{"created_at":"2013-03-10T12:00:00.123457Z","features":{"on_demand":[],"outputs":[{"dtype":'
    '"float64","fingerprint":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",'
    '"name":"delays__late_7d","reference":"delays:late_7d"}],"service":"delay_v1","uses":[{'
    '"features":["late_7d"],"join_columns":["tailnum"],"name":"delays","view":"delays"}],"views":[{'
    '"delay":"PT3600S","description":"","entity":"aircraft","every":"PT3600S","features":[{'
    '"description":"","dtype":"float64","edges":[{"column":{"column":"arr_delay","source":"flights"}'
    ',"kind":"direct"}],"fingerprint":'
    '"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","name":"late_7d","window":{'
    '"function":"mean","input":"late","window":"P7D"}}],"fingerprint":'
    '"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff","inputs":[{"dtype":"float64"'
    ',"functions":["mean","count"],"name":"late"}],"keys":[{"dtype":"string","name":"tailnum"}],'
    '"name":"delays","owner":"","publish_delay":"PT600S","query":'
    '"SELECT tailnum, \'\\u00e9\' AS x FROM flights","sources":[{"delay":"PT3600S","description":"",'
    '"event_timestamp":"landed_at","fields":[{"name":"dep_time","type":"int32"}],"known_at":null,'
    '"name":"flights","owner":"","path":"flights/*.parquet"}],"tags":["tier-1"],"ttl":null}]},'
    '"first":"2013-03-10T12:00:00.123457Z","id":'
    '"abcdef0000000000000000000000000000000000000000000000000000000000","label":"late","last":null,'
    '"libraries":[["duckdb","2.0.0"]],"profile":[{"dtype":"float64","maximum":1e+300,"mean":0.300000'
    '00000000004,"minimum":-0.0,"name":"delays__late_7d","nulls":2}],"result":'
    '"6666666666666666666666666666666666666666666666666666666666666666","result_size":1099511627776,'
    '"rows":10,"spine":"5555555555555555555555555555555555555555555555555555555555555555",'
    '"spine_kept":true,"tables":[{"answers_until":"2013-03-10T12:00:00.123457Z","fingerprint":'
    '"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff","source_versions":[['
    '"flights","9"]],"table":"delays@ffffffff","version":3,"view":"delays"}],"timestamp":"at",'
    '"warnings":[]}'
)


def test_what_earlier_versions_stored_is_still_read() -> None:
    assert from_json(OLD_GRAPH, Graph) == GRAPH
    assert from_json(OLD_MANIFEST, Manifest) == MANIFEST


def test_scalars_are_stored_as_they_were_before() -> None:
    assert '"keys":[{"dtype":"string","name":"tailnum"}]' in to_json(GRAPH)
    assert '"outputs":[{"dtype":"float64",' in to_json(MANIFEST)


@pytest.mark.parametrize("text", ['"int65"', '"decimal(50, 1)"', "7", '{"kind": "int64"}'])
def test_a_type_that_this_version_does_not_know_is_said_to_be_unreadable(text: str) -> None:
    with pytest.raises(StoreCorrupted, match="holds a record that can not be read"):
        from_json(f'{{"name": "x", "dtype": {text}}}', Column)
