#!/usr/bin/env python3
"""The Debian package: made from this build, unpacked into a bare folder, and its tallyd starts there.

What it depends on is held against what its programs load, and the bill of materials against both."""
import json
import os
import pathlib
import re
import sys
import tempfile

import packaging

EXPECTED = """
usr/bin/tally usr/bin/tallyd usr/bin/tally-authority usr/lib/systemd/system/tallyd@.service
usr/lib/sysusers.d/tally.conf usr/lib/tmpfiles.d/tally.conf usr/share/man/man1/tally.1.gz
usr/share/man/man1/tally-authority.1.gz usr/share/man/man8/tallyd.8.gz
usr/share/man/zh_CN/man1/tally.1.gz usr/share/bash-completion/completions/tally
usr/share/bash-completion/completions/tallyd usr/share/zsh/vendor-completions/_tally
usr/share/doc/tally/copyright usr/share/doc/tally/tally.cdx.json
usr/share/doc/tally/packaging/proxies/haproxy.cfg
usr/share/doc/tally/packaging/monitoring/grafana.json usr/share/doc/tally/docker/compose.yaml
usr/share/doc/tally/docs/operations.md usr/share/doc/tally/docs/first-exchange.zh.md
""".split()


def libraries(program):
    printed = packaging.run("ldd", program).stdout
    if "not found" in printed:
        sys.exit("%s: %s" % (program, printed))
    return [os.path.realpath(name) for name in re.findall(r"=> (/\S+)", printed)]


def owner(library):
    for name in (library, library.removeprefix("/usr")):
        found = packaging.run("dpkg-query", "-S", name, check=False)
        if found.returncode == 0:
            return found.stdout.split(":")[0]
    sys.exit("no package has " + library)


def main():
    arguments = packaging.arguments()
    packaging.need("dpkg-deb", "dpkg-shlibdeps", "cpack", "ldd")
    build = arguments.build
    packaging.run("cmake", "--build", build, "--target", "pages", "sbom")
    faults = []
    with tempfile.TemporaryDirectory(prefix="tally-deb-") as folder:
        # As somebody builds whose files are for nobody else.
        packaging.run("cpack", "--config", build / "CPackConfig.cmake", "-B", folder,
                      "-D", "CPACK_DEBIAN_COMPRESSION_TYPE=gzip", cwd=build, umask=0o077)
        (package,) = pathlib.Path(folder).glob("*.deb")
        root = pathlib.Path(folder) / "root"
        packaging.run("dpkg-deb", "-x", package, root)
        for line in packaging.run("dpkg-deb", "-c", package).stdout.splitlines():
            mode, whose = line.split()[:2]
            if whose != "root/root" or mode not in ("drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--"):
                faults.append("in the package: " + line)
        control = packaging.run("dpkg-deb", "-f", package).stdout
        print(control)
        for name in EXPECTED:
            if not (root / name).is_file():
                faults.append("the package lacks " + name)

        programs = [root / "usr/bin/tally", root / "usr/bin/tallyd"]
        depends = set(re.findall(r"([a-z0-9.+-]+)(?: \([^)]*\))?", re.search(
            r"^Depends: (.*)$", control, re.M).group(1)))
        bill = json.loads((root / "usr/share/doc/tally/tally.cdx.json").read_text())
        named = {one["name"] for one in bill["components"]}
        loaded = {owner(library) for program in programs for library in libraries(program)}
        # What a library loads itself is its own package's business.
        if not {"libc6", "libssl3", "libsqlite3-0"} <= depends & loaded & named:
            faults.append("Depends %s, loaded %s" % (sorted(depends), sorted(loaded)))
        if not depends <= named:
            faults.append("the bill of materials lacks %s" % sorted(depends - named))
        if not loaded <= named:
            faults.append("the bill of materials lacks %s" % sorted(loaded - named))
        if bill["bomFormat"] != "CycloneDX" or not {"libboost1.81-dev", "nlohmann-json3-dev"} <= named:
            faults.append("the bill of materials lacks what is compiled in")

        # What was unpacked works: a connector is made, enrolled, looked through and started.
        tally, tallyd = programs
        authority = packaging.Authority(arguments.source, folder)
        authority.program = root / "usr/bin/tally-authority"
        connector = authority.enrol(
            tally, folder, "one", "https://localhost:%d" % packaging.free_port(),
            "--apps-port", packaging.free_port(), "--management-port", packaging.free_port())
        print(packaging.run(tallyd, "--check", connector).stderr)
        daemon = packaging.Daemon([tallyd], connector).await_text('"daemon.serving"')
        if daemon.stop() != 0:
            faults.append("tallyd did not end cleanly:\n" + daemon.text())
    packaging.finish("package", faults)


if __name__ == "__main__":
    sys.exit(main())
