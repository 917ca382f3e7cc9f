"""The peers by name."""

from __future__ import annotations

import os

from bench.peers.dask_peer import DaskPeer
from bench.peers.duckdb_peer import DuckDBPeer
from bench.peers.peer import Peer
from bench.peers.polars_peer import PolarsPeer
from bench.peers.pool_peer import PoolPeer
from bench.peers.spark_peer import SparkPeer

PEERS: dict[str, Peer] = {
    peer.name: peer for peer in (DuckDBPeer(), PolarsPeer(), PoolPeer(), DaskPeer(), SparkPeer())
}


def picked() -> list[Peer]:
    """Return the peers that ``BENCH_PEERS`` names, in any case, else all that are installed.

    Raises:
        SystemExit: One is unknown, or named and not installed.
    """
    names = [name for name in os.environ.get("BENCH_PEERS", "").lower().split(",") if name]
    known = {name.lower(): peer for name, peer in PEERS.items()}
    known["pool"] = known["pool(2)"]
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"no peer named {', '.join(unknown)}; known: {', '.join(PEERS)}")
    if missing := [name for name in names if not known[name].is_there()]:
        raise SystemExit(f"not installed: {', '.join(missing)}")
    return [known[name] for name in names] or [peer for peer in PEERS.values() if peer.is_there()]
