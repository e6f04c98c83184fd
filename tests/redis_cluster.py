"""Starts a real Redis Cluster for tests: three masters, each with a replica, on free loopback ports."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from tests.certificates import Certificates
from tests.redis_server import RedisServer, free_port, start_redis, wait_until_it_answers

_SLOTS = 16_384
_MASTERS = 3
_WAIT_SECONDS = 30.0
_NODE_TIMEOUT_MS = 1_000  # how long a master must be silent before its replica takes over


@dataclass(frozen=True, slots=True)
class RedisCluster:
    """A running cluster. Who is a master changes with failovers: ask each time."""

    nodes: tuple[RedisServer, ...]

    @property
    def url(self) -> str:
        """Two of the nodes: a client finds the others."""
        scheme = "redis" if self.nodes[0].certificates is None else "rediss"
        return f"{scheme}+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])

    def masters(self) -> list[RedisServer]:
        """The living masters that serve slots."""
        return [node for node in self.nodes if _is_alive(node) and _role(node) == "master"]

    def replica_of(self, master: RedisServer) -> RedisServer:
        for node in self.nodes:
            if _is_alive(node) and _replication(node).get("master_port") == master.port:
                return node
        pytest.fail(f"The master at port {master.port} has no replica.")

    def master_of(self, key: bytes) -> RedisServer:
        """Who serves the slot of `key`."""
        slot = key_slot(key)
        for first, last, master, *_ in _slots(self.masters()[0]):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == master[1])
        pytest.fail(f"Slot {slot} is not served.")

    def flush(self) -> None:
        for master in self.masters():
            _ask(master, "FLUSHALL")

    @contextmanager
    def moving_slot(self, key: bytes) -> Iterator[None]:
        """The slot of `key` is on its way to another master, which already has the key, and stays where it was."""
        slot, source = key_slot(key), self.master_of(key)
        target = next(master for master in self.masters() if master.port != source.port)
        _ask(target, "CLUSTER SETSLOT", slot, "IMPORTING", _ask(source, "CLUSTER MYID").decode())
        _ask(source, "CLUSTER SETSLOT", slot, "MIGRATING", _ask(target, "CLUSTER MYID").decode())
        try:
            _ask(source, "MIGRATE", "127.0.0.1", target.port, key, 0, 5_000)
            yield
        finally:
            _ask(source, "CLUSTER SETSLOT", slot, "STABLE")
            _ask(target, "CLUSTER SETSLOT", slot, "STABLE")

    def fail_over(self, master: RedisServer) -> RedisServer:
        """Have the master's replica take over in good order; both live on. Returns the new master."""
        replica = self.replica_of(master)
        _ask(replica, "CLUSTER FAILOVER")
        _wait("the old master to follow", lambda: _role(master) == "slave")
        self.wait_until_master(replica)
        return replica

    def kill(self, master: RedisServer) -> RedisServer:
        """Kill a master; returns the replica that will take over, without waiting for it."""
        replica = self.replica_of(master)
        master.kill()
        return replica

    def wait_until_given_up(self, node: RedisServer) -> None:
        """The others take the node for gone."""
        others = [other for other in self.nodes if other.port != node.port and _is_alive(other)]
        _wait("the node to be given up", lambda: not any(node.port in _ports(other) for other in others))

    def wait_until_master(self, node: RedisServer) -> None:
        """The node has taken over, and all living nodes know."""
        _wait("the replica to take over", lambda: _role(node) == "master")
        self.wait_until_whole(replicas=False)

    def wait_until_whole(self, *, replicas: bool) -> None:
        """All living nodes agree that every slot is served, and optionally every replica has its master's rows."""
        living = [node for node in self.nodes if _is_alive(node)]
        _wait("all nodes to agree on the slots", lambda: all(_is_whole(node) for node in living))
        _wait("all nodes to see the same masters", lambda: len({_map(node) for node in living}) == 1)
        if replicas:
            _wait("the replicas' first sync", lambda: all(_is_synced(node) for node in living))


@contextmanager
def running_cluster(*options: str, certificates: Certificates | None = None) -> Iterator[RedisCluster]:
    """A cluster of six nodes with these command-line options, whole and in sync when the block begins."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="knownat-cluster-")))
        nodes = []
        for number in range(2 * _MASTERS):
            place = folder / str(number)
            place.mkdir()
            nodes.append(start_redis(place, *_cluster_options(certificates), *options, certificates=certificates))
            stack.callback(nodes[-1].kill)
        for node in nodes:
            wait_until_it_answers(node)
        cluster = RedisCluster(tuple(nodes))
        _join(nodes)
        cluster.wait_until_whole(replicas=True)
        yield cluster


def _cluster_options(certificates: Certificates | None) -> list[str]:
    options = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
    options += ["--cluster-node-timeout", str(_NODE_TIMEOUT_MS), "--repl-diskless-sync-delay", "0"]
    options += ["--cluster-replica-validity-factor", "0"]
    return options if certificates is None else [*options, "--tls-cluster", "yes", "--tls-replication", "yes"]


def _join(nodes: Sequence[RedisServer]) -> None:
    """Give the masters their slots, let all nodes meet, and give each master its replica."""
    share = -(-_SLOTS // _MASTERS)
    for number, node in enumerate(nodes[:_MASTERS]):
        last = min((number + 1) * share, _SLOTS) - 1
        _ask(node, "CLUSTER ADDSLOTSRANGE", number * share, last)
        _ask(node, "CLUSTER SET-CONFIG-EPOCH", number + 1)
    for node in nodes[1:]:
        bus = int(_ask(node, "CONFIG GET", "cluster-port")[1])
        _ask(nodes[0], "CLUSTER MEET", "127.0.0.1", node.port, bus)
    _wait("all nodes to meet", lambda: all(_knows_all(node, len(nodes)) for node in nodes))
    for master, replica in zip(nodes[:_MASTERS], nodes[_MASTERS:], strict=True):
        _ask(replica, "CLUSTER REPLICATE", _ask(master, "CLUSTER MYID").decode())


def _ask(node: RedisServer, *command: Any) -> Any:
    with node.client() as client:
        client.response_callbacks.clear()  # answers as they come
        return client.execute_command(*command)  # type: ignore[no-untyped-call] # redis-py's own gap


def _slots(node: RedisServer) -> list[Any]:
    answer: list[Any] = _ask(node, "CLUSTER SLOTS")
    return answer


def _ports(node: RedisServer) -> set[int]:
    """Who serves slots, as this node sees it: masters, and replicas that are there."""
    return {served[1] for _, _, *nodes in _slots(node) for served in nodes}


def _map(node: RedisServer) -> tuple[tuple[int, int, int], ...]:
    return tuple(sorted((first, last, master[1]) for first, last, master, *_ in _slots(node)))


def _info(node: RedisServer) -> dict[str, str]:
    lines = _ask(node, "CLUSTER INFO").decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _knows_all(node: RedisServer, count: int) -> bool:
    return int(_info(node)["cluster_known_nodes"]) == count and b"handshake" not in _ask(node, "CLUSTER NODES")


def _is_whole(node: RedisServer) -> bool:
    info = _info(node)
    return info["cluster_state"] == "ok" and int(info["cluster_slots_ok"]) == _SLOTS


def _replication(node: RedisServer) -> dict[str, Any]:
    with node.client() as client:
        return dict(client.info("replication"))


def _role(node: RedisServer) -> str:
    return str(_replication(node)["role"])


def _is_synced(node: RedisServer) -> bool:
    replication = _replication(node)
    return replication["role"] == "master" or replication.get("master_link_status") == "up"


def _is_alive(node: RedisServer) -> bool:
    return node.process.poll() is None


def _wait(what: str, is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + _WAIT_SECONDS
    while not is_so():
        if time.monotonic() > give_up:
            pytest.fail(f"Waited {_WAIT_SECONDS:.0f} seconds in vain for {what}.")
        time.sleep(0.05)
