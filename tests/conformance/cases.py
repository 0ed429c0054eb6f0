"""The tests of the public conformance kit (Dataspace Protocol TCK 1.0.0-RC6), and what a connector
has to do by itself in each, as rules of docs/reactions.md.

A connector under test sees no test, only the asset or the agreement that the kit was told to name in
it; so each test has its own, and everything that no row says is left to the kit."""

GROUPS = ("MET", "CAT", "CN", "CN_C", "TP", "TP_C")

# Group: (process, role of the connector under test, what names the test, prefix of that name).
PROCESSES = {
    "CN": ("negotiation", "provider", "asset", "ACN"),
    "CN_C": ("negotiation", "consumer", "asset", "ACNC"),
    "TP": ("transfer", "provider", "agreement", "ATP"),
    "TP_C": ("transfer", "consumer", "agreement", "ATPC"),
}

STATES = {
    "negotiation": ("REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED"),
    "transfer": ("REQUESTED", "STARTED", "SUSPENDED"),
}

# Test: "STATE act" for each state that the connector reacts to; "STATE/2 act" when it gets there for
# the second time alone. Without a number it is every time.
CASES = {
    "MET:01-01": (),
    "CAT:01-01": (),
    "CAT:01-02": (),
    "CAT:01-03": (),

    "CN:01-01": ("REQUESTED offer",),
    "CN:01-02": ("REQUESTED/1 offer", "REQUESTED/2 terminate"),
    "CN:01-03": ("REQUESTED offer", "ACCEPTED agree", "VERIFIED finalize"),
    "CN:01-04": ("REQUESTED agree", "VERIFIED finalize"),
    "CN:02-01": ("REQUESTED terminate",),
    "CN:02-02": (),
    "CN:02-03": ("REQUESTED agree",),
    "CN:02-04": ("REQUESTED offer",),
    "CN:02-05": ("REQUESTED offer", "OFFERED terminate"),
    "CN:02-06": ("REQUESTED offer", "ACCEPTED terminate"),
    "CN:02-07": ("REQUESTED agree", "VERIFIED terminate"),
    "CN:03-01": ("REQUESTED agree", "VERIFIED finalize"),
    "CN:03-02": ("REQUESTED offer",),
    "CN:03-03": ("REQUESTED offer",),
    "CN:03-04": ("REQUESTED/1 offer",),

    "CN_C:01-01": ("OFFERED accept", "AGREED verify"),
    "CN_C:01-02": ("OFFERED counter",),
    "CN_C:01-03": ("OFFERED terminate",),
    "CN_C:01-04": ("AGREED verify",),
    "CN_C:02-01": (),
    "CN_C:02-02": ("REQUESTED terminate",),
    "CN_C:02-03": ("AGREED terminate",),
    "CN_C:02-04": (),
    "CN_C:02-05": ("OFFERED accept",),
    "CN_C:02-06": ("AGREED verify",),
    "CN_C:03-01": (),
    "CN_C:03-02": (),
    "CN_C:03-03": (),
    "CN_C:03-04": ("OFFERED accept",),
    "CN_C:03-05": ("OFFERED accept",),
    "CN_C:03-06": ("OFFERED accept",),

    "TP:01-01": ("REQUESTED start", "STARTED terminate"),
    "TP:01-02": ("REQUESTED start", "STARTED complete"),
    "TP:01-03": ("REQUESTED start", "STARTED suspend", "SUSPENDED terminate"),
    "TP:01-04": ("REQUESTED start", "STARTED/1 suspend", "SUSPENDED resume", "STARTED/2 complete"),
    "TP:01-05": ("REQUESTED terminate",),
    "TP:02-01": ("REQUESTED start",),
    "TP:02-02": ("REQUESTED start",),
    "TP:02-03": ("REQUESTED start",),
    "TP:02-05": (),
    "TP:03-01": (),
    "TP:03-02": (),
    "TP:03-03": ("REQUESTED start",),
    "TP:03-04": ("REQUESTED start",),
    "TP:03-05": ("REQUESTED start",),
    "TP:03-06": ("REQUESTED start",),

    "TP_C:01-01": (),
    "TP_C:01-02": (),
    "TP_C:01-03": (),
    "TP_C:01-04": (),
    "TP_C:01-05": (),
    "TP_C:02-01": ("STARTED terminate",),
    "TP_C:02-02": ("STARTED complete",),
    "TP_C:02-03": ("STARTED suspend", "SUSPENDED terminate"),
    "TP_C:02-05": ("REQUESTED terminate",),
    "TP_C:03-01": (),
    "TP_C:03-02": (),
    "TP_C:03-03": (),
    "TP_C:03-04": (),
    "TP_C:03-05": (),
    "TP_C:03-06": (),
}  # TP:02-04 and TP_C:02-04 are disabled in the kit.


def group_of(case):
    return case.split(":")[0]


def of_group(group):
    return [case for case in CASES if group_of(case) == group]


def subject(case):
    """The asset or the agreement that the kit names in a test: CN:01-02 is ACN0102."""
    group, number = case.split(":")
    return PROCESSES[group][3] + number.replace("-", "")


def subjects(group):
    return [subject(case) for case in of_group(group)]


def offer_id(asset):
    """As the kit's own counter-offer in CN:01-02 has it, whatever it was told."""
    return "CD123:%s:456" % asset


def reactions(peer, after):
    """The rules of all tests; what none of them names waits."""
    rules = []
    for case, acts in CASES.items():
        for act in acts:
            process, role, kind, _ = PROCESSES[group_of(case)]
            state, do = act.split(" ")
            state, _, occurrence = state.partition("/")
            rule = {"process": process, "role": role, "state": state, kind: subject(case),
                    "after": after, "do": do}
            if occurrence:
                rule["occurrence"] = int(occurrence)
            rules.append(rule)
    for process, states in STATES.items():
        rules += [{"process": process, "role": role, "state": state, "peer": peer, "do": "wait"}
                  for role in ("provider", "consumer") for state in states]
    return {"rules": rules}


def kit_properties():
    """What the kit is told to name in each test."""
    told = {"CAT_01_01_DATASETID": "CAT0101", "CAT_01_02_DATASETID": "CAT0102",
            "CAT_01_03_DATASETID": "CAT0103"}
    for case in CASES:
        if group_of(case) not in PROCESSES:
            continue
        prefix = case.replace(":", "_").replace("-", "_") + "_"
        if group_of(case) in ("CN", "CN_C"):
            told[prefix + "DATASETID"] = subject(case)
            told[prefix + "OFFERID"] = offer_id(subject(case))
        else:
            told[prefix + "AGREEMENTID"] = subject(case)
            told[prefix + "FORMAT"] = "HttpData-PULL"
    return told
