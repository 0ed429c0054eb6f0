#!/usr/bin/env python3
"""The containers: what the files promise, and the two organisations that they start, here as processes
on two hosts of their own in place of containers."""
import json
import os
import pathlib
import re
import sys
import tempfile

import packaging

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "docs"))
import two_hosts  # noqa: E402


def check_image(text, faults):
    steps = re.findall(r"^([A-Z]+) ((?:.*\\\n)*.*)$", text, re.M)
    users = [value for name, value in steps if name == "USER"]
    if users != ["10001:10001"]:
        faults.append("Dockerfile: USER %s" % users)
    after = [name for name, _ in steps][[name for name, _ in steps].index("USER"):]
    if "RUN" in after or "COPY" in after:
        faults.append("Dockerfile: something is written after USER")
    entry = dict(steps).get("ENTRYPOINT")
    if entry is None or json.loads(entry) != ["tallyd"]:
        faults.append("Dockerfile: ENTRYPOINT %s" % entry)
    if set(json.loads(dict(steps)["VOLUME"])) != {"/var/lib/tally", "/var/lib/tally-keys"}:
        faults.append("Dockerfile: VOLUME %s" % dict(steps)["VOLUME"])


def check_compose(compose, faults):
    services = compose["services"]
    if set(services) != {"alpha.example", "beta.example"}:
        faults.append("compose.yaml: services %s" % set(services))
    owners = {}
    for name, service in services.items():
        for member, promised in (("user", "10001:10001"), ("read_only", True), ("cap_drop", ["ALL"]),
                                 ("security_opt", ["no-new-privileges:true"])):
            if service.get(member) != promised:
                faults.append("compose.yaml: %s: %s is %r" % (name, member, service.get(member)))
        for bad in ("privileged", "network_mode", "pid", "cap_add", "ports"):
            if bad in service:
                faults.append("compose.yaml: %s has %s" % (name, bad))
        for volume in service["volumes"]:
            owners.setdefault(volume.split(":")[0], []).append(name)
    shared = {volume for volume, who in owners.items() if len(who) > 1}
    if shared != {"exchange", "./organisation"}:
        faults.append("compose.yaml: both have %s" % shared)
    if {volume for volume in owners if not volume.startswith("./")} != set(compose["volumes"]):
        faults.append("compose.yaml: volumes %s" % set(compose["volumes"]))


def check_kubernetes(documents, faults):
    pod = documents[0]["spec"]
    container = pod["template"]["spec"]["containers"][0]["securityContext"]
    if pod["replicas"] != 1 or not pod["template"]["spec"]["securityContext"]["runAsNonRoot"]:
        faults.append("kubernetes.yaml: replicas or user")
    if container != {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                     "capabilities": {"drop": ["ALL"]}}:
        faults.append("kubernetes.yaml: %s" % container)
    if documents[1]["spec"]["externalTrafficPolicy"] != "Local":
        faults.append("kubernetes.yaml: the Service hides who comes")


def play(source, build, folder):
    """Runs docker/organisation as both, and asks Beta for Alpha's catalogue."""
    os.mkdir(folder + "/exchange")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TALLY_")}
    environment |= {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TALLY_EXCHANGE": folder + "/exchange",
                    "PATH": "%s:%s:%s" % (build / "bin", source / "certs", os.environ["PATH"])}
    hosts = two_hosts.TwoHosts(folder, ("alpha.example", "beta.example"), environment)
    alpha, beta = hosts.hosts
    serve = ('export TALLY_DATA=$PWD/data TALLY_KEYS=$PWD/keys TALLY_CONNECTOR=$PWD/data/connector; '
             'mkdir data keys; %s/docker/organisation %s >log 2>&1 &')
    ready = ('for i in $(seq 300); do tally status >/dev/null 2>&1 && break; sleep 0.1; done; '
             'tally status || { cat log; false; }')
    try:
        for host, commands in (
                (alpha, serve % (source, "alpha beta authority")), (beta, serve % (source, "beta alpha")),
                (alpha, ready), (beta, ready),
                (beta, "tally catalog trial:did:web:alpha.example")):
            printed, good = host.run(commands)
            if not good:
                return ["%s: %s" % (commands, printed)]
        return [] if "measurements" in printed else ["the catalogue: " + printed]
    finally:
        hosts.close()


def main():
    arguments = packaging.arguments()
    try:
        import yaml
    except ImportError:
        packaging.skip("there is no python3-yaml")
    faults = []
    docker, proxies = arguments.source / "docker", arguments.source / "packaging/proxies"
    check_image((docker / "Dockerfile").read_text(encoding="utf-8"), faults)
    check_compose(yaml.safe_load((docker / "compose.yaml").read_text(encoding="utf-8")), faults)
    check_kubernetes(list(yaml.safe_load_all((proxies / "kubernetes.yaml").read_text())), faults)
    annotations = yaml.safe_load((proxies / "kubernetes-ingress.yaml").read_text())["metadata"][
        "annotations"]
    if annotations != {"nginx.ingress.kubernetes.io/ssl-passthrough": "true"}:
        faults.append("kubernetes-ingress.yaml: %s" % annotations)
    try:
        two_hosts.enter_namespace()
        with tempfile.TemporaryDirectory(prefix="tally-containers-") as folder:
            faults += play(arguments.source, arguments.build, folder)
    except two_hosts.NotPermitted as why:
        if not faults:
            packaging.skip(str(why))
    packaging.finish("containers", faults)


if __name__ == "__main__":
    sys.exit(main())
