# shellcheck shell=bash
# What the scripts of this folder share. Sourced, never run; the sourcing script has set -euo pipefail.

repo_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly repo_root
# Another clone's objects serve here too: paths in a build are relative.
export CCACHE_NOHASHDIR=1

say() { printf '\n==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
die() {
  printf '%s: %s\n' "$(basename "$0")" "$1" >&2
  shift
  local line
  for line in "$@"; do printf '    %s\n' "$line" >&2; done
  exit 1
}
usage_error() {
  printf '%s: %s (--help shows the options)\n' "$(basename "$0")" "$1" >&2
  exit 2
}

# Prints the packages of the named groups that are not installed, one a line.
missing_packages() {
  local group package
  for group in "$@"; do
    while read -r package; do
      [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) == installed ]] ||
        printf '%s\n' "$package"
    done < <(awk -v group="$group" '$1 == group { print $2 }' "$repo_root/scripts/packages.txt")
  done | sort -u
}

# Installs what the named groups lack. Does nothing, and asks nobody, when nothing is missing.
require_packages() {
  if ! command -v dpkg-query >/dev/null; then
    note "not a Debian system: expecting the equivalents of scripts/packages.txt to be installed"
    return 0
  fi
  local missing as_root=()
  mapfile -t missing < <(missing_packages "$@")
  [[ ${#missing[@]} -gt 0 ]] || return 0
  if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null || die "these Debian packages are missing, and this is neither root nor a user with sudo:" \
      "${missing[*]}" "as root: apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    as_root=(sudo)
    # Without a terminal nobody could answer sudo's question.
    [[ -t 0 ]] || as_root+=(-n)
  fi
  say "Installing ${#missing[@]} Debian packages: ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update ||
    note "apt-get update failed; trying with the lists that are here"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
    --no-install-recommends "${missing[@]}" >/dev/null ||
    die "could not install the missing Debian packages:" "${missing[*]}"
}

# configure_build DIR OPTION...: a configured meson build directory; cheap when it already is.
configure_build() {
  local dir=$1
  shift
  if [[ -d $dir && ! -w $dir ]]; then
    die "$dir belongs to somebody else ($(stat -c %U "$dir"))" "name another one with --build-dir"
  fi
  if [[ -f $dir/build.ninja ]]; then
    return 0
  fi
  mkdir -p "$dir"
  if ! meson setup "$dir" "$repo_root" "$@" >"$dir/setup.log" 2>&1; then
    tail -n 20 "$dir/setup.log" >&2
    die "meson could not configure $dir; all of it is in $dir/setup.log"
  fi
}

# The optimised build that quickstart, test and bench share: asserts stay on in it.
configure_release() { configure_build "$1" --prefix=/usr --buildtype=release -Db_ndebug=false; }

# build_targets DIR [TARGET...]: compiles with ninja's own progress line.
build_targets() {
  local dir=$1
  shift
  ninja -C "$dir" "$@" || die "the build in $dir failed"
}

# stage_install BUILD STAGE: an installation under STAGE, laid out like a real one.
stage_install() {
  DESTDIR=$2 meson install -C "$1" --no-rebuild --quiet >/dev/null ||
    die "meson install into $2 failed"
}
