"""Routing from asyncio: the library's one descriptor is a reader of the running loop."""

import asyncio
from ctypes import byref, c_uint64, c_void_p
from typing import Any, Dict, Optional, Sequence

from . import _abi
from ._abi import check, error_of, lib
from ._values import ONE, Embedding, Floats, RouteResult, Wanted, fill_request, result_of
from .context import current_context, settings_options


class AsyncRouter:
    """The current tenant's router for one event loop: `async with AsyncRouter() as router:`.

    Any number of tasks may await route() at once; what they ask in one turn of the loop is sent
    together. A cancelled task's answer is dropped."""

    def __init__(self) -> None:
        self.tenant_id = current_context().tenant_id
        self._loop = asyncio.get_running_loop()
        self._waiting: "Dict[int, asyncio.Future[RouteResult]]" = {}
        self._error = c_void_p()
        self._request = _abi.RouteRequest()
        self._floats = Floats()
        self._done = _abi.DONE(self._on_done)  # kept alive as long as the library may call it
        handle = c_void_p()
        check(lib.tenantd_async_open(byref(settings_options()), self.tenant_id.encode(),
                                     byref(handle), byref(self._error)), self._error)
        self._handle: Optional[int] = handle.value
        self._fd: int = lib.tenantd_async_fd(self._handle)
        self._loop.add_reader(self._fd, self._process)

    async def __aenter__(self) -> "AsyncRouter":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Whoever still waits is cancelled."""
        if self._handle is None:
            return
        self._loop.remove_reader(self._fd)
        lib.tenantd_async_close(self._handle)
        self._handle = None
        for future in self._waiting.values():
            future.cancel()
        self._waiting.clear()

    def _process(self) -> None:
        check(lib.tenantd_async_process(self._handle, byref(self._error)), self._error)

    def _on_done(self, _user: Any, id: int, code: int, reply: Any, error: Optional[int]) -> None:
        future = self._waiting.pop(id, None)
        if future is None or future.done():
            return
        if code == 0:
            future.set_result(result_of(reply.contents))
        else:
            future.set_exception(error_of(code, error, self.tenant_id))

    async def route(self, text: Optional[str] = None, embedding: Optional[Embedding] = None, *,
                    alternatives: int = 3, explain: bool = False, limit: int = 1,
                    routes: Sequence[str] = (), tags: Sequence[str] = (),
                    user: Optional[str] = None, department: Optional[str] = None,
                    timeout_s: Optional[float] = None) -> RouteResult:
        """As Router.route. Raises TenantError("resource_exhausted") when too many wait already."""
        id = c_uint64()
        try:
            fill_request(self._request, text, alternatives, explain, user, department, timeout_s,
                         Wanted(limit, routes, tags) if limit != 1 or routes or tags else ONE)
            self._floats.fill(self._request, embedding)
            code = lib.tenantd_async_route(self._handle, byref(self._request), self._done, None,
                                           byref(id), byref(self._error))
        finally:
            self._floats.release()
        check(code, self._error)
        future: "asyncio.Future[RouteResult]" = self._loop.create_future()
        self._waiting[id.value] = future
        try:
            return await future
        except asyncio.CancelledError:
            if self._waiting.pop(id.value, None) is not None and self._handle is not None:
                lib.tenantd_async_cancel(self._handle, id.value)
            raise
