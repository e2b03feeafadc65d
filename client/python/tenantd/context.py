"""A tenant's context, and what can be done in one. Outside, everything raises NoTenantError."""

import contextvars
import ctypes
import functools
import inspect
import os
import threading
from ctypes import byref, c_void_p
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, TypeVar, Union, cast

from . import _abi
from ._abi import NoTenantError, TenantError, check, lib
from ._values import (AGGREGATIONS, ONE, Embedding, Floats, Metrics, RouteResult, Rule, Wanted, fill_request,
                      result_of, rule_of, rules_array)

_F = TypeVar("_F", bound=Callable[..., Any])
_REPLY_POINTER = ctypes.POINTER(_abi.RouteReply)


class _Settings(NamedTuple):
    socket_path: str
    token: bytes
    transport: int
    timeout_ms: int
    max_per_tenant: int

    def options(self) -> _abi.Options:
        return _abi.Options(ctypes.sizeof(_abi.Options), os.fsencode(self.socket_path),
                            self.token or None, len(self.token), self.transport, 0,
                            self.timeout_ms, self.max_per_tenant, 0, 0)


class _Process:
    """What belongs to this process: the settings, and a pool for each that was used."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.settings = _Settings(os.environ.get("TENANTD_SOCKET", "/run/tenantd/tenantd.sock"),
                                  b"", 1, 5000, 8)
        self.pools: Dict[_Settings, int] = {}

    def pool(self, settings: _Settings) -> int:
        with self.lock:
            if settings not in self.pools:
                pool, error = c_void_p(), c_void_p()
                check(lib.tenantd_pool_open(byref(settings.options()), byref(pool), byref(error)),
                      error)
                self.pools[settings] = cast(int, pool.value)
            return self.pools[settings]

    def forget(self) -> None:
        """In a forked child: the pools are the parent's."""
        self.lock = threading.Lock()
        self.pools = {}


_process = _Process()
os.register_at_fork(after_in_child=_process.forget)
_current: "contextvars.ContextVar[Optional[TenantContext]]" = contextvars.ContextVar(
    "tenantd_context", default=None)


def configure(*, socket_path: Optional[str] = None, token: Optional[bytes] = None,
              transport: Optional[str] = None, timeout_s: Optional[float] = None,
              max_per_tenant: Optional[int] = None) -> None:
    """Settings of contexts entered from now on. The socket is TENANTD_SOCKET's by default."""
    given: Dict[str, Any] = {}
    if socket_path is not None:
        given["socket_path"] = socket_path
    if token is not None:
        given["token"] = token
    if transport is not None:
        given["transport"] = {"stream": 0, "ring": 1}[transport]
    if timeout_s is not None:
        given["timeout_ms"] = max(1, int(timeout_s * 1000))
    if max_per_tenant is not None:
        given["max_per_tenant"] = max_per_tenant
    _process.settings = _process.settings._replace(**given)


def settings_options() -> _abi.Options:
    return _process.settings.options()


class TenantContext:
    """`with TenantContext("acme-corp"):` everything inside is that tenant's, in this thread or task.

    Borrows an attachment from this process's pool and gives it back at the end. May be entered again;
    contexts nest. Threads that share one (copied context variables) take turns."""

    def __init__(self, tenant_id: str) -> None:
        self.tenant_id = tenant_id
        self._lock = threading.Lock()
        self._handle: Optional[int] = None
        self._entered: List["contextvars.Token[Optional[TenantContext]]"] = []
        self._error = c_void_p()
        self._reply = _REPLY_POINTER()
        self._request = _abi.RouteRequest()
        self._floats = Floats()
        # What every call passes, made once.
        self._arguments = (byref(self._request), byref(self._reply), byref(self._error))

    def __enter__(self) -> "TenantContext":
        if self._handle is None:
            handle = c_void_p()
            pool = _process.pool(_process.settings)
            check(lib.tenantd_context_enter(pool, self.tenant_id.encode(), 0, byref(handle),
                                            byref(self._error)), self._error)
            self._handle = handle.value
        self._entered.append(_current.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        _current.reset(self._entered.pop())
        if not self._entered:
            with self._lock:
                handle, self._handle = self._handle, None
                lib.tenantd_context_close(handle)

    async def __aenter__(self) -> "TenantContext":
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()

    def route(self, text: Optional[str], embedding: Optional[Embedding], alternatives: int,
              explain: bool, user: Optional[str], department: Optional[str],
              timeout_s: Optional[float], wanted: Wanted = ONE) -> RouteResult:
        with self._lock:
            try:
                fill_request(self._request, text, alternatives, explain, user, department, timeout_s,
                             wanted)
                self._floats.fill(self._request, embedding)
                code = lib.tenantd_route(self._handle, *self._arguments)
            finally:
                self._floats.release()
            if code:
                check(code, self._error)
            return result_of(self._reply.contents)

    def route_many(self, texts: Sequence[Optional[str]], embeddings: Sequence[Optional[Embedding]],
                   alternatives: int, explain: bool, timeout_s: Optional[float],
                   wanted: Wanted) -> List[Union[RouteResult, TenantError]]:
        requests = (_abi.RouteRequest * len(texts))()
        lent = [Floats() for _ in texts]
        items = ctypes.POINTER(_abi.BatchItem)()
        try:
            for request, floats, text, embedding in zip(requests, lent, texts, embeddings):
                fill_request(request, text, alternatives, explain, None, None, timeout_s, wanted)
                floats.fill(request, embedding)
            with self._lock:
                check(lib.tenantd_route_many(self._handle, requests, len(texts), byref(items),
                                             byref(self._error)), self._error)
                return [result_of(items[i].reply.contents) if items[i].code == 0 else
                        TenantError(_abi.code_name(items[i].code), items[i].message.decode(),
                                    self.tenant_id) for i in range(len(texts))]
        finally:
            for floats in lent:
                floats.release()

    def fetch(self, function: Callable[..., int], name: bytes, size: int,
              found: _abi.CacheValue) -> Optional[bytes]:
        """A cached value's bytes, copied before the next call on this context can take them."""
        with self._lock:
            check(function(self._handle, name, size, byref(found), byref(self._error)), self._error)
            if not found.found:
                return None
            return ctypes.string_at(found.value, found.value_size) if found.value_size else b""

    def call(self, function: Callable[..., int], *arguments: Any) -> None:
        """Any other call of the library's, with this context first and the error last."""
        with self._lock:
            check(function(self._handle, *arguments, byref(self._error)), self._error)


def current_context() -> TenantContext:
    """The innermost context entered here. Raises NoTenantError outside."""
    context = _current.get()
    if context is None:
        raise NoTenantError("no_tenant", "a call outside a tenant context",
                            hint='use it inside: with TenantContext("acme-corp")')
    return context


class Router:
    """The current tenant's router. Belongs to the context that it was made in, and ends with it."""

    def __init__(self) -> None:
        self._context = current_context()

    @property
    def tenant_id(self) -> str:
        return self._context.tenant_id

    def route(self, text: Optional[str] = None, embedding: Optional[Embedding] = None, *,
              alternatives: int = 3, explain: bool = False, limit: int = 1,
              routes: Sequence[str] = (), tags: Sequence[str] = (), user: Optional[str] = None,
              department: Optional[str] = None, timeout_s: Optional[float] = None) -> RouteResult:
        """The best route for a text, an embedding (float32, not copied), or both; with a limit above 1
        further ones in `also`. With routes or tags only those routes, and those with such a tag, are
        there."""
        wanted = Wanted(limit, routes, tags) if limit != 1 or routes or tags else ONE
        return self._context.route(text, embedding, alternatives, explain, user, department,
                                   timeout_s, wanted)

    def route_many(self, texts: Optional[Sequence[Optional[str]]] = None,
                   embeddings: Optional[Sequence[Optional[Embedding]]] = None, *,
                   alternatives: int = 3, explain: bool = False, limit: int = 1,
                   routes: Sequence[str] = (), tags: Sequence[str] = (),
                   timeout_s: Optional[float] = None) -> List[Union[RouteResult, TenantError]]:
        """Many at once, for the price of few wake-ups; an error in the place of each that failed. Texts,
        embeddings (the rows of a two-dimensional array, for example), or as many of both. The rest is
        route()'s, for all of them."""
        given = [values for values in (texts, embeddings) if values is not None]
        if len({len(values) for values in given}) != 1:
            raise ValueError("give texts, embeddings, or as many of both")
        nothing: List[None] = [None] * len(given[0])
        return self._context.route_many(nothing if texts is None else texts,
                                        nothing if embeddings is None else embeddings, alternatives,
                                        explain, timeout_s, Wanted(limit, routes, tags))


class Route:
    """A route of the current tenant's."""

    def __init__(self, id: str, utterances: Iterable[str] = (), *, description: str = "",
                 metadata: str = "", tags: Iterable[str] = (),
                 threshold: Optional[float] = None, rules: Iterable[Rule] = (), priority: int = 0,
                 aggregation: Optional[str] = None, margin: Optional[float] = None) -> None:
        self.id = id
        self.utterances = list(utterances)
        self.description = description
        self.metadata = metadata
        self.tags = list(tags)
        self.threshold = threshold
        self.rules = list(rules)
        self.priority = priority  # the higher goes first among equals and among `always` rules
        self.aggregation = aggregation  # None: the tenant's
        self.margin = margin  # lead in confidence over the second route; None: the tenant's

    def __repr__(self) -> str:
        return f"Route({self.id!r}, {len(self.utterances)} utterances)"

    @classmethod
    def _pages(cls, only: Optional[str]) -> "List[Route]":
        context = current_context()
        routes: List[Route] = []
        after, after_utterance = None, 0
        while True:
            page = ctypes.POINTER(_abi.Page)()
            context.call(lib.tenantd_routes_page, only and only.encode(), after, after_utterance, 1,
                         byref(page))
            for index, listing in enumerate(page.contents.routes[:page.contents.routes_size]):
                texts = [text.decode() for text in listing.utterances[:listing.utterances_size]]
                if routes and routes[-1].id == listing.id.decode():
                    routes[-1].utterances += texts  # a long one goes on
                    continue
                tags = [tag.decode() for tag in listing.tags[:listing.tags_size]]
                routes.append(cls(listing.id.decode(), texts, metadata=listing.metadata.decode(),
                                  description=listing.description.decode(), tags=tags,
                                  threshold=listing.threshold if listing.has_threshold else None))
                more = _abi.RouteRules()
                context.call(lib.tenantd_page_rules, index, byref(more))
                routes[-1].rules = [rule_of(rule) for rule in more.rules[:more.rules_size]]
                routes[-1].priority = more.priority
                routes[-1].aggregation = AGGREGATIONS[more.aggregation]
                has_margin, margin = ctypes.c_uint32(), ctypes.c_float()
                context.call(lib.tenantd_page_margin, index, byref(has_margin), byref(margin))
                routes[-1].margin = margin.value if has_margin.value else None
            if not page.contents.more:
                return routes
            after, after_utterance = page.contents.next_route, page.contents.next_utterance

    @classmethod
    def get(cls, route_id: str) -> "Route":
        """Raises TenantError("not_found"): of other tenants' routes, too, there is nothing here."""
        for route in cls._pages(route_id):
            if route.id == route_id:
                return route
        raise TenantError("not_found", f"no route {route_id}", current_context().tenant_id)

    @classmethod
    def list(cls) -> "List[Route]":
        return cls._pages(None)

    def put(self) -> None:
        """Creates or replaces it; returns when it is on disk and in use."""
        texts = [text.encode() for text in self.utterances]
        utterances = (_abi.Utterance * len(texts))(*[
            _abi.Utterance(text, len(text), None, 0, None) for text in texts])
        tags = (ctypes.c_char_p * len(self.tags))(*[tag.encode() for tag in self.tags])
        edit = _abi.RouteEdit(ctypes.sizeof(_abi.RouteEdit), 1, self.threshold is not None,
                              self.threshold or 0.0, 0, self.id.encode(),
                              self.description.encode(), self.metadata.encode(), tags,
                              len(self.tags), utterances, len(texts), rules_array(self.rules),
                              len(self.rules), self.priority,
                              AGGREGATIONS.index(self.aggregation), self.margin is not None,
                              self.margin or 0.0)
        current_context().call(lib.tenantd_edit_routes, byref(edit), 1, None)

    @classmethod
    def remove(cls, route_id: str) -> None:
        edit = _abi.RouteEdit(size=ctypes.sizeof(_abi.RouteEdit), kind=3, id=route_id.encode())
        current_context().call(lib.tenantd_edit_routes, byref(edit), 1, None)


def get_metrics() -> Metrics:
    """The current tenant's counters, and nobody else's."""
    stats = _abi.Stats()
    current_context().call(lib.tenantd_tenant_stats, byref(stats))
    return Metrics(stats.generation, stats.routes, stats.utterances, stats.requests, stats.errors,
                   stats.attachments, stats.snapshot_version, stats.store_degraded != 0)


def ping() -> None:
    current_context().call(lib.tenantd_ping)


def enforce(function: _F) -> _F:
    """The function, or coroutine function, but only inside a tenant's context: else NoTenantError."""
    if inspect.iscoroutinefunction(function):
        @functools.wraps(function)
        async def in_context(*arguments: Any, **named: Any) -> Any:
            current_context()
            return await function(*arguments, **named)
    else:
        @functools.wraps(function)
        def in_context(*arguments: Any, **named: Any) -> Any:
            current_context()
            return function(*arguments, **named)
    return cast(_F, in_context)


class TenantMiddleware:
    enforce = staticmethod(enforce)
