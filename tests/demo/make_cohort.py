#!/usr/bin/env python3
"""Writes the synthetic cohort of the demo: residents who do not exist.

The same seed gives the same bytes. Names are random pairs of common characters; the check digit of
every identity number is wrong on purpose, so that none can belong to a person.
"""
import argparse
import csv
import random
import sys

FAMILY = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红梅健文婷鑫宇浩然子涵欣怡梓萱"
DISTRICTS = [
    ("330102", "上城区"), ("330105", "拱墅区"), ("330106", "西湖区"),
    ("330108", "滨江区"), ("330109", "萧山区"), ("330110", "余杭区"),
]
DIAGNOSES = ["I10", "E11.9", "E78.5", "J45.9", "K21.9", "N18.3", "M54.5", "F41.1", "C50.9", "Z00.0"]
WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
CHECK = "10X98765432"


def identity_number(rng, district, born):
    body = f"{district}{born}{rng.randrange(1000):03d}"
    right = CHECK[sum(int(d) * w for d, w in zip(body, WEIGHTS)) % 11]
    return body + rng.choice([c for c in CHECK if c != right])


def rows(count, seed):
    rng = random.Random(seed)
    for number in range(1, count + 1):
        code, district = rng.choice(DISTRICTS)
        born = f"{rng.randrange(1935, 2008)}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}"
        name = rng.choice(FAMILY) + "".join(rng.choice(GIVEN) for _ in range(rng.choice([1, 2, 2])))
        yield {
            "resident": f"R{number:05d}",
            "name": name,
            "id_number": identity_number(rng, code, born),
            "sex": rng.choice("FM"),
            "born": f"{born[:4]}-{born[4:6]}-{born[6:]}",
            "district": district,
            "icd10": rng.choice(DIAGNOSES),
            "hba1c_percent": f"{rng.gauss(5.9, 0.9):.1f}",
            "ldl_mmol_l": f"{max(0.8, rng.gauss(3.0, 0.8)):.2f}",
            "systolic_mmhg": str(int(rng.gauss(128, 16))),
        }


def write(path, count=2000, seed=20260101):
    with open(path, "w", encoding="utf-8", newline="") as out:
        writer = None
        for row in rows(count, seed):
            if writer is None:
                writer = csv.DictWriter(out, fieldnames=list(row), lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=20260101)
    arguments = parser.parse_args()
    write(arguments.path, arguments.count, arguments.seed)
    sys.exit(0)
