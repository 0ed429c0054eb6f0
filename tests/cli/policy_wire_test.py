#!/usr/bin/env python3
"""Every template that claims a form on the wire, and every term of the profile, is accepted by the
protocol's own schemas as another validator reads them. Exit code 77 (skipped) when the schemas or
python3-jsonschema are missing."""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import dsp_schemas  # noqa: E402

PROFILE = "urn:tally:profile:1#"


def run(tally, *arguments):
    done = subprocess.run([tally, *arguments], capture_output=True, encoding="utf-8", timeout=30,
                          check=False)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return json.loads(done.stdout)


def with_constraint(constraint):
    return {"@type": "Offer", "@id": "urn:test:offer",
            "permission": [{"action": "use", "constraint": [constraint]}]}


def with_duty(duty):
    return {"@type": "Offer", "@id": "urn:test:offer",
            "permission": [{"action": "use", "duty": [duty]}]}


def main(tally, source):
    schemas = dsp_schemas.load(source)
    if schemas is None:
        return dsp_schemas.SKIPPED

    def faults(policy):
        return schemas.faults(schemas.policy("Offer"), policy)

    bad = checked = 0

    def expect(valid, name, policy):
        nonlocal bad, checked
        checked += 1
        found = faults(policy)
        if bool(found) == valid:
            bad += 1
            print(f"{name}: {found or 'accepted, and it has no form on the wire'}")

    for template in run(tally, "--json", "policy", "templates"):
        values = [text for p in template["parameters"]
                  for text in ("--set", f"{p['name']}={p['example']}")]
        policy = run(tally, "policy", "new", "--template", template["template"], *values)
        policy.pop("@context")
        expect(template["wire"], template["template"], policy)

    terms = run(tally, "--json", "policy", "terms")
    for term in terms["leftOperands"]:
        if not term["leftOperand"].startswith(PROFILE):
            continue
        constraint = {"leftOperand": term["leftOperand"], "operator": term["operators"][0],
                      "rightOperand": {"@value": "1", "@type": "xsd:string"}}
        policy = (with_duty({"action": "use", "constraint": [constraint]})
                  if term["role"] == "parameter" else with_constraint(constraint))
        expect(True, term["leftOperand"], policy)
    for term in terms["actions"]:
        if term["action"].startswith(PROFILE):
            expect(True, term["action"], with_duty({"action": term["action"]}))
    # The check can fail: a constraint as ODRL writes it and the messages cannot.
    expect(False, "a number", with_constraint(
        {"leftOperand": "count", "operator": "lteq", "rightOperand": 3}))
    print(f"{checked} checked, {bad} faults")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], pathlib.Path(sys.argv[2]).resolve()))
