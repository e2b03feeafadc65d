/* The C ABI without a server: what is refused, how errors come out, what NULL does. C99, pedantic. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <tenantd/tenantd.h>

static int failed = 0;
#define EXPECT(condition)                                  \
  do {                                                     \
    if (!(condition)) {                                    \
      fprintf(stderr, "%d: %s\n", __LINE__, #condition);   \
      failed = 1;                                          \
    }                                                      \
  } while (0)

static int never(tenantd_context* context, void* argument) {
  (void)context;
  *(int*)argument = 1;
  return 0;
}

/* What a program that was built with a later header would pass. */
struct later_options {
  tenantd_options known;
  uint64_t unknown;
};

int main(void) {
  tenantd_route_request request = TENANTD_ROUTE_REQUEST_INIT;
  const tenantd_route_reply* reply = NULL;
  tenantd_context* context = NULL;
  tenantd_async* async = NULL;
  tenantd_pool* pool = NULL;
  tenantd_error* error = NULL;
  tenantd_verification* verification = NULL;
  struct later_options later = {TENANTD_OPTIONS_INIT, 0};
  tenantd_options options = TENANTD_OPTIONS_INIT;
  int called = 0;

  EXPECT(tenantd_abi_version() == TENANTD_ABI_VERSION);
  EXPECT(strcmp(tenantd_code_name(TENANTD_NO_TENANT), "no_tenant") == 0);
  EXPECT(strcmp(tenantd_code_name(999), "unknown") == 0);

  /* Outside a context: every call says no_tenant and does nothing. */
  EXPECT(tenantd_route(NULL, &request, &reply, &error) == TENANTD_NO_TENANT);
  EXPECT(error != NULL && tenantd_error_code(error) == TENANTD_NO_TENANT);
  EXPECT(strlen(tenantd_error_hint(error)) > 0);
  tenantd_error_free(error);
  EXPECT(tenantd_ping(NULL, NULL) == TENANTD_NO_TENANT);
  EXPECT(tenantd_enforce(NULL, never, &called, NULL) == TENANTD_NO_TENANT && called == 0);
  EXPECT(tenantd_context_open(&options, NULL, &context, NULL) == TENANTD_NO_TENANT);
  EXPECT(tenantd_async_open(&options, NULL, &async, NULL) == TENANTD_NO_TENANT);
  EXPECT(tenantd_async_process(NULL, NULL) == TENANTD_NO_TENANT);
  EXPECT(tenantd_context_tenant(NULL) == NULL && tenantd_async_fd(NULL) == -1);

  EXPECT(tenantd_verify(&options, NULL, NULL, 0, &verification, NULL) == TENANTD_NO_TENANT);
  EXPECT(tenantd_verification_all_passed(NULL) == 0 && tenantd_verification_plan(NULL) == NULL);
  EXPECT(tenantd_verification_probes(NULL, NULL) == 0);
  tenantd_verification_free(NULL);

  options.socket_path = "/nonexistent/tenantd.sock";
  options.timeout_ms = 20;
  EXPECT(tenantd_verify(&options, "acme", NULL, 0, &verification, &error) == TENANTD_UNAVAILABLE);
  EXPECT(verification == NULL && error != NULL);
  tenantd_error_free(error);
  EXPECT(tenantd_context_open(&options, "acme", &context, &error) == TENANTD_UNAVAILABLE);
  EXPECT(context == NULL && error != NULL && strcmp(tenantd_error_tenant(error), "acme") == 0);
  tenantd_error_free(error);
  options.token = "short";
  options.token_size = 5;
  EXPECT(tenantd_context_open(&options, "acme", &context, &error) == TENANTD_INVALID_ARGUMENT);
  EXPECT(error != NULL && strcmp(tenantd_error_field(error), "token") == 0);
  tenantd_error_free(error);

  /* A request of the first version, without what came later. */
  request.size = offsetof(tenantd_route_request, only_routes);
  EXPECT(tenantd_route_many(NULL, &request, 1, NULL, NULL) == TENANTD_NO_TENANT);
  EXPECT(tenantd_page_rules(NULL, 0, NULL, NULL) == TENANTD_NO_TENANT);
  EXPECT(tenantd_page_margin(NULL, 0, NULL, NULL, NULL) == TENANTD_NO_TENANT);

  EXPECT(tenantd_cache_get(NULL, "k", 1, NULL, NULL) == TENANTD_NO_TENANT);
  EXPECT(tenantd_cache_set(NULL, "k", 1, "v", 1, TENANTD_TEXT, 0, NULL) == TENANTD_NO_TENANT);
  EXPECT(tenantd_cache_delete(NULL, "k", 1, NULL, NULL) == TENANTD_NO_TENANT);
  EXPECT(tenantd_cache_clear(NULL, NULL, NULL) == TENANTD_NO_TENANT);
  EXPECT(tenantd_cache_statistics(NULL, NULL, NULL) == TENANTD_NO_TENANT);

  /* Structures of other versions: unknown fields only pass while they are zero. */
  later.known.size = sizeof later;
  EXPECT(tenantd_pool_open(&later.known, &pool, NULL) == TENANTD_OK);
  tenantd_pool_close(pool);
  pool = NULL;
  later.unknown = 1;
  EXPECT(tenantd_pool_open(&later.known, &pool, &error) == TENANTD_INVALID_ARGUMENT);
  tenantd_error_free(error);
  later.known.size = 0;
  EXPECT(tenantd_pool_open(&later.known, &pool, NULL) == TENANTD_INVALID_ARGUMENT);

  EXPECT(tenantd_pool_open(NULL, &pool, NULL) == TENANTD_OK);
  EXPECT(tenantd_context_enter(pool, "../etc", 10, &context, NULL) == TENANTD_INVALID_ARGUMENT);
  EXPECT(tenantd_context_enter(pool, NULL, 10, &context, NULL) == TENANTD_NO_TENANT);
  tenantd_pool_close(pool);
  tenantd_context_close(NULL);
  tenantd_async_close(NULL);
  tenantd_error_free(NULL);
  puts(failed ? "failed" : "ok");
  return failed;
}
