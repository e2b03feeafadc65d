"""What goes into a request and comes out of a reply."""

import array
import ctypes
import struct
from ctypes import c_char_p, c_int, c_ssize_t, c_void_p, py_object
from typing import Any, NamedTuple, Optional, Sequence, Tuple, Union, cast

from . import _abi

# Anything with a C-contiguous float32 buffer (numpy, array.array("f"), memoryview, torch's numpy()) is
# read in place; other sequences of numbers are copied.
Embedding = Union[Sequence[float], Any]
REASONS = ("matched", "below_threshold", "no_routes", "no_signal", "ambiguous", "excluded")
SOURCES = ("computed", "cached", "similar")
KINDS = ("keyword", "pattern")
MODES = ("signal", "always", "never")
AGGREGATIONS = (None, "max", "mean", "top_k_mean", "centroid", "prototype_mix")
_SCORED = struct.Struct("@NNffff")
_WORD = struct.Struct("@NNfI")


class ScoredRoute(NamedTuple):
    route: str
    confidence: float
    dense_score: float
    lexical_score: float
    fused_score: float


class Rule(NamedTuple):
    """Words in a row, or a regular expression of RE2, that speak for a route ("signal"), select it
    ("always") or exclude it ("never")."""
    text: str
    kind: str = "keyword"
    mode: str = "signal"


class MatchedRule(NamedTuple):
    route: str
    rule: Rule


class RouteResult(NamedTuple):
    """`route` is the fallback's id when `is_fallback`; `also` are further answers, with a limit above 1.
    Utterance, words and rules come with explain=True."""
    route: str
    confidence: float
    is_fallback: bool
    reason: str
    alternatives: Tuple[ScoredRoute, ...]
    dense_score: float
    lexical_score: float
    fused_score: float
    snapshot_version: int
    utterance: str
    utterance_similarity: float
    words: Tuple[Tuple[str, float], ...]
    also: Tuple[ScoredRoute, ...] = ()
    rules: Tuple[MatchedRule, ...] = ()
    source: str = "computed"  # "cached": of the same query; "similar": of one that resembles it
    source_similarity: float = 0.0


class Metrics(NamedTuple):
    """Counters of one tenant's worker since it started."""
    generation: int
    routes: int
    utterances: int
    requests: int
    errors: int
    attachments: int
    snapshot_version: int
    store_degraded: bool


def _text(address: Optional[int], size: int) -> str:
    return ctypes.string_at(address, size).decode("utf-8", "replace") if address and size else ""


def _scored(address: Optional[int], count: int) -> Tuple[ScoredRoute, ...]:
    if not count or not address:
        return ()
    block = ctypes.string_at(address, count * _SCORED.size)
    return tuple([ScoredRoute(_text(route, size), *scores)
                  for route, size, *scores in _SCORED.iter_unpack(block)])


def rule_of(rule: _abi.Rule) -> Rule:
    return Rule(rule.text.decode("utf-8", "replace"), KINDS[rule.kind], MODES[rule.mode])


def rules_array(rules: Sequence[Rule]) -> Any:
    return (_abi.Rule * len(rules))(*[
        _abi.Rule(KINDS.index(rule.kind), MODES.index(rule.mode), rule.text.encode())
        for rule in rules])


def result_of(reply: _abi.RouteReply) -> RouteResult:
    """A copy: the reply's memory is the context's until its next call."""
    alternatives = _scored(reply.alternatives, reply.alternatives_size)
    also = _scored(reply.also, reply.also_size)
    rules: Tuple[MatchedRule, ...] = ()
    if reply.rules_size:
        rules = tuple([MatchedRule(matched.route.decode(), rule_of(matched.rule))
                       for matched in reply.rules[:reply.rules_size]])
    words: Tuple[Tuple[str, float], ...] = ()
    if reply.words_size:
        block = ctypes.string_at(reply.words, reply.words_size * _WORD.size)
        words = tuple([(_text(address, size), weight)
                       for address, size, weight, _ in _WORD.iter_unpack(block)])
    return RouteResult(_text(reply.route, reply.route_size), reply.confidence,
                       reply.is_fallback != 0, REASONS[reply.reason], alternatives,
                       reply.dense_score, reply.lexical_score, reply.fused_score,
                       reply.snapshot_version, _text(reply.utterance, reply.utterance_size),
                       reply.utterance_similarity, words, also, rules, SOURCES[reply.source],
                       reply.source_similarity)


class _PyBuffer(ctypes.Structure):
    _fields_ = [("buf", c_void_p), ("obj", c_void_p), ("len", c_ssize_t), ("itemsize", c_ssize_t),
                ("readonly", c_int), ("ndim", c_int), ("format", c_char_p), ("shape", c_void_p),
                ("strides", c_void_p), ("suboffsets", c_void_p), ("internal", c_void_p)]


_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = [py_object, ctypes.POINTER(_PyBuffer), c_int]
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = [ctypes.POINTER(_PyBuffer)]
_release_buffer.restype = None
_C_CONTIGUOUS_WITH_FORMAT = 0x3C


class Floats:
    """Lends an embedding's memory to one call at a time: fill() a request, then release()."""

    def __init__(self) -> None:
        self._buffer = _PyBuffer()
        self._reference = ctypes.byref(self._buffer)
        self._held = False

    def fill(self, request: _abi.RouteRequest, embedding: Optional[Embedding]) -> None:
        if embedding is None:
            request.embedding_size = 0
            request.embedding = None
            return
        try:
            _get_buffer(embedding, self._reference, _C_CONTIGUOUS_WITH_FORMAT)
        except (TypeError, BufferError, ValueError):
            _get_buffer(array.array("f", embedding), self._reference, _C_CONTIGUOUS_WITH_FORMAT)
        self._held = True
        if self._buffer.format not in (b"f", b"<f", b"=f"):
            values = memoryview(cast(Any, embedding))
            self.release()
            if values.format == "B" or values.ndim != 1:
                raise TypeError("an embedding is one row of float32")
            _get_buffer(array.array("f", values.tolist()), self._reference,
                        _C_CONTIGUOUS_WITH_FORMAT)
            self._held = True
        request.embedding = self._buffer.buf
        request.embedding_size = self._buffer.len // 4

    def release(self) -> None:
        if self._held:
            self._held = False
            _release_buffer(self._reference)


class Wanted(NamedTuple):
    """How many answers, and a filter: only these routes, or those with one of these tags, are there."""
    limit: int = 1
    routes: Sequence[str] = ()
    tags: Sequence[str] = ()


ONE = Wanted()


def _texts(values: Sequence[str]) -> Any:
    return (c_char_p * len(values))(*[value.encode() for value in values]) if values else None


def fill_request(request: _abi.RouteRequest, text: Optional[str], alternatives: int, explain: bool,
                 user: Optional[str], department: Optional[str], timeout_s: Optional[float],
                 wanted: Wanted = ONE) -> None:
    encoded = None if text is None else text.encode()
    request.size = ctypes.sizeof(request)
    request.text = encoded
    request.text_size = 0 if encoded is None else len(encoded)
    request.alternatives = alternatives
    request.explain = explain
    request.user = None if user is None else user.encode()
    request.department = None if department is None else department.encode()
    request.limit = wanted.limit
    if wanted.routes or request.only_routes_size:
        request.only_routes = _texts(wanted.routes)
        request.only_routes_size = len(wanted.routes)
    if wanted.tags or request.only_tags_size:
        request.only_tags = _texts(wanted.tags)
        request.only_tags_size = len(wanted.tags)
    request.timeout_ms = 0 if timeout_s is None else max(1, int(timeout_s * 1000))
