"""The catalogue of run.py: pages of a small and of a large one over mutual TLS, beside nginx that sends
the very same bytes from files. Each contender has one kept connection; they alternate in every round."""

import gzip
import http.client
import json
import os
import ssl
import statistics
import time

from lab import Broken, CONSUMER, Nginx, PROVIDER, pair, write_offer

PATH = "/dsp/2025-1/catalog/request"
REQUEST = json.dumps({"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
                      "@type": "CatalogRequestMessage"})
SMALL = 300  # offers of the catalogue that the large one is compared with


class Client:
    """One connection with the consumer's certificate, kept over all its requests."""

    def __init__(self, port, context):
        self.connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
        self.connection.connect()

    def close(self):
        self.connection.close()

    def send(self, method, path, body=None, **headers):
        """Seconds until the last byte, the bytes, and the path of the next page."""
        fields = {"Content-Type": "application/json"} if body else {}
        began = time.perf_counter()
        self.connection.request(method, path, body=body, headers={**fields, **headers})
        answer = self.connection.getresponse()
        data = answer.read()
        took = time.perf_counter() - began
        if answer.status != 200:
            raise Broken(f"{method} {path}: {answer.status} {data[:300]!r}")
        for part in (answer.headers["Link"] or "").split(", "):
            if part.endswith('rel="next"'):
                return took, data, "/" + part[1:part.index(">")].split("/", 3)[3]
        return took, data, None

    def first(self, **headers):
        return self.send("POST", PATH, REQUEST, **headers)

    def all(self):
        """Seconds from the first request to the last byte of the last page, and the pages."""
        began = time.perf_counter()
        _, data, path = self.first()
        pages = [data]
        while path:
            _, data, path = self.send("POST", path, REQUEST)
            pages.append(data)
        return time.perf_counter() - began, pages


def context_of(consumer, pki):
    context = consumer.tls_client(pki, PROVIDER[0])
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def fill(provider, offers):
    (provider.folder / "source/small.bin").write_bytes(os.urandom(1024))
    for number in range(offers):
        write_offer(provider.folder, f"asset-{number:06}", "small.bin", "custody", 3)


def measure(options, report, pki, work):
    print(f"A catalogue of {options.offers:,} offers, pages of 100")
    folder = work / "catalog"
    folder.mkdir()
    small, _ = pair(options.bin, pki, folder / "small")
    large, consumer = pair(options.bin, pki, folder / "large")
    fill(small, SMALL)
    fill(large, options.offers)
    context = context_of(consumer, pki)
    nginx = None
    clients = []
    try:
        for provider in (small, large):
            provider.start(within=300)
        ours, fewer = (Client(provider.port, context) for provider in (large, small))
        clients += [ours, fewer]
        _, pages = ours.all()
        names = [dataset["@id"] for page in pages for dataset in json.loads(page)["dataset"]]
        if len(set(names)) != options.offers or len(names) != options.offers:
            raise Broken(f"{len(names)} datasets on {len(pages)} pages")
        (folder / "pages").mkdir()
        for number, page in enumerate(pages):
            (folder / "pages" / str(number)).write_bytes(page)
        nginx = Nginx(folder / "nginx", folder / "pages", large.folder / "tls/chain.pem",
                      large.folder / "tls/key.pem", pki.anchor(CONSUMER[0]) / "ca.pem")
        theirs = Client(nginx.port, context)
        clients.append(theirs)
        compare(options, report, ours, fewer, theirs, pages)
        print(f"    {sum(map(len, pages)) / 1e6:.1f} MB on {len(pages)} pages")
    finally:
        for client in clients:
            client.close()
        if nginx:
            nginx.stop()
        small.stop()
        large.stop()


def compare(options, report, ours, fewer, theirs, pages):
    found = {name: [] for name in ("first", "first of few", "first packed", "page of nginx", "all",
                                   "all of nginx")}
    for _ in range(max(options.rounds, 5)):
        for _ in range(20):
            few = fewer.first()
            found["first of few"].append(few[0])
            packed = ours.first(**{"Accept-Encoding": "gzip"})
            found["first packed"].append(packed[0])
            # An answer that lacks something is quick: none counts that is not whole.
            for name, answer in (("first", ours.first()), ("page of nginx", theirs.send("GET", "/0"))):
                found[name].append(answer[0])
                if answer[1] != pages[0]:
                    raise Broken(f"{name}: other bytes")
            if gzip.decompress(packed[1]) != pages[0] or len(few[1]) < len(pages[0]) * 0.9:
                raise Broken("a page is not whole")
        took, again = ours.all()
        found["all"].append(took)
        began = time.perf_counter()
        sent = [theirs.send("GET", f"/{number}")[1] for number in range(len(pages))]
        found["all of nginx"].append(time.perf_counter() - began)
        if again != pages or sent != pages:
            raise Broken("not all pages came whole")
    # Medians say what it was like here; ratios are of the quickest tenths, which others disturb least.
    ms = {name: statistics.median(times) * 1000 for name, times in found.items()}
    quick = {name: statistics.quantiles(times, n=10)[0] * 1000 for name, times in found.items()}
    report.add("first page, median", ms["first"], "ms", 5,
               note=f"quickest tenth {quick['first']:.2f}; nginx, the same bytes: {ms['page of nginx']:.2f}, "
                    f"{quick['page of nginx']:.2f}")
    report.add("first page packed with gzip, median", ms["first packed"], "ms", 5,
               note=f"quickest tenth {quick['first packed']:.2f}")
    report.add("first page / the same bytes of nginx", quick["first"] / quick["page of nginx"], "")
    report.add(f"first page / that of {SMALL} offers", quick["first"] / quick["first of few"], "", 1.3)
    report.add("all pages, one after the other, median", ms["all"], "ms", 250,
               note=f"quickest {min(found['all']) * 1000:.0f}; nginx, the same bytes: "
                    f"{ms['all of nginx']:.0f}, {min(found['all of nginx']) * 1000:.0f}")
    report.add("all pages / the same bytes of nginx", min(found["all"]) / min(found["all of nginx"]), "")
