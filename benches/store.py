"""Bounds of the store, by the command line: opening, imports with commits and syncs, space, searches with removals, memory of an
ingest, speed of what copies, joins and checks databases (upkeep). Needs Linux, Python alone, and a release build:

    cargo build --release && python3 benches/store.py opening import space upkeep ingest

Prints Markdown tables. `--dir` (default: a temporary directory) is where files lie, `--memory-dir` a file system without a disk, to see
what syncs cost. `--codes`, `--models` and `--runs` make it smaller; upkeep is of ten times as many codes, and of a hundredth as many models.
"""

import argparse
import glob
import json
import os
import random
import shutil
import subprocess
import tempfile
import threading
import time

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("parts", nargs="+", choices=["opening", "import", "space", "upkeep", "ingest"])
ap.add_argument("--program", default=os.path.join(os.path.dirname(__file__), "../target/release/phashdb"))
ap.add_argument("--dir")
ap.add_argument("--memory-dir", default="/dev/shm")
ap.add_argument("--codes", type=int, default=1_000_000)
ap.add_argument("--models", type=int, default=1_000_000)
ap.add_argument("--runs", type=int, default=9)
args = ap.parse_args()
program = os.path.abspath(args.program)


def run(db, *words, ok=(0,)):
    """Standard output and seconds of a command."""
    begin = time.perf_counter()
    done = subprocess.run([program, "--db", db, *words], stdout=subprocess.PIPE)
    seconds = time.perf_counter() - begin
    assert done.returncode in ok, (words, done.returncode)
    return done.stdout, seconds


def first(stdout):
    return json.loads(stdout.splitlines()[0])


def least_and_median(values, scale=1.0):
    values = sorted(value * scale for value in values)
    return f"{values[0]:.1f} | {values[len(values) // 2]:.1f}"


def code_file(directory, count, width_bytes):
    path = os.path.join(directory, f"{count}-{width_bytes}.bin")
    with open(path, "wb") as out:
        for begin in range(0, count, 1 << 20):
            out.write(os.urandom(min(1 << 20, count - begin) * width_bytes))
    return path


def files(directory):
    return [os.path.join(root, name) for root, _, names in os.walk(directory) for name in names]


def size(directory):
    total = 0
    for path in files(directory):
        try:
            total += os.lstat(path).st_size
        except FileNotFoundError:
            pass
    return total


def forget(directory):
    """Drops the files from the page cache."""
    for path in files(directory):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def opening(directory):
    print("\n| codes of 64 bits | `info`, a process, ms: least | median | `--version`: least | median | from the disk, median | of that read, MB |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for count in (args.codes // 100, args.codes, 10 * args.codes):
        db = os.path.join(directory, "opening.phash")
        run(db, "import-codes", "-q", "--bits", "64", code_file(directory, count, 8))
        warm, none, cold = [], [], []
        for _ in range(5 * args.runs):
            warm.append(run(db, "info", "-q")[1])
            none.append(run(db, "--version")[1])
        for _ in range(args.runs):
            forget(db)
            cold.append(run(db, "info", "-q")[1])
        cached = subprocess.run(["fincore", "-bnro", "res", *files(db)], stdout=subprocess.PIPE).stdout.split()
        read = sum(map(int, cached)) / 1e6 if cached else float("nan")
        cold_ms = sorted(cold)[len(cold) // 2] * 1e3
        print(f"| {count:,} | {least_and_median(warm, 1e3)} | {least_and_median(none, 1e3)} | {cold_ms:.1f} | {read:.1f} |", flush=True)
        shutil.rmtree(db)


def imports(directory):
    print("\n| codes | a commit each | on | seconds without index: least | median | codes a second, median |")
    print("|--|--:|--|--:|--:|--:|")
    for width in (8, 32):
        path = code_file(directory, args.codes, width)
        for every in (None, args.codes // 10, args.codes // 100):
            for name, place in (("disk", directory), ("memory (syncs cost nothing)", args.memory_dir)):
                db, seconds = os.path.join(place, f"import-{os.getpid()}.phash"), []
                for _ in range(args.runs):
                    words = ["--commit-every", str(every)] if every else []
                    done = first(run(db, "import-codes", "--json", "--bits", str(8 * width), *words, path)[0])
                    seconds.append(done["seconds"] - (done["index_seconds"] or 0))
                    shutil.rmtree(db)
                middle = sorted(seconds)[len(seconds) // 2]
                print(f"| {args.codes:,} of {8 * width} bits | {every or 'none but the last'} | {name} | {min(seconds):.3f} | {middle:.3f} | {args.codes / middle:,.0f} |", flush=True)


def label(number):
    return f"pictures/family-{number % 1000:04d}/image-{number:010d}.jpg"


def space(directory):
    db, lists = os.path.join(directory, "space.phash"), os.path.join(directory, "gone.txt")
    codes = open(code_file(directory, args.codes, 8), "rb").read()
    digits = lambda number: codes[8 * number : 8 * number + 8].hex()
    table, queries = os.path.join(directory, "labelled.csv"), os.path.join(directory, "queries.hex")
    with open(table, "w") as out:
        out.writelines(f"{digits(number)},{label(number)}\n" for number in range(args.codes))
    chosen = random.Random(1).sample(range(args.codes), 2000)
    with open(queries, "w") as out:
        out.writelines(digits(number) + "\n" for number in chosen)
    print("\n| state | bytes on disk | dead by `info` | live codes and labels | on disk / live | radius 4, us a query: least | median | 5 nearest: least | median |")
    print("|--|--:|--:|--:|--:|--:|--:|--:|--:|")
    rest = set(range(args.codes))

    def show(state):
        info = first(run(db, "info", "--json")[0])
        live = sum(8 + len(label(number)) for number in rest)
        cells = []
        for mode in (["--radius", "4"], ["-k", "5"]):
            ask = lambda: run(db, "query", "--json", "-j", "1", *mode, "--codes-from", queries, ok=(0, 1))[0]
            seconds = [json.loads(ask().splitlines()[-1])["seconds"] / len(chosen) for _ in range(args.runs)]
            cells.append(least_and_median(seconds, 1e6))
        total = size(db)
        print(f"| {state} | {total:,} | {info['dead_bytes']:,} | {live:,} | {total / live:.2f} | {' | '.join(cells)} |", flush=True)

    def remove(numbers):
        with open(lists, "w") as out:
            out.writelines(label(number) + "\n" for number in numbers)
        rest.difference_update(numbers)
        run(db, "rm", "-q", "--labels-from", lists)

    run(db, "import-codes", "-q", "--bits", "64", table)
    show("imported, one segment")
    remove(range(1, args.codes, 100))
    show("1 % removed")
    remove(range(0, args.codes, 2))
    show("51 % removed")
    peak, ended = [0], threading.Event()

    def watch():
        while not ended.wait(0.002):
            peak[0] = max(peak[0], size(db))

    watcher = threading.Thread(target=watch)
    watcher.start()
    run(db, "compact", "-q")
    ended.set()
    watcher.join()
    print(f"| while it is compacted, at most | {peak[0]:,} | | | | | | | |")
    show("compacted")


def models(directory, count):
    """Weights files of one F16 matrix of 32 x 32, each with other bits, 1,000 in a folder."""
    header = json.dumps({"w": {"dtype": "F16", "shape": [32, 32], "data_offsets": [0, 2048]}}).encode()
    begin = len(header).to_bytes(8, "little") + header
    # Sign and mantissa are random, the exponent is that of 1/8 to 1/4.
    free, fixed = int.from_bytes(b"\xff\x83" * 1024, "little"), int.from_bytes(b"\x00\x30" * 1024, "little")
    bits = random.Random(1)
    for number in range(count):
        folder = os.path.join(directory, f"models/{number // 1000:04d}")
        if number % 1000 == 0:
            os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{number % 1000:03d}.safetensors", "wb", buffering=0) as out:
            out.write(begin + ((bits.getrandbits(16384) & free) | fixed).to_bytes(2048, "little"))
    return os.path.join(directory, "models")


def upkeep(directory):
    """Each command as a whole process; the best of three, or of as many as `--runs` says if that is fewer."""
    place = lambda name: os.path.join(directory, name)
    halves, joined, copy = [place("half-0.phash"), place("half-1.phash")], place("joined.phash"), place("copy.phash")
    exports = {"jsonl": place("export.jsonl"), "parquet": place("export.parquet")}
    print("\n| what | of | seconds, least | items a second | MB | of | MB a second |")
    print("|--|--|--:|--:|--:|--|--:|")

    def rows(count, of, fill):
        """Fills two databases, and does to them all there is to do."""

        def show(what, command, made, of_bytes, read):
            """`made`, if anything, is removed before each run; `read` are the files whose bytes count, after it."""
            seconds = []
            for _ in range(min(args.runs, 3)):
                shutil.rmtree(made or "", ignore_errors=True)
                seconds.append(run(*command)[1])
            least, total = min(seconds), sum(size(path) if os.path.isdir(path) else os.path.getsize(path) for path in read)
            print(f"| {what} | {of} | {least:.2f} | {count / least:,.0f} | {total / 1e6:.1f} | {of_bytes} | {total / least / 1e6:.0f} |", flush=True)

        for number, half in enumerate(halves):
            fill(half, number)
        show("merge of two halves", (joined, "merge", "-q", joined, *halves), joined, "databases read", halves)
        show("verify", (joined, "verify", "-q"), None, "database", [joined])
        show("backup", (joined, "backup", "-q", copy), copy, "database", [joined])
        for name, path in exports.items():
            show(f"export, {name}", (joined, "export", "--format", name, "-o", path), None, "file written", [path])
            show(f"import, {name}", (copy, "import", "-q", path), copy, "file read", [path])
        ids = [word for number in range(0, count, count // 100) for word in ("--id", str(number))]
        seconds, before = [], 0
        for _ in range(min(args.runs, 3)):
            shutil.rmtree(copy)
            run(joined, "backup", "-q", copy)
            run(copy, "rm", "-q", *ids)
            before = size(copy)
            seconds.append(run(copy, "compact", "-q")[1])
        least = min(seconds)
        print(f"| compact, 100 of them removed | {of} | {least:.2f} | {count / least:,.0f} | {before / 1e6:.1f} | database before | {before / least / 1e6:.0f} |", flush=True)
        for path in (*halves, joined, copy):
            shutil.rmtree(path)

    count = 5 * args.codes
    paths = [shutil.move(code_file(directory, count, 8), place(f"codes-{number}.bin")) for number in range(2)]
    rows(2 * count, f"{2 * count:,} codes of 64 bits", lambda db, number: run(db, "import-codes", "-q", "--bits", "64", paths[number]))
    # As many folders in each half.
    count = max(args.models // 100, 2000) // 2000 * 2000
    folders = sorted(glob.glob(os.path.join(models(directory, count), "*")))
    half = len(folders) // 2
    rows(count, f"{count:,} models", lambda db, number: run(db, "ingest", "-q", *folders[number * half : (number + 1) * half]))
    shutil.rmtree(place("models"))


def ingest(directory):
    root, told_path = models(directory, args.models), os.path.join(directory, "told.jsonl")
    print("\n| models told | seconds | most private memory so far, MB | resident with mapped files, MB |")
    print("|--:|--:|--:|--:|")
    with open(told_path, "wb") as told:
        child = subprocess.Popen([program, "--db", os.path.join(directory, "ingest.phash"), "ingest", "--json", root], stdout=told)
    begin, lines, most, marks = time.time(), 0, 0, [args.models // part for part in (1000, 100, 10, 4, 2)] + [args.models]
    reader = open(told_path, "rb")
    status = {}
    while child.poll() is None:
        try:
            rows = [line.split() for line in open(f"/proc/{child.pid}/status")]
            status = {row[0]: int(row[1]) for row in rows if row[0] in ("RssAnon:", "VmHWM:")} or status
        except OSError:
            pass
        most = max(most, status.get("RssAnon:", 0))
        lines += reader.read().count(b"\n")
        while marks and lines >= marks[0]:
            print(f"| {marks.pop(0):,} | {time.time() - begin:.0f} | {most / 1e3:.1f} | {status['VmHWM:'] / 1e3:.1f} |", flush=True)
            most = most if marks else 0
        time.sleep(0.05)
    print(f"| indexed | {time.time() - begin:.0f} | {most / 1e3:.1f} while indexing | {status['VmHWM:'] / 1e3:.1f} |")
    assert child.returncode == 0 and lines == args.models + 1, (child.returncode, lines)


with tempfile.TemporaryDirectory(dir=args.dir) as directory:
    for part in args.parts:
        {"opening": opening, "import": imports, "space": space, "upkeep": upkeep, "ingest": ingest}[part](directory)
