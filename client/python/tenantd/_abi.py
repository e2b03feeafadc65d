"""libtenantd.so.0 as ctypes sees it: the structures and functions of tenantd.h that this package uses."""

import ctypes
import os
from ctypes import POINTER, c_char_p, c_float, c_int, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, Optional

ABI_VERSION = 4


class Options(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("socket_path", c_char_p), ("token", c_char_p),
                ("token_size", c_size_t), ("transport", c_uint32), ("reserved", c_uint32),
                ("timeout_ms", c_uint64), ("max_per_tenant", c_uint64), ("max_idle", c_uint64),
                ("max_outstanding", c_uint64)]


class RouteRequest(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("text", c_char_p), ("text_size", c_size_t),
                ("embedding", c_void_p), ("embedding_size", c_size_t), ("encoder", c_char_p),
                ("user", c_char_p), ("department", c_char_p), ("alternatives", c_uint32),
                ("explain", c_uint32), ("timeout_ms", c_uint64),
                ("only_routes", POINTER(c_char_p)), ("only_routes_size", c_size_t),
                ("only_tags", POINTER(c_char_p)), ("only_tags_size", c_size_t),
                ("limit", c_uint32), ("reserved", c_uint32)]


class Rule(ctypes.Structure):
    _fields_ = [("kind", c_uint32), ("mode", c_uint32), ("text", c_char_p)]


class MatchedRule(ctypes.Structure):
    _fields_ = [("route", c_char_p), ("rule", Rule)]


class RouteReply(ctypes.Structure):
    """tenantd_route_reply with its `best` laid flat: each step into a nested structure makes an object."""
    _fields_ = [("route", c_void_p), ("route_size", c_size_t), ("confidence", c_float),
                ("dense_score", c_float), ("lexical_score", c_float), ("fused_score", c_float),
                ("is_fallback", c_uint32), ("reason", c_uint32), ("snapshot_version", c_uint64),
                ("alternatives", c_void_p), ("alternatives_size", c_size_t),
                ("utterance", c_void_p), ("utterance_size", c_size_t), ("words", c_void_p),
                ("words_size", c_size_t), ("utterance_similarity", c_float), ("reserved", c_uint32),
                ("also", c_void_p), ("also_size", c_size_t), ("rules", POINTER(MatchedRule)),
                ("rules_size", c_size_t), ("source", c_uint32), ("source_similarity", c_float)]


class BatchItem(ctypes.Structure):
    _fields_ = [("code", c_int), ("reserved", c_uint32), ("reply", POINTER(RouteReply)),
                ("message", c_char_p)]


class Utterance(ctypes.Structure):
    _fields_ = [("text", c_char_p), ("text_size", c_size_t), ("embedding", c_void_p),
                ("embedding_size", c_size_t), ("encoder", c_char_p)]


class RouteEdit(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("kind", c_uint32), ("has_threshold", c_uint32),
                ("threshold", c_float), ("reserved", c_uint32), ("id", c_char_p),
                ("description", c_char_p), ("metadata", c_char_p), ("tags", POINTER(c_char_p)),
                ("tags_size", c_size_t), ("utterances", POINTER(Utterance)),
                ("utterances_size", c_size_t), ("rules", POINTER(Rule)), ("rules_size", c_size_t),
                ("priority", c_int32), ("aggregation", c_uint32), ("has_margin", c_uint32),
                ("margin", c_float)]


class RouteListing(ctypes.Structure):
    _fields_ = [("id", c_char_p), ("description", c_char_p), ("metadata", c_char_p),
                ("tags", POINTER(c_char_p)), ("tags_size", c_size_t),
                ("utterances", POINTER(c_char_p)), ("utterances_size", c_size_t),
                ("utterance_count", c_uint32), ("has_threshold", c_uint32), ("threshold", c_float),
                ("reserved", c_uint32)]


class RouteRules(ctypes.Structure):
    _fields_ = [("rules", POINTER(Rule)), ("rules_size", c_size_t), ("priority", c_int32),
                ("aggregation", c_uint32)]


class Page(ctypes.Structure):
    _fields_ = [("routes", POINTER(RouteListing)), ("routes_size", c_size_t),
                ("next_route", c_char_p), ("next_utterance", c_uint32), ("more", c_uint32)]


class Stats(ctypes.Structure):
    _fields_ = [("generation", c_uint64), ("routes", c_uint64), ("utterances", c_uint64),
                ("requests", c_uint64), ("errors", c_uint64), ("attachments", c_uint64),
                ("snapshot_version", c_uint64), ("store_degraded", c_uint32), ("reserved", c_uint32)]


class VerifyProbe(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("check", c_char_p), ("outcome", c_char_p), ("evidence", c_char_p),
                ("inside", c_uint32), ("failed", c_uint32)]


class CacheValue(ctypes.Structure):
    _fields_ = [("value", c_void_p), ("value_size", c_size_t), ("found", c_uint32),
                ("kind", c_uint32), ("ttl_left_ms", c_uint64)]


class CacheStats(ctypes.Structure):
    _fields_ = [(name, c_uint64) for name in
                ("hits", "misses", "entries", "bytes", "evictions", "expirations", "max_entries",
                 "max_bytes", "routing_hits", "routing_similar_hits", "routing_misses",
                 "routing_entries")]


DONE = ctypes.CFUNCTYPE(None, c_void_p, c_uint64, c_int, POINTER(RouteReply), c_void_p)

# Name → result, arguments. A handle is a c_void_p; None is NULL, a call outside a context.
_FUNCTIONS: "dict[str, tuple[Any, list[Any]]]" = {
    "tenantd_abi_version": (c_uint32, []),
    "tenantd_code_name": (c_char_p, [c_int]),
    "tenantd_error_code": (c_int, [c_void_p]),
    "tenantd_error_message": (c_char_p, [c_void_p]),
    "tenantd_error_tenant": (c_char_p, [c_void_p]),
    "tenantd_error_field": (c_char_p, [c_void_p]),
    "tenantd_error_hint": (c_char_p, [c_void_p]),
    "tenantd_error_retry_after_ms": (c_uint32, [c_void_p]),
    "tenantd_error_free": (None, [c_void_p]),
    "tenantd_pool_open": (c_int, [POINTER(Options), c_void_p, c_void_p]),
    "tenantd_context_enter": (c_int, [c_void_p, c_char_p, c_uint64, c_void_p, c_void_p]),
    "tenantd_context_close": (None, [c_void_p]),
    "tenantd_route": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "tenantd_route_many": (c_int, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "tenantd_edit_routes": (c_int, [c_void_p, POINTER(RouteEdit), c_size_t, c_void_p, c_void_p]),
    "tenantd_routes_page": (c_int, [c_void_p, c_char_p, c_char_p, c_uint32, c_int, c_void_p,
                                    c_void_p]),
    "tenantd_page_rules": (c_int, [c_void_p, c_size_t, POINTER(RouteRules), c_void_p]),
    "tenantd_page_margin": (c_int, [c_void_p, c_size_t, POINTER(c_uint32), POINTER(c_float),
                                    c_void_p]),
    "tenantd_tenant_stats": (c_int, [c_void_p, POINTER(Stats), c_void_p]),
    "tenantd_cache_get": (c_int, [c_void_p, c_char_p, c_size_t, POINTER(CacheValue), c_void_p]),
    "tenantd_cache_set": (c_int, [c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_uint32,
                                  c_uint64, c_void_p]),
    "tenantd_cache_delete": (c_int, [c_void_p, c_char_p, c_size_t, POINTER(c_uint64), c_void_p]),
    "tenantd_cache_clear": (c_int, [c_void_p, POINTER(c_uint64), c_void_p]),
    "tenantd_cache_statistics": (c_int, [c_void_p, POINTER(CacheStats), c_void_p]),
    "tenantd_ping": (c_int, [c_void_p, c_void_p]),
    "tenantd_async_open": (c_int, [POINTER(Options), c_char_p, c_void_p, c_void_p]),
    "tenantd_async_close": (None, [c_void_p]),
    "tenantd_async_fd": (c_int, [c_void_p]),
    "tenantd_async_route": (c_int, [c_void_p, c_void_p, DONE, c_void_p, c_void_p, c_void_p]),
    "tenantd_async_cancel": (c_int, [c_void_p, c_uint64]),
    "tenantd_async_process": (c_int, [c_void_p, c_void_p]),
    "tenantd_async_outstanding": (c_size_t, [c_void_p]),
    "tenantd_verify": (c_int, [POINTER(Options), c_char_p, POINTER(c_char_p), c_size_t, c_void_p,
                               c_void_p]),
    "tenantd_verification_all_passed": (c_int, [c_void_p]),
    "tenantd_verification_plan": (c_char_p, [c_void_p]),
    "tenantd_verification_probes": (c_size_t, [c_void_p, c_void_p]),
    "tenantd_verification_free": (None, [c_void_p]),
}


def _load() -> Any:
    library = ctypes.CDLL(os.environ.get("TENANTD_LIBRARY", "libtenantd.so.0"))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    if library.tenantd_abi_version() < ABI_VERSION:
        raise ImportError("libtenantd.so.0 is older than this package")
    return library


lib: Any = _load()


class TenantError(Exception):
    """A call's error: `code` is its stable name ("no_tenant", "unavailable", …)."""

    def __init__(self, code: str, message: str, tenant: str = "", field: str = "", hint: str = "",
                 retry_after_ms: int = 0) -> None:
        super().__init__(f"{code}: {message}" + (f" ({hint})" if hint else ""))
        self.code = code
        self.message = message
        self.tenant = tenant
        self.field = field
        self.hint = hint
        self.retry_after_ms = retry_after_ms


class NoTenantError(TenantError):
    """A call outside a tenant context."""


def code_name(code: int) -> str:
    name: bytes = lib.tenantd_code_name(code)
    return name.decode()


def error_of(code: int, handle: Optional[int], tenant: str = "") -> TenantError:
    """The exception for a failed call; the error object stays its owner's."""
    kind = NoTenantError if code == 17 else TenantError
    if not handle:
        return kind(code_name(code), "the call failed", tenant)
    texts = [getattr(lib, f"tenantd_error_{part}")(handle).decode("utf-8", "replace")
             for part in ("message", "tenant", "field", "hint")]
    return kind(code_name(code), texts[0], texts[1] or tenant, texts[2], texts[3],
                lib.tenantd_error_retry_after_ms(handle))


def check(code: int, error: c_void_p) -> None:
    """Raises what a call reported in `error`, and frees it."""
    if code == 0:
        return
    try:
        raise error_of(code, error.value)
    finally:
        lib.tenantd_error_free(error)
        error.value = None
