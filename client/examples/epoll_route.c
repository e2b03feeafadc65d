/* Routes every line of its input at once, from an epoll loop, in C99: epoll_route TENANT [SOCKET] <lines
 *
 *   cc -std=c99 epoll_route.c $(pkg-config --cflags-only-I --libs tenantd)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <tenantd/tenantd.h>
#include <unistd.h>

static int failures = 0;

static void on_reply(void* user, uint64_t id, int code, const tenantd_route_reply* reply,
                     const tenantd_error* error) {
  char* line = user;
  (void)id;
  if (code == TENANTD_OK) {
    printf("%s\t%s\t%.3f\n", line, reply->best.route, (double)reply->best.confidence);
  } else {
    printf("%s\t%s\n", line, tenantd_error_message(error));
    ++failures;
  }
  free(line);
}

static int complain(tenantd_error* error) {
  fprintf(stderr, "%s\n", error != NULL ? tenantd_error_message(error) : "out of memory");
  tenantd_error_free(error);
  return 1;
}

int main(int argc, char** argv) {
  char buffer[4096];
  tenantd_options options = TENANTD_OPTIONS_INIT;
  tenantd_async* client = NULL;
  tenantd_error* error = NULL;
  struct epoll_event event;
  int loop = epoll_create1(EPOLL_CLOEXEC);
  if (argc < 2 || loop < 0) return 2;
  if (argc > 2) options.socket_path = argv[2];
  if (tenantd_async_open(&options, argv[1], &client, &error) != TENANTD_OK) return complain(error);

  memset(&event, 0, sizeof event);
  event.events = EPOLLIN;
  epoll_ctl(loop, EPOLL_CTL_ADD, tenantd_async_fd(client), &event);
  while (fgets(buffer, sizeof buffer, stdin) != NULL) {
    tenantd_route_request request = TENANTD_ROUTE_REQUEST_INIT;
    char* line;
    buffer[strcspn(buffer, "\n")] = '\0';
    line = malloc(strlen(buffer) + 1);
    if (line == NULL) return 1;
    strcpy(line, buffer);
    request.text = line;
    request.text_size = strlen(line);
    for (;;) { /* too many outstanding: let some end first */
      int code = tenantd_async_route(client, &request, on_reply, line, NULL, &error);
      if (code == TENANTD_OK) break;
      if (code != TENANTD_RESOURCE_EXHAUSTED) return complain(error);
      tenantd_error_free(error);
      if (tenantd_async_wait(client, 1000, &error) != TENANTD_OK) return complain(error);
    }
  }
  while (tenantd_async_outstanding(client) > 0) {
    if (epoll_wait(loop, &event, 1, -1) > 0 &&
        tenantd_async_process(client, &error) != TENANTD_OK) {
      return complain(error);
    }
  }
  tenantd_async_close(client);
  close(loop);
  return failures == 0 ? 0 : 1;
}
