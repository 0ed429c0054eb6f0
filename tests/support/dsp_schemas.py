"""The protocol's JSON schemas as another validator reads them: the folder is beside the project,
and python3-jsonschema may be missing; then `load` says so and returns None."""
import json
import os
import warnings

SKIPPED = 77  # what ctest takes for skipped
POLICIES = "https://w3id.org/dspace/2025/1/negotiation/contract-schema.json"
# Three schemas refer to a definition without the slash after '#'; no validator can resolve that.
BROKEN_REF, REPAIRED_REF = "#definitions/", "#/definitions/"


def repaired(value):
    if isinstance(value, dict):
        return {k: v.replace(BROKEN_REF, REPAIRED_REF) if k == "$ref" else repaired(v)
                for k, v in value.items()}
    return [repaired(v) for v in value] if isinstance(value, list) else value


class Schemas:
    def __init__(self, jsonschema, folder):
        schemas = [repaired(json.loads(p.read_text())) for p in sorted(folder.rglob("*-schema.json"))]
        self.jsonschema, self.folder = jsonschema, folder
        self.by_id = {s["$id"]: s for s in schemas}
        self.by_name = {i.rsplit("/", 1)[1]: s for i, s in self.by_id.items()}

    def faults(self, schema, value):
        resolver = self.jsonschema.RefResolver(schema.get("$id", ""), schema, store=dict(self.by_id))
        validator = self.jsonschema.Draft201909Validator(schema, resolver=resolver)
        return [f"{list(e.absolute_path)}: {e.message[:200]}" for e in validator.iter_errors(value)]

    @staticmethod
    def policy(name):
        return {"$ref": f"{POLICIES}#/definitions/{name}"}


def load(source):
    folder = source / ".." / "shared"
    if "TALLY_SHARED" in os.environ:
        folder = type(source)(os.environ["TALLY_SHARED"])
    folder = folder / "dsp-schemas"
    if not folder.is_dir():
        print("skipped: the folder with the protocol's schemas is not there")
        return None
    try:
        warnings.simplefilter("ignore", DeprecationWarning)
        import jsonschema
    except ImportError:
        print("skipped: python3-jsonschema is not installed")
        return None
    return Schemas(jsonschema, folder)
