#!/usr/bin/env python3
"""Divides a staged installation into Debian packages: each file goes into exactly one.

usage: make_debs.py STAGE OUT
Dependencies on shared libraries are what dpkg-shlibdeps finds in the programs. Every file belongs to root.
"""

import gzip
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MAINTAINER = "tenantd developers <tenantd@localhost>"
HOMEPAGE_TEXT = "A semantic router of its own, in a confined process, for every tenant of an AI gateway."

# Name: section, architecture, patterns of paths (the first package that matches takes a file), dependencies beside
# those of dpkg-shlibdeps, one line of description, more text.
PACKAGES = {
    "libtenantd-dev": dict(
        section="libdevel", arch="any",
        files=[r"usr/include/.*", r"usr/lib/[^/]+/libtenantd\.(so|a)", r"usr/lib/[^/]+/pkgconfig/.*"],
        depends=["libtenantd0 (= {version})", "libexpected-dev"],
        summary="client library of tenantd (development)",
        text="Headers for C++20 and C99, the static library and the pkg-config file."),
    "libtenantd0": dict(
        section="libs", arch="any", files=[r"usr/lib/[^/]+/libtenantd\.so\..*"], depends=["{shlibs}"],
        summary="client library of tenantd",
        text="Speaks to a tenant's worker through shared memory or a socket; C++ and C."),
    "python3-tenantd": dict(
        section="python", arch="all", files=[r"usr/lib/python3/.*"],
        depends=["python3 (>= 3.9)", "libtenantd0 (>= {version})"],
        summary="client of tenantd for Python",
        text="Contexts, routing, asyncio and numpy arrays without a copy, on libtenantd0 by ctypes."),
    "tenantd": dict(
        section="net", arch="any", files=[r".*"], depends=["{shlibs}", "adduser | systemd"],
        summary="one confined semantic router per tenant",
        text="The supervisor, its workers and tenantctl. Tenants are files in /etc/tenantd/tenants."),
}
SCRIPTS = {"tenantd": ("postinst", "prerm", "postrm")}


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def version():
    text = (ROOT / "meson.build").read_text(encoding="utf-8")
    return re.search(r"version: '([^']+)'", text).group(1)


def divide(stage):
    """Package → relative paths; a package without files is a mistake of the patterns."""
    taken = {name: [] for name in PACKAGES}
    for path in sorted(p for p in stage.rglob("*") if p.is_symlink() or p.is_file()):
        relative = str(path.relative_to(stage))
        owner = next(name for name, one in PACKAGES.items()
                     if any(re.fullmatch(pattern, relative) for pattern in one["files"]))
        taken[owner].append(relative)
    empty = [name for name, files in taken.items() if not files]
    if empty:
        raise SystemExit(f"make_debs: nothing for {', '.join(empty)} in {stage}: a whole installation is needed")
    return taken


def is_elf(path):
    if path.is_symlink():
        return False
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def copy_files(stage, tree, files):
    for relative in files:
        target = tree / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(stage / relative, target, follow_symlinks=False)
        if is_elf(target):
            run("strip", "--strip-unneeded", "--remove-section=.comment", str(target))
        elif target.suffix == ".a":
            run("strip", "--strip-debug", str(target))


def shared_libraries(tree, name):
    """dpkg-shlibdeps wants a source package around it: a control file is all it reads of one."""
    programs = [str(p) for p in sorted(tree.rglob("*")) if p.is_file() and is_elf(p)]
    with tempfile.TemporaryDirectory() as source:
        control = pathlib.Path(source) / "debian/control"
        control.parent.mkdir()
        control.write_text(f"Source: tenantd\n\nPackage: {name}\nArchitecture: any\n", encoding="utf-8")
        done = subprocess.run(["dpkg-shlibdeps", "-O", "--ignore-missing-info", *programs], cwd=source, text=True,
                              capture_output=True, check=False)
    if done.returncode != 0:  # it also warns of each static program, which has no libraries
        raise SystemExit(done.stderr)
    found = done.stdout
    return found.partition("shlibs:Depends=")[2].strip()


def add_documents(tree, name, epoch):
    folder = tree / "usr/share/doc" / name
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "LICENSE", folder / "copyright")
    with open(folder / "changelog.gz", "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=epoch) as packed:
        packed.write((ROOT / "CHANGELOG.md").read_bytes())


def add_control(tree, name, one, fields):
    control = tree / "DEBIAN"
    control.mkdir()
    files = sorted(p for p in tree.rglob("*") if p.is_file() and not p.is_symlink() and control not in p.parents)
    depends = ", ".join(item for item in (text.format(**fields) for text in one["depends"]) if item)
    size_kib = sum(-(-p.stat().st_size // 1024) for p in files)
    text = textwrap.fill(f"{HOMEPAGE_TEXT} {one['text']}", 76, initial_indent=" ", subsequent_indent=" ")
    (control / "control").write_text(
        f"Package: {name}\nSource: tenantd\nVersion: {fields['version']}\nArchitecture: {fields['arch']}\n"
        f"Maintainer: {MAINTAINER}\nInstalled-Size: {size_kib}\nSection: {one['section']}\nPriority: optional\n"
        f"Depends: {depends}\nDescription: {one['summary']}\n{text}\n", encoding="utf-8")
    (control / "md5sums").write_text("".join(
        f"{hashlib.md5(p.read_bytes()).hexdigest()}  {p.relative_to(tree)}\n" for p in files), encoding="utf-8")
    settings = [f"/{p.relative_to(tree)}\n" for p in files if p.relative_to(tree).parts[0] == "etc"]
    if settings:
        (control / "conffiles").write_text("".join(settings), encoding="utf-8")
    if name == "libtenantd0":
        (control / "shlibs").write_text(f"libtenantd 0 libtenantd0 (>= {fields['version']})\n", encoding="utf-8")
        (control / "triggers").write_text("activate-noawait ldconfig\n", encoding="utf-8")
    for script in SCRIPTS.get(name, ()):
        shutil.copy(HERE / f"{name}.{script}", control / script)
        (control / script).chmod(0o755)


def normalise(tree, epoch):
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def main():
    stage, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    machine = run("dpkg", "--print-architecture").strip()
    out.mkdir(parents=True, exist_ok=True)
    for name, files in divide(stage).items():
        one = PACKAGES[name]
        fields = {"version": version(), "arch": machine if one["arch"] == "any" else "all"}
        with tempfile.TemporaryDirectory() as folder:
            tree = pathlib.Path(folder) / "tree"
            tree.mkdir()
            copy_files(stage, tree, files)
            fields["shlibs"] = shared_libraries(tree, name) if "{shlibs}" in one["depends"] else ""
            add_documents(tree, name, epoch)
            add_control(tree, name, one, fields)
            normalise(tree, epoch)
            package = out / f"{name}_{fields['version']}_{fields['arch']}.deb"
            run("dpkg-deb", "--root-owner-group", "-z4", "--build", str(tree), str(package))
            print(package)


if __name__ == "__main__":
    main()
