// tenantctl: the command line of tenantd, for operators and scripts.
//
// Runs as its user and has no rights of its own: the daemon decides what its credential grants.
#include "client/tenantctl/commands/application.h"

int main(int count, char** arguments) { return tenantd::run_tenantctl(count, arguments); }
