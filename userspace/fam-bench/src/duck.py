# SPDX-License-Identifier: Apache-2.0 OR MIT
"""DuckDB over the bench's files: duck.py DATA OUT THREADS RUNS. Prints nothing; writes OUT/duckdb.json.

Processor time is that of the query alone, without the start of the interpreter. Each query runs in a
process of its own, so that the peak of memory is its own.
"""

import json
import multiprocessing
import resource
import sys
import time

H = 1_000_000_000
PAIRS = 125
DAY = "first_ns // 86400000000000"
COUNTS = "last_ns >= first_ns AND sampling > 0"
BYTES = "octets * sampling // sampling_taken"


def net(column):
    """An address's /24. As text, cut at the last dot, it takes about three times as long."""
    return f"({column}_lo >> 8)"


def number(network):
    """The /24 that begins with these octets, as net() has it."""
    return int.from_bytes(b"\xff\xff" + bytes(network), "big")


QUERIES = {
    "alpha": f"""
        SELECT count(*), sum(n), sum(b) FROM (
            SELECT count(*) n, sum({BYTES}) b FROM records
            WHERE octets > {H} AND {COUNTS}
            GROUP BY src, dst, proto, src_port, dst_port, {DAY})""",
    "totals": f"""
        SELECT count(*), sum(n), sum(b) FROM (
            SELECT count(*) FILTER ({COUNTS}) n, sum({BYTES}) FILTER ({COUNTS}) b,
                count(*) FILTER (last_ns < first_ns) negative,
                count(*) FILTER (last_ns - first_ns > 604800000000000) too_long,
                count(*) FILTER (sampling IS NULL OR sampling = 0) unknown
            FROM records GROUP BY {DAY})""",
    "beta": f"""
        SELECT count(*), sum(n), sum(b) FROM (
            SELECT count(*) n, sum({BYTES}) b
            FROM records JOIN pairs
                ON {net("src")} = pairs.s AND {net("dst")} = pairs.d
            WHERE octets <= {H} AND {COUNTS}
            GROUP BY s, d, {DAY})""",
}


def one(data, query, threads, pipe):
    import duckdb

    db = duckdb.connect()
    db.execute(f"SET threads = {threads}")
    db.execute(f"CREATE VIEW records AS SELECT * FROM read_parquet('{data}/*.parquet')")
    db.execute("CREATE TABLE pairs (s UBIGINT, d UBIGINT)")
    rows = [(number([10, 1, n]), number([10, 2, n * 7 % 256])) for n in range(PAIRS)]
    db.executemany("INSERT INTO pairs VALUES (?, ?)", rows)
    cpu, wall = time.process_time(), time.perf_counter()
    groups, records, octets = db.execute(query).fetchone()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    answer = {"groups": groups, "records": int(records or 0), "octets": int(octets or 0)}
    pipe.send((cpu, wall, peak, answer))


def main():
    data, out, threads, runs = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    with open(f"{data}/made.json") as file:
        records = json.load(file)["records"]
    multiprocessing.set_start_method("spawn")
    readings = []
    for name, query in QUERIES.items():
        best = None
        for _ in range(max(runs, 1)):
            ours, theirs = multiprocessing.Pipe()
            child = multiprocessing.Process(target=one, args=(data, query, threads, theirs))
            child.start()
            theirs.close()
            cpu, wall, peak, answer = ours.recv()
            child.join()
            reading = {
                "engine": "duckdb",
                "pass": name,
                "records": records,
                "threads": threads,
                "cpu_s": cpu,
                "wall_s": wall,
                "peak": peak,
                "answer": answer,
            }
            if best is None or cpu < best["cpu_s"]:
                best = reading
        readings.append(best)
    with open(f"{out}/duckdb.json", "w") as file:
        json.dump(readings, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main()
