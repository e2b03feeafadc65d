// The two large headers that every command includes, compiled once. Used by the build only, as the main file of
// a compilation (so without a guard); no source names it.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
