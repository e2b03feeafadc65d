// The client library for C, and for every language that can call C: soname libtenantd.so.0.
//
// Runs in: the user's program. C99. Nothing is thrown across; a failed call returns its code
// (below) and, if `error` is not NULL, an error object for tenantd_error_free(). Strings come with
// their size and need no terminator; those that come out are zero-terminated as well. Whatever a
// call gives out belongs to the handle and lives until the next call on it.
//
// Calls are made in a context, which is one tenant's; without one (NULL) they return
// TENANTD_NO_TENANT. A handle is for one thread at a time, except tenantd_pool. In a forked child
// every call returns TENANTD_UNSUPPORTED. Structures that the caller fills begin with their size:
// initialise them with their _INIT, and a later library knows which fields you know.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENANTD_ABI_VERSION 4 /* grows with every addition; what is there keeps its meaning */

/* What every call returns: 0, or an error's stable number. */
enum {
  TENANTD_OK = 0,
  TENANTD_INTERNAL = 1,
  TENANTD_INVALID_ARGUMENT = 2,
  TENANTD_NOT_FOUND = 3,
  TENANTD_ALREADY_EXISTS = 4,
  TENANTD_PERMISSION_DENIED = 5,
  TENANTD_UNAVAILABLE = 6,
  TENANTD_DEADLINE_EXCEEDED = 7,
  TENANTD_INVALID_CONFIG = 8,
  TENANTD_RESOURCE_EXHAUSTED = 9,
  TENANTD_PROTOCOL_ERROR = 10,
  TENANTD_ENCODER_MISMATCH = 11,
  TENANTD_ENCODER_UNAVAILABLE = 12,
  TENANTD_WRONG_DIMENSION = 13,
  TENANTD_INVALID_VECTOR = 14,
  TENANTD_STORE_DEGRADED = 15,
  TENANTD_UNSUPPORTED = 16,
  TENANTD_NO_TENANT = 17,
  TENANTD_DRAINING = 18,
  TENANTD_QUARANTINED = 19,
  TENANTD_LAYER_MISSING = 20
};

uint32_t tenantd_abi_version(void);      /* of the library that is loaded */
const char* tenantd_code_name(int code); /* "no_tenant"; "unknown" */

typedef struct tenantd_error tenantd_error;
int tenantd_error_code(const tenantd_error* error);
const char* tenantd_error_message(const tenantd_error* error);
const char* tenantd_error_tenant(const tenantd_error* error);
const char* tenantd_error_field(const tenantd_error* error);
const char* tenantd_error_hint(const tenantd_error* error);
uint32_t tenantd_error_retry_after_ms(const tenantd_error* error);
void tenantd_error_free(tenantd_error* error); /* NULL is fine */

enum { TENANTD_STREAM = 0, TENANTD_RING = 1 };

typedef struct tenantd_options {
  size_t size;
  const char* socket_path; /* NULL: /run/tenantd/tenantd.sock */
  const void* token;       /* 16 to 64 bytes; NULL: the process's user and groups speak */
  size_t token_size;
  uint32_t transport;       /* TENANTD_RING falls back to the stream */
  uint32_t reserved;        /* 0 */
  uint64_t timeout_ms;      /* of a call that names none; 0: 5000 */
  uint64_t max_per_tenant;  /* pool: contexts of a tenant at once; 0: 8 */
  uint64_t max_idle;        /* pool: attachments kept for the next; 0: 64 */
  uint64_t max_outstanding; /* async: requests without an answer yet; 0: 1024 */
} tenantd_options;
#define TENANTD_OPTIONS_INIT \
  { sizeof(tenantd_options), NULL, NULL, 0, TENANTD_RING, 0, 0, 0, 0, 0 }

/* A context: an attachment to one tenant. */
typedef struct tenantd_context tenantd_context;
typedef struct tenantd_pool tenantd_pool;

/* options NULL: the defaults. */
int tenantd_context_open(const tenantd_options* options, const char* tenant,
                         tenantd_context** context, tenantd_error** error);
/* A pool serves many tenants and threads; a context of it borrows an attachment. */
int tenantd_pool_open(const tenantd_options* options, tenantd_pool** pool, tenantd_error** error);
void tenantd_pool_close(tenantd_pool* pool); /* contexts of it may go on; NULL is fine */
int tenantd_context_enter(tenantd_pool* pool, const char* tenant, uint64_t timeout_ms,
                          tenantd_context** context, tenantd_error** error);
void tenantd_context_close(tenantd_context* context); /* closes or gives back; NULL is fine */
const char* tenantd_context_tenant(const tenantd_context* context); /* NULL outside a context */
/* Calls function(context, argument) and returns what it returns; not at all without a context. */
int tenantd_enforce(tenantd_context* context, int (*function)(tenantd_context*, void*),
                    void* argument, tenantd_error** error);

typedef struct tenantd_route_request {
  size_t size;
  const char* text;
  size_t text_size;
  const float* embedding; /* `dimension` floats, or none; read during the call */
  size_t embedding_size;  /* floats */
  const char* encoder;    /* of the embedding, zero-terminated; NULL: the tenant's */
  const char* user;       /* zero-terminated or NULL */
  const char* department; /* zero-terminated or NULL */
  uint32_t alternatives;
  uint32_t explain;    /* 0 or 1 */
  uint64_t timeout_ms; /* 0: the options' */
  /* ABI 2. With a filter only routes whose id is in only_routes, or with a tag of only_tags, are
   * there for this request; what no route has is ignored. Zero-terminated texts. */
  const char* const* only_routes;
  size_t only_routes_size;
  const char* const* only_tags;
  size_t only_tags_size;
  uint32_t limit; /* answers wanted, at most 64; 0 is 1 */
  uint32_t reserved;
} tenantd_route_request;
#define TENANTD_ROUTE_REQUEST_INIT                                                                \
  {                                                                                               \
    sizeof(tenantd_route_request), NULL, 0, NULL, 0, NULL, NULL, NULL, 3, 0, 0, NULL, 0, NULL, 0, \
        1, 0                                                                                      \
  }

typedef struct tenantd_scored_route {
  const char* route;
  size_t route_size;
  float confidence;
  float dense_score;
  float lexical_score;
  float fused_score;
} tenantd_scored_route;

typedef struct tenantd_matched_word {
  const char* word;
  size_t word_size;
  float weight;
  uint32_t reserved;
} tenantd_matched_word;

enum { TENANTD_KEYWORD = 0, TENANTD_PATTERN = 1 };
/* A match speaks for the route, selects it, excludes it. */
enum { TENANTD_SIGNAL = 0, TENANTD_ALWAYS = 1, TENANTD_NEVER = 2 };

typedef struct tenantd_rule {
  uint32_t kind;
  uint32_t mode;
  const char* text; /* zero-terminated: words in a row, or a regular expression of RE2 */
} tenantd_rule;

typedef struct tenantd_matched_rule {
  const char* route;
  tenantd_rule rule;
} tenantd_matched_rule;

/* Why: 0 matched, 1 below the threshold, 2 no routes, 3 no signal, 4 ambiguous (the second route is
 * nearer than the margin), 5 excluded (the filter and `never` rules left no route). */
typedef struct tenantd_route_reply {
  tenantd_scored_route best;
  uint32_t is_fallback;
  uint32_t reason;
  uint64_t snapshot_version;
  const tenantd_scored_route* alternatives;
  size_t alternatives_size;
  const char* utterance; /* with explain */
  size_t utterance_size;
  const tenantd_matched_word* words; /* with explain */
  size_t words_size;
  float utterance_similarity;
  uint32_t reserved;
  /* ABI 2 */
  const tenantd_scored_route* also; /* further answers, with a limit above 1, best first */
  size_t also_size;
  const tenantd_matched_rule* rules; /* with explain: the best route's that matched, and `never` */
  size_t rules_size;                 /* rules that took a route out */
  /* ABI 4. Where it is from: 0 computed, 1 remembered from the same query, 2 from one that
   * resembles it. */
  uint32_t source;
  float source_similarity; /* 1: 1; 2: the cosine of the two queries */
} tenantd_route_reply;

/* *reply lives until the next call on the context. */
int tenantd_route(tenantd_context* context, const tenantd_route_request* request,
                  const tenantd_route_reply** reply, tenantd_error** error);

typedef struct tenantd_batch_item {
  int code; /* 0: reply is set; else message */
  uint32_t reserved;
  const tenantd_route_reply* reply;
  const char* message;
} tenantd_batch_item;
/* Sent together; items in the requests' order, requests of one size. The timeout is requests[0]'s,
 * for all. */
int tenantd_route_many(tenantd_context* context, const tenantd_route_request* requests,
                       size_t count, const tenantd_batch_item** items, tenantd_error** error);

typedef struct tenantd_utterance {
  const char* text;
  size_t text_size;
  const float* embedding;
  size_t embedding_size;
  const char* encoder; /* zero-terminated or NULL */
} tenantd_utterance;

enum { TENANTD_ADD = 0, TENANTD_PUT = 1, TENANTD_ADD_UTTERANCES = 2, TENANTD_REMOVE = 3 };
typedef struct tenantd_route_edit {
  size_t size;
  uint32_t kind;
  uint32_t has_threshold;
  float threshold;
  uint32_t reserved;
  const char* id;          /* zero-terminated, like the following */
  const char* description; /* or NULL */
  const char* metadata;    /* or NULL */
  const char* const* tags;
  size_t tags_size;
  const tenantd_utterance* utterances;
  size_t utterances_size;
  /* ABI 2 */
  const tenantd_rule* rules;
  size_t rules_size;
  int32_t priority; /* the higher goes first among equals and among `always` rules */
  uint32_t
      aggregation; /* 0 the tenant's, 1 max, 2 mean, 3 top_k_mean, 4 centroid, 5 prototype_mix */
  /* ABI 3 */
  uint32_t has_margin;
  float margin; /* lead in confidence over the second route, instead of the tenant's */
} tenantd_route_edit;

typedef struct tenantd_edited {
  uint64_t snapshot_version;
  uint64_t routes;
  uint64_t utterances;
} tenantd_edited;
/* All or none; acknowledged when on disk. Not sent twice unless it never ran. */
int tenantd_edit_routes(tenantd_context* context, const tenantd_route_edit* edits, size_t count,
                        tenantd_edited* edited, tenantd_error** error);

typedef struct tenantd_route_listing {
  const char* id;
  const char* description;
  const char* metadata;
  const char* const* tags;
  size_t tags_size;
  const char* const* utterances; /* texts */
  size_t utterances_size;        /* of those in this listing */
  uint32_t utterance_count;      /* of the whole route */
  uint32_t has_threshold;
  float threshold;
  uint32_t reserved;
} tenantd_route_listing;
/* Routes in the order of their ids, page by page: begin with after = NULL, go on with *next until
 * it is NULL. Utterances of a long route go on in the next listing of the same id. only: one route.
 */
typedef struct tenantd_page {
  const tenantd_route_listing* routes;
  size_t routes_size;
  const char* next_route;
  uint32_t next_utterance;
  uint32_t more;
} tenantd_page;
int tenantd_routes_page(tenantd_context* context, const char* only, const char* after_route,
                        uint32_t after_utterance, int with_utterances, const tenantd_page** page,
                        tenantd_error** error);
/* ABI 2. What else listing number `index` of the last page has; the page stays. *rules lives until
 * the next call of this function, too. TENANTD_NOT_FOUND: no such number. */
typedef struct tenantd_route_rules {
  const tenantd_rule* rules;
  size_t rules_size;
  int32_t priority;
  uint32_t aggregation;
} tenantd_route_rules;
int tenantd_page_rules(tenantd_context* context, size_t index, tenantd_route_rules* rules,
                       tenantd_error** error);
/* ABI 3. The margin of listing number `index` of the last page, likewise. *has_margin 0: the
 * tenant's. */
int tenantd_page_margin(tenantd_context* context, size_t index, uint32_t* has_margin, float* margin,
                        tenantd_error** error);

typedef struct tenantd_stats {
  uint64_t generation;
  uint64_t routes;
  uint64_t utterances;
  uint64_t requests;
  uint64_t errors;
  uint64_t attachments;
  uint64_t snapshot_version;
  uint32_t store_degraded;
  uint32_t reserved;
} tenantd_stats;
int tenantd_tenant_stats(tenantd_context* context, tenantd_stats* stats, tenantd_error** error);
int tenantd_ping(tenantd_context* context, tenantd_error** error);

/* ABI 4. The tenant's cache in its worker's memory, which all its clients share; empty with a new
 * worker. Keys: 1 to 256 bytes of printable UTF-8; values: any bytes, at most 65,536. */
enum { TENANTD_BYTES = 0, TENANTD_TEXT = 1, TENANTD_JSON = 2 };
typedef struct tenantd_cache_value {
  const void* value;
  size_t value_size;
  uint32_t found;       /* 0: no such key, and nothing else is set */
  uint32_t kind;        /* what the writer said that it is */
  uint64_t ttl_left_ms; /* 0: stays until there is no room */
} tenantd_cache_value;
/* value->value lives until the next call on the context. */
int tenantd_cache_get(tenantd_context* context, const char* key, size_t key_size,
                      tenantd_cache_value* value, tenantd_error** error);
/* ttl_ms 0: none. TENANTD_RESOURCE_EXHAUSTED: alone it is over the tenant's bounds. */
int tenantd_cache_set(tenantd_context* context, const char* key, size_t key_size, const void* value,
                      size_t value_size, uint32_t kind, uint64_t ttl_ms, tenantd_error** error);
/* *removed (may be NULL): 0 or 1, or how many there were. */
int tenantd_cache_delete(tenantd_context* context, const char* key, size_t key_size,
                         uint64_t* removed, tenantd_error** error);
int tenantd_cache_clear(tenantd_context* context, uint64_t* removed, tenantd_error** error);
typedef struct tenantd_cache_stats {
  uint64_t hits;
  uint64_t misses;
  uint64_t entries;
  uint64_t bytes;
  uint64_t evictions;
  uint64_t expirations;
  uint64_t max_entries;
  uint64_t max_bytes;
  uint64_t routing_hits; /* answers of the router that were remembered */
  uint64_t routing_similar_hits;
  uint64_t routing_misses;
  uint64_t routing_entries;
} tenantd_cache_stats;
int tenantd_cache_statistics(tenantd_context* context, tenantd_cache_stats* stats,
                             tenantd_error** error);

/* The worker's, of the last attachment. */
typedef struct tenantd_welcome {
  uint32_t version;
  uint32_t transport;
  uint32_t dimension;
  uint32_t max_batch_size;
  uint64_t generation;
  const char* encoder;
} tenantd_welcome;
int tenantd_context_welcome(tenantd_context* context, tenantd_welcome* welcome,
                            tenantd_error** error);

/* Of this handle. Quantiles are exact to 12.5 %. */
typedef struct tenantd_statistics {
  uint64_t calls;
  uint64_t reconnects;
  uint64_t resends;
  uint64_t timeouts;
  uint64_t late_answers;
  uint64_t goaways;
  uint64_t latency_p50_ns;
  uint64_t latency_p99_ns;
  uint64_t latency_max_ns;
} tenantd_statistics;
int tenantd_context_statistics(tenantd_context* context, tenantd_statistics* statistics,
                               tenantd_error** error);

/* Without waiting: poll tenantd_async_fd() for readability and call tenantd_async_process(). */
typedef struct tenantd_async tenantd_async;
/* code 0: reply is set; else error. Both live during the call. May submit and cancel, not close. */
typedef void (*tenantd_done)(void* user, uint64_t id, int code, const tenantd_route_reply* reply,
                             const tenantd_error* error);
int tenantd_async_open(const tenantd_options* options, const char* tenant, tenantd_async** async,
                       tenantd_error** error);
void tenantd_async_close(tenantd_async* async);   /* outstanding requests end without a call */
int tenantd_async_fd(const tenantd_async* async); /* -1 for NULL */
/* TENANTD_RESOURCE_EXHAUSTED: too many outstanding, again after a callback. */
int tenantd_async_route(tenantd_async* async, const tenantd_route_request* request,
                        tenantd_done done, void* user, uint64_t* id, tenantd_error** error);
int tenantd_async_cancel(tenantd_async* async, uint64_t id); /* 1: done will not be called */
int tenantd_async_process(tenantd_async* async, tenantd_error** error);
int tenantd_async_wait(tenantd_async* async, uint64_t timeout_ms, tenantd_error** error);
size_t tenantd_async_outstanding(const tenantd_async* async);

/* ABI 4. Whether a tenant is isolated as its plan promises; for root, the daemon's own user and its
 * admin group. checks: none for all, or names such as "network". May take seconds, more while other
 * tenants are verified: set a long timeout. *report is the caller's, and what it gives out is its.
 */
typedef struct tenantd_verification tenantd_verification;
typedef struct tenantd_verify_probe {
  const char* name;    /* "network.tcp" */
  const char* check;   /* "network" */
  const char* outcome; /* "passed", "failed", "not promised", "not applicable" */
  const char* evidence;
  uint32_t inside; /* 1: tried by a process that is confined like the tenant's worker */
  uint32_t failed;
} tenantd_verify_probe;
int tenantd_verify(const tenantd_options* options, const char* tenant, const char* const* checks,
                   size_t checks_size, tenantd_verification** report, tenantd_error** error);
int tenantd_verification_all_passed(const tenantd_verification* report); /* 0 for NULL */
const char* tenantd_verification_plan(const tenantd_verification* report);
size_t tenantd_verification_probes(const tenantd_verification* report,
                                   const tenantd_verify_probe** probes);
void tenantd_verification_free(tenantd_verification* report); /* NULL is fine */

#ifdef __cplusplus
}
#endif
