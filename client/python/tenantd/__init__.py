"""Client of tenantd: a semantic router of its own for every tenant.

    from tenantd import TenantContext, Router

    with TenantContext("acme-corp"):
        result = Router().route("where is my invoice?")

Needs libtenantd.so.0 (TENANTD_LIBRARY names another place); the daemon's socket is TENANTD_SOCKET's, or
configure()'s."""

from ._abi import NoTenantError, TenantError
from ._values import MatchedRule, Metrics, RouteResult, Rule, ScoredRoute
from .aio import AsyncRouter
from .cache import CacheStats, TenantCache
from .context import (Route, Router, TenantContext, TenantMiddleware, configure, current_context, enforce,
                      get_metrics, ping)
from .verify import IsolationProbe, IsolationReport, IsolationVerifier

__all__ = ["AsyncRouter", "CacheStats", "IsolationProbe", "IsolationReport", "IsolationVerifier", "MatchedRule", "Metrics", "NoTenantError", "Route", "RouteResult", "Router", "Rule",
           "ScoredRoute",
           "TenantCache", "TenantContext", "TenantError", "TenantMiddleware", "configure", "current_context", "enforce",
           "get_metrics", "ping"]
