"""A description whose requests name, half of the time, what a connector really has. Else nearly all
that a fuzzer asks for ends at an id that nobody knows. What answers are held against stays as it is."""
import json

from connectors import COHORT, HEALTH, RESEARCH

SCHEMAS = "#/components/schemas/"
# Of the places at which a fact about a person or a receipt may stand, so many.
MOST_NUMBERS = 40


def names_in_paths(side):
    """What is there, by the part of a path that stands before it."""
    agreements, negotiations, transfers, artefacts, holds, assets, policies, apps = (
        [one["id"] for one in side.items(kind)]
        for kind in ("agreements", "negotiations", "transfers", "artefacts", "holds", "assets",
                     "policies", "apps"))
    log = side.get("/api/v1/status")["log"]
    numbers = [str(seq) for seq in range(0, log["size"], log["size"] // MOST_NUMBERS + 1)]
    waiting = [one["id"] for one in side.items("approvals")]
    return {"agreements": agreements, "my-agreements": agreements, "data": agreements,
            "exports": agreements, "aggregates": agreements, "negotiations": negotiations,
            "approvals": waiting, "transfers": transfers, "artefacts": artefacts,
            "lineage": artefacts, "holds": holds, "assets": assets, "policies": policies,
            "apps": apps, "private": numbers, "use-receipts": numbers,
            "witness": [one["origin"] for one in side.get("/api/v1/witness")["witnessed"]]}


def names_in_bodies(side, other, paths):
    """The same, by the member of a body or of a query that has it."""
    agreements = paths["agreements"]
    return {"agreement": agreements, "asset": [COHORT], "target": agreements + [COHORT],
            "app": paths["apps"], "artefact": paths["artefacts"], "domain": [HEALTH],
            "uri": [other.uri, side.uri], "offer": [COHORT + ":offer"], "purposes": [[RESEARCH]],
            "purpose": [RESEARCH, [RESEARCH]], "input": [[one] for one in agreements],
            "policy": [{"permission": [{"action": "use"}]}],
            "action": ["http://www.w3.org/ns/odrl/2/read"]}


def also(schema, values):
    return {"anyOf": [{"enum": values}, schema]} if values else schema


def put(part, members):
    """Changes every member of that name, however deep."""
    if isinstance(part, list):
        for one in part:
            put(one, members)
    elif isinstance(part, dict):
        for one in part.values():
            put(one, members)
        properties = part.get("properties")
        if isinstance(properties, dict):
            for name in properties.keys() & members.keys():
                properties[name] = also(properties[name], members[name])


def copied(part, members):
    """A schema that is asked by, apart from the one of the same name that answers are held against."""
    made = json.loads(json.dumps(part).replace(SCHEMAS, SCHEMAS + "Asked"))
    put(made, members)
    return made


def with_real_names(document, side, other):
    paths = names_in_paths(side)
    members = names_in_bodies(side, other, paths)
    for path, operations in document["paths"].items():
        before = path.removeprefix("/api/v1/").split("/")[0]
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                if parameter.get("in") == "path":
                    parameter["schema"] = also(parameter["schema"], paths.get(before))
                elif parameter.get("in") == "query":
                    parameter["schema"] = also(parameter["schema"], members.get(parameter["name"]))
            if "requestBody" in operation:
                operation["requestBody"] = copied(operation["requestBody"], members)
    schemas = document["components"]["schemas"]
    schemas.update({"Asked" + name: copied(schema, members)
                    for name, schema in list(schemas.items())})
    return document
