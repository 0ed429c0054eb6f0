#!/usr/bin/env python3
"""The tables of docs/management-api.md, and the descriptions of src/api/openapi, name exactly the routes
that the code has, with their roles."""
import json
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
ROLES = {"anyone": "anyone", "auditor": "auditor", "operates": "operator", "admin": "admin"}
ROUTE = re.compile(
    r'\{"(GET|PUT|POST|DELETE|PATCH)",\s*"(/[^"]*)",\s*(Role::\w+|\w+),\s*(?:Where::\w+|\w+),')


def routes_of(name):
    text = (root / name).read_text(encoding="utf-8")
    return {f"{method} {path}": role for method, path, role in ROUTE.findall(text)}


managed = {key: ROLES[role] for key, role in routes_of("src/api/management_routes.cpp").items()}
data = {key: {"Role::peer": "peer", "Role::app": "application"}[role]
        for name in ("aggregate_routes", "data_routes", "held_routes", "use_receipt_routes")
        for key, role in routes_of(f"src/api/{name}.cpp").items()}
log = {key: ROLES[role.removeprefix("Role::")] for key, role in routes_of("src/api/log_routes.cpp").items()}
described = {key: ROLES[role.removeprefix("Role::")]
             for key, role in routes_of("src/api/openapi_routes.cpp").items()}
coded = managed | data | log | described
# A pattern that no longer fits the code would make this test pass for ever.
assert len(managed) > 20 and len(data) >= 2 and len(log) >= 2 and described, (managed, data, log)

page = (root / "docs/management-api.md").read_text(encoding="utf-8")
written = {}
for line in page.splitlines():
    found = re.match(r"\| `([A-Z]+ /[^`]*)` \| (\w+) \|", line)
    if found:
        written[found.group(1)] = found.group(2)

faults = [f"{key} is not on the page" for key in sorted(coded.keys() - written.keys())]
faults += [f"{key} is on the page and not in the code" for key in sorted(written.keys() - coded.keys())]
faults += [f"{key}: {coded[key]} in the code, {written[key]} on the page"
           for key in sorted(coded.keys() & written.keys()) if coded[key] != written[key]]
# What an answer or an order is called in an example has to have a line in the table.
for key in re.findall(r"^#### `([A-Z]+ /[^`?]*)", page, re.M):
    if key not in coded:
        faults.append(f"{key} has an example and no route")


def once(pairs):
    """An object in which no name stands twice."""
    assert len(dict(pairs)) == len(pairs), [name for name, _ in pairs]
    return dict(pairs)


def description(listener):
    """What a description says: route to role, in the form of the tables."""
    text = (root / "src/api/openapi" / f"{listener}.json").read_text(encoding="utf-8")
    found = {}
    for path, operations in json.loads(text, object_pairs_hook=once)["paths"].items():
        for method, operation in operations.items():
            key = re.sub(r"{(\w+)}", r":\1", path).replace("/:name", "/*")
            found[f"{method.upper()} {key}"] = operation["x-tally-role"]
    return found


applications = {key: "app" for key, role in data.items() if role == "application"}
for listener, routes in (("management", managed | log | described),
                         ("applications", applications | described)):
    told = description(listener)
    for key in sorted(told.keys() | routes.keys()):
        if told.get(key) != routes.get(key):
            faults.append(f"openapi/{listener}.json: {key} is {routes.get(key)} in the code, "
                          f"{told.get(key)} in the description")
for fault in faults:
    print("docs/management-api.md:", fault)
print(f"{len(coded)} routes")
sys.exit(1 if faults else 0)
