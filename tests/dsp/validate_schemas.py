#!/usr/bin/env python3
"""Validates our example messages, which dsp_test proves equal to what we write, against the
protocol's JSON schemas. Exit code 77 (skipped) when the schemas or python3-jsonschema are missing."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
import dsp_schemas  # noqa: E402


def schema_name(message):
    """TransferStartMessage → transfer-start-message-schema.json; None: version metadata."""
    kind = message.get('@type')
    if kind is None:
        return 'protocol-version-schema.json'
    words = ''.join('-' + c.lower() if c.isupper() else c for c in kind).strip('-')
    return words + '-schema.json'


def main(source):
    schemas = dsp_schemas.load(source)
    if schemas is None:
        return dsp_schemas.SKIPPED
    by_name, faults, policy_schema = schemas.by_name, schemas.faults, schemas.policy

    bad = checked = 0

    def expect_valid(where, schema, value):
        nonlocal bad, checked
        checked += 1
        for fault in faults(schema, value):
            bad += 1
            print(f'{where}: {fault}')

    data = source / 'tests/data/dsp'
    messages = {p.stem: json.loads(p.read_text()) for p in sorted((data / 'messages').glob('*.json'))}
    for name, message in messages.items():
        expect_valid(name, by_name[schema_name(message)], message)

    # The check must be able to fail: every refused policy that a peer could send and that the
    # schema can judge is refused by the schema as well.
    offers = {'catalogue': ('Offer', messages['dataset']['hasPolicy'][0]),
              'message': ('MessageOffer', messages['contract-request']['offer']),
              'agreement': ('Agreement', messages['contract-agreement']['agreement'])}
    # By the text or by our own reading, not by the schema.
    text_only = {'RuleTarget', 'ObligationTarget', 'RightNumberInList', 'RightNumberInValue',
                 'NoTarget', 'No_timestamp', 'TimestampWithTail', 'DutyWithoutAction'}
    for case in json.loads((data / 'bad-policies.json').read_text()):
        if case['origin'] != 'peer' or case['name'] in text_only:
            continue
        definition, base = offers[case['form']]
        policy = json.loads(json.dumps(base))
        for change in case['change']:
            *parents, last = [p.replace('~1', '/') for p in change['at'].split('/')[1:]]
            node = policy
            for step in parents:
                node = node[int(step)] if isinstance(node, list) else node[step]
            last = int(last) if isinstance(node, list) else last
            if change.get('remove'):
                del node[last]
            else:
                node[last] = change['value']
        checked += 1
        if not faults(policy_schema(definition), policy):
            bad += 1
            print(f'{case["form"]} {case["name"]}: we refuse it, the schema does not')
    print(f'{checked} checked, {bad} faults')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
