"""The current tenant's cache: values in its worker's memory, which all its clients share."""

import ctypes
import json
from ctypes import byref
from typing import Any, NamedTuple, Optional

from . import _abi
from ._abi import lib
from .context import current_context

_BYTES, _TEXT, _JSON = 0, 1, 2


class CacheStats(NamedTuple):
    """Of values since the worker started; `routing_…` is of the router's answers."""
    hits: int
    misses: int
    entries: int
    bytes: int
    evictions: int
    expirations: int
    max_entries: int
    max_bytes: int
    routing_hits: int
    routing_similar_hits: int
    routing_misses: int
    routing_entries: int


class TenantCache:
    """`TenantCache().set("key", value)` in a tenant's context keeps it for that tenant only.

    bytes and str come back as they are; everything else is kept as JSON (TypeError where it cannot be).
    Every call is in the context that it is made in: one object may serve many. Outside: NoTenantError.
    What is kept goes with the worker, at its time, or when the tenant's bounds need its room."""

    def set(self, key: str, value: Any, ttl_s: Optional[float] = None) -> None:
        """Without ttl_s it stays until there is no room."""
        if isinstance(value, (bytes, bytearray, memoryview)):
            kind, data = _BYTES, bytes(value)
        elif isinstance(value, str):
            kind, data = _TEXT, value.encode()
        else:
            kind, data = _JSON, json.dumps(value).encode()
        if ttl_s is not None and ttl_s <= 0:
            raise ValueError("ttl_s must be above 0")
        ttl_ms = 0 if ttl_s is None else max(1, int(ttl_s * 1000))
        name = key.encode()
        current_context().call(lib.tenantd_cache_set, name, len(name), data, len(data), kind, ttl_ms)

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or the default where there is none."""
        name, found = key.encode(), _abi.CacheValue()
        data = current_context().fetch(lib.tenantd_cache_get, name, len(name), found)
        if data is None:
            return default
        if found.kind == _BYTES:
            return data
        return data.decode() if found.kind == _TEXT else json.loads(data)

    def delete(self, key: str) -> bool:
        """False: it was not there."""
        name, removed = key.encode(), ctypes.c_uint64()
        current_context().call(lib.tenantd_cache_delete, name, len(name), byref(removed))
        return removed.value > 0

    def clear(self) -> int:
        """How many there were."""
        removed = ctypes.c_uint64()
        current_context().call(lib.tenantd_cache_clear, byref(removed))
        return removed.value

    def stats(self) -> CacheStats:
        stats = _abi.CacheStats()
        current_context().call(lib.tenantd_cache_statistics, byref(stats))
        return CacheStats(*[getattr(stats, name) for name in CacheStats._fields])
