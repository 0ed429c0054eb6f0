"""As much of JSON Schema 2020-12 as the descriptions of src/api/openapi use. What a schema says and
this does not know is an error, so that nothing passes unread."""
import re

KNOWN = {"type", "required", "properties", "additionalProperties", "items", "enum", "const", "anyOf",
         "allOf", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "format",
         "description", "$ref", "contentMediaType"}
TYPES = {"string": str, "object": dict, "array": list, "boolean": bool, "null": type(None)}


class Description:
    def __init__(self, document):
        self.document = document

    def resolve(self, part):
        while "$ref" in part:
            found = self.document
            for name in part["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            part = found
        return part

    def operation(self, method, path):
        return self.document["paths"][path][method.lower()]

    def faults_of_answer(self, method, path, answer):
        """Why an answer is not what the description says."""
        responses = self.operation(method, path)["responses"]
        said = self.resolve(responses.get(str(answer.status)) or responses["default"])
        content = said.get("content", {})
        if not content:
            return ["a body where none is described"] if answer.body else []
        kind = answer.headers.get("content-type", "").split(";")[0]
        if kind not in content and "*/*" not in content:
            return ["%s where %s is described" % (kind, sorted(content))]
        if not kind.endswith("json"):
            return []
        return list(self.faults(content[kind]["schema"], answer.json(), ""))

    def members(self, schema):
        """The names that a schema and its parts describe."""
        names = set(schema.get("properties", ()))
        parts = [self.resolve(schema)] if "$ref" in schema else []
        for part in [*parts, *schema.get("allOf", ()), *schema.get("anyOf", ())]:
            names |= self.members(part)
        return names

    def faults(self, schema, value, at, known=frozenset()):
        """`known`: members that another part of the same schema describes."""
        known = known | self.members(schema)
        unknown = set(schema) - KNOWN
        if unknown:
            yield "%s: the schema says %s" % (at, sorted(unknown))
        if "$ref" in schema:
            yield from self.faults(self.resolve(schema), value, at, known)
        if "type" in schema and not self.is_of(schema["type"], value):
            yield "%s: %r is no %s" % (at, value, schema["type"])
            return
        if "const" in schema and value != schema["const"]:
            yield "%s: %r is not %r" % (at, value, schema["const"])
        if "enum" in schema and value not in schema["enum"]:
            yield "%s: %r is none of %r" % (at, value, schema["enum"])
        for part in schema.get("allOf", ()):
            yield from self.faults(part, value, at, known)
        if "anyOf" in schema and all(list(self.faults(part, value, at, known))
                                     for part in schema["anyOf"]):
            yield "%s: %r fits none of %d" % (at, value, len(schema["anyOf"]))
        if isinstance(value, str):
            yield from self.faults_of_text(schema, value, at)
        if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get(
                "maximum", value):
            yield "%s: %d is out of bounds" % (at, value)
        if isinstance(value, list):
            if len(value) < schema.get("minItems", 0):
                yield "%s: too few" % at
            for place, item in enumerate(value):
                yield from self.faults(schema.get("items", {}), item, "%s/%d" % (at, place))
        if isinstance(value, dict):
            yield from self.faults_of_members(schema, value, at, known)

    @staticmethod
    def faults_of_text(schema, value, at):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield "%s: %r does not fit %s" % (at, value, schema["pattern"])
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            yield "%s: a text of %d" % (at, len(value))
        if schema.get("format") == "date-time" and not re.fullmatch(
                r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value):
            yield "%s: %r is no time" % (at, value)

    def faults_of_members(self, schema, value, at, known):
        for name in schema.get("required", ()):
            if name not in value:
                yield "%s: no %s" % (at, name)
        properties = schema.get("properties", {})
        # Members may come with later versions; those of this one are all described.
        more = schema.get("additionalProperties", not properties)
        for name, member in value.items():
            if name in properties:
                yield from self.faults(properties[name], member, at + "/" + name)
            elif more is False and name not in known:
                yield "%s: %s is not described" % (at, name)
            elif not isinstance(more, bool):
                yield from self.faults(more, member, at + "/" + name)

    @staticmethod
    def is_of(types, value):
        for name in [types] if isinstance(types, str) else types:
            if name == "integer" and isinstance(value, int) and not isinstance(value, bool):
                return True
            if name in TYPES and isinstance(value, TYPES[name]):
                return True
        return False
