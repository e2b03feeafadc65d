"""The isolation verifier: that a tenant is isolated as its plan promises. For operators of the daemon."""

import ctypes
from ctypes import byref, c_char_p, c_void_p
from typing import NamedTuple, Optional, Sequence, Tuple

from . import _abi
from ._abi import check, lib
from .context import settings_options

CHECKS = ("database_isolation", "cache_isolation", "network_isolation", "process_isolation",
          "resource_isolation")


class IsolationProbe(NamedTuple):
    """One promise: `outcome` is "passed", "failed", "not promised" or "not applicable"; `evidence` is what the
    kernel said. `inside`: tried by a process that is confined like the tenant's worker."""
    name: str
    check: str
    outcome: str
    evidence: str
    inside: bool


class IsolationReport(NamedTuple):
    tenant_id: str
    plan: str
    all_passed: bool
    failures: Tuple[IsolationProbe, ...]
    probes: Tuple[IsolationProbe, ...]


def _probe_of(probe: _abi.VerifyProbe) -> IsolationProbe:
    """A copy: the report's memory ends with it."""
    return IsolationProbe(probe.name.decode(), probe.check.decode(), probe.outcome.decode(),
                          probe.evidence.decode("utf-8", "replace"), probe.inside != 0)


class IsolationVerifier:
    """verify() takes about a second for each tenant that is verified before; `timeout_s` bounds it."""

    def __init__(self, timeout_s: float = 120.0) -> None:
        self.timeout_s = timeout_s

    def verify(self, tenant_id: str, checks: Optional[Sequence[str]] = None) -> IsolationReport:
        """All checks, or some of CHECKS (with or without "_isolation"). Raises TenantError: not_found, and
        permission_denied for callers who are no operators."""
        options = settings_options()
        options.timeout_ms = max(1, int(self.timeout_s * 1000))
        names = [name.encode() for name in checks or ()]
        report, error = c_void_p(), c_void_p()
        check(lib.tenantd_verify(byref(options), tenant_id.encode(), (c_char_p * len(names))(*names),
                                 len(names), byref(report), byref(error)), error)
        try:
            first = ctypes.POINTER(_abi.VerifyProbe)()
            count = lib.tenantd_verification_probes(report, byref(first))
            probes = tuple([_probe_of(probe) for probe in first[:count]])
            return IsolationReport(tenant_id, lib.tenantd_verification_plan(report).decode(),
                                   lib.tenantd_verification_all_passed(report) == 1,
                                   tuple([p for p in probes if p.outcome == "failed"]), probes)
        finally:
            lib.tenantd_verification_free(report)
