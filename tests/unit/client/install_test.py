#!/usr/bin/env python3
"""Installs the client library to a temporary directory and builds the example with what pkg-config says, alone.

usage: install_test.py BUILD_DIR EXAMPLE_SOURCE COMPILER...
Exit 77 (skipped) without pkg-config.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def check_c(root, library_dir, environment, source):
    """The C ABI from the installed header alone, as strict as C99 gets, and by its soname."""
    program = f"{root}/c_abi_check"
    run("gcc", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-o", program, shutil.copy(source, root),
        f"-I{root}/usr/include", f"-L{library_dir}", "-ltenantd", cwd=root)
    assert run(program, env=environment) == "ok\n"
    dynamic = run("readelf", "-d", program)
    assert "[libtenantd.so.0]" in dynamic and "libstdc++" not in dynamic, dynamic
    exported = run("nm", "-D", "--defined-only", f"{library_dir}/libtenantd.so.0")
    functions = {line.split()[2].split("@")[0] for line in exported.splitlines()}
    assert {"tenantd_route", "tenantd_context_enter", "tenantd_async_fd"} <= functions
    inner = [name for name in functions if re.match(r"_ZNK?7tenantd6client", name)]
    assert not inner, inner


def main():
    build_dir, example, *compiler = sys.argv[1:]
    pkg_config = shutil.which("pkg-config")
    if pkg_config is None:
        print("skipped: pkg-config is not installed")
        return 77
    with tempfile.TemporaryDirectory() as root:
        run("meson", "install", "-C", build_dir, "--no-rebuild", "--destdir", root, "--tags", "client,devel")
        found = glob.glob(f"{root}/**/tenantd.pc", recursive=True)
        assert len(found) == 1, found
        library_dir = os.path.dirname(os.path.dirname(found[0]))
        environment = {"PATH": os.environ["PATH"], "PKG_CONFIG_PATH": os.path.dirname(found[0]),
                       "PKG_CONFIG_SYSROOT_DIR": root}
        flags = run(pkg_config, "--cflags", "--libs", "tenantd", env=environment).split()
        assert all(not flag.startswith("-I") or flag.startswith(f"-I{root}") for flag in flags), flags
        program = f"{root}/route"
        # In the temporary directory and from a copy: nothing of the source tree can be found by accident.
        source = shutil.copy(example, f"{root}/route.cpp")
        run(*compiler, "-o", program, source, *flags, cwd=root)
        environment = {"LD_LIBRARY_PATH": library_dir}
        usage = subprocess.run([program], env=environment, stderr=subprocess.PIPE, text=True)
        assert usage.returncode == 2 and "usage:" in usage.stderr, usage
        refused = subprocess.run([program, "../etc", "x"], env=environment, stderr=subprocess.PIPE, text=True)
        assert refused.returncode == 1 and refused.stderr, refused
        check_c(root, library_dir, environment, os.path.join(os.path.dirname(__file__), "c_abi_check.c"))
    print("installed, compiled, linked and ran")
    return 0


if __name__ == "__main__":
    sys.exit(main())
