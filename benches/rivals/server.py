"""Serves searches of one Python library to the bench `index`: a JSON line in, a JSON line out.

The process keeps one built index. Times are taken in here, around the library's call alone, so that pipes cost nothing.
Answers go to a file: for each query the number of matches, their ids and their distances, 32-bit little-endian.
Radii are inclusive.
"""

import json
import os
import resource
import sys
import time

import numpy as np


def rss_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


class FaissFlat:
    """IndexBinaryFlat: the scan of faiss."""

    def __init__(self, codes, _settings):
        import faiss

        self.faiss = faiss
        self.index = faiss.IndexBinaryFlat(codes.shape[1] * 8)
        self.index.add(codes)

    def threads(self, count):
        self.faiss.omp_set_num_threads(count)

    def within(self, queries, radius_bits):
        # Its radius is exclusive.
        return self.index.range_search(queries, radius_bits + 1)

    def nearest(self, queries, k):
        return self.index.search(queries, k)

    def lists(self, result):
        if len(result) == 2:
            return list(zip(result[1], result[0]))
        ends, distances, ids = result
        return [(ids[a:b], distances[a:b]) for a, b in zip(ends[:-1], ends[1:])]


class FaissMultiHash(FaissFlat):
    """IndexBinaryMultiHash: exact if every table is asked for all values within floor(radius / tables) bits."""

    def __init__(self, codes, settings):
        import faiss

        self.faiss = faiss
        self.tables, self.len_bits = settings["tables"], settings["len_bits"]
        self.index = faiss.IndexBinaryMultiHash(codes.shape[1] * 8, self.tables, self.len_bits)
        self.index.add(codes)

    def within(self, queries, radius_bits):
        self.index.nflip = radius_bits // self.tables
        return self.index.range_search(queries, radius_bits + 1)


class Usearch:
    """usearch's exact search: a scan, k nearest only."""

    def __init__(self, codes, _settings):
        from usearch.index import MetricKind, search

        self.codes, self.search, self.metric, self.count = codes, search, MetricKind.Hamming, 1

    def threads(self, count):
        self.count = count

    def nearest(self, queries, k):
        found = self.search(self.codes, queries, k, self.metric, exact=True, threads=self.count)
        return found

    def lists(self, found):
        keys, distances = np.atleast_2d(found.keys), np.atleast_2d(found.distances)
        return list(zip(keys, distances))


class Numkong:
    """numkong's kernels: all distances of a query (of eight at a time in a batch), then numpy picks. One thread."""

    def __init__(self, codes, _settings):
        import numkong

        self.codes, self.numkong = codes, numkong
        self.packed = numkong.hammings_pack(codes, dtype="uint1")

    def threads(self, count):
        pass

    def distances(self, queries):
        if len(queries) == 1:
            yield np.asarray(self.numkong.cdist(queries, self.codes, "hamming", dtype="uint1"))[0]
            return
        for first in range(0, len(queries), 8):
            yield from np.asarray(self.numkong.hammings_packed(queries[first : first + 8], self.packed))

    def within(self, queries, radius_bits):
        found = []
        for distances in self.distances(queries):
            ids = np.flatnonzero(distances <= radius_bits)
            found.append((ids, distances[ids]))
        return found

    def nearest(self, queries, k):
        found = []
        for distances in self.distances(queries):
            ids = np.argpartition(distances, k - 1)[:k] if k < len(distances) else np.arange(len(distances))
            found.append((ids, distances[ids]))
        return found

    def lists(self, found):
        return found


KINDS = {"faiss flat": FaissFlat, "faiss multihash": FaissMultiHash, "usearch": Usearch, "numkong": Numkong}
MODULES = {"faiss flat": "faiss", "faiss multihash": "faiss", "usearch": "usearch", "numkong": "numkong"}


class Server:
    """The requests; `index` is what was built last."""

    index = None

    def build(self, request):
        module = __import__(MODULES[request["kind"]])
        width = request["bits"] // 8
        codes = np.fromfile(request["codes"], dtype=np.uint8).reshape(-1, width)[: request["n"]]
        self.queries = np.fromfile(request["queries"], dtype=np.uint8).reshape(-1, width)
        before, start = rss_bytes(), time.perf_counter()
        if "threads" in request and module.__name__ == "faiss":
            module.omp_set_num_threads(request["threads"])
        self.index = KINDS[request["kind"]](codes, request)
        build_s = time.perf_counter() - start
        # An index that keeps a copy of the codes has them in what it grew by; one that searches ours has not.
        grown = max(rss_bytes() - before, 0)
        memory = max(grown, codes.nbytes)
        return {"build_s": build_s, "memory_bytes": memory, "version": getattr(module, "__version__", "")}

    def search(self, request, queries):
        if request["task"] == "within":
            return self.index.within(queries, request["bits"])
        return self.index.nearest(queries, request["k"])

    def answer(self, request):
        self.index.threads(os.cpu_count() or 1)
        lists = self.index.lists(self.search(request, self.queries[: request["count"]]))
        with open(request["out"], "wb") as out:
            for ids, distances in lists:
                np.array([len(ids)], dtype="<u4").tofile(out)
                np.asarray(ids).astype("<u4").tofile(out)
                np.asarray(distances).astype("<u4").tofile(out)
        return {}

    def time(self, request):
        self.index.threads(request["threads"])
        queries = self.queries[: request["count"]]
        batches = [queries[i : i + 1] for i in range(len(queries))] if request["one"] else [queries]
        ns = []
        for batch in batches:
            start = time.perf_counter_ns()
            self.search(request, batch)
            ns.append(time.perf_counter_ns() - start)
        return {"ns": ns}


def main():
    server = Server()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"build": server.build, "answer": server.answer, "time": server.time}[request["do"]](request)
        except Exception as error:  # Whatever it is, the bench skips this rival and says why.
            reply = {"error": f"{type(error).__name__}: {error}"}
        try:
            print(json.dumps(reply), flush=True)
        except BrokenPipeError:  # The bench is gone.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return


if __name__ == "__main__":
    main()
