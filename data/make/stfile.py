"""Read and write safetensors as plain bytes: chosen tensor order, chosen metadata, BF16 without extra packages."""
import json
import struct
from pathlib import Path

import numpy as np

NUMPY = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32}
LABEL = {np.dtype(v): k for k, v in NUMPY.items()}


class Bf16(np.ndarray):
    """F32 values that are to be written as BF16; every value must already be representable."""


def to_bf16(a):
    """Round F32 to the nearest BF16, ties to even (finite input)."""
    bits = np.ascontiguousarray(a, np.float32).view(np.uint32).astype(np.uint64)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return bits.astype(np.uint32).view(np.float32).reshape(a.shape).view(Bf16)


def write(path, tensors, metadata=None):
    """`tensors`: name to array, written in the order of the dictionary."""
    header, chunks, offset = {}, [], 0
    if metadata:
        header["__metadata__"] = metadata
    for name, a in tensors.items():
        if isinstance(a, Bf16):
            label, data = "BF16", (np.ascontiguousarray(a).view(np.uint32) >> 16).astype("<u2").tobytes()
        else:
            label, data = LABEL[a.dtype], a.astype(a.dtype.newbyteorder("<")).tobytes()
        header[name] = {"dtype": label, "shape": list(a.shape), "data_offsets": [offset, offset + len(data)]}
        chunks.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))


def read(path):
    """Name to (dtype label, array); BF16 comes as F32.  An index is followed to its shards."""
    path = Path(path)
    if path.name.endswith(".index.json"):
        where = json.loads(path.read_text())["weight_map"]
        shards = {shard: read(path.parent / shard) for shard in set(where.values())}
        return {name: shards[shard][name] for name, shard in where.items()}
    raw = path.read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8:8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, t in header.items():
        begin, end = (8 + length + o for o in t["data_offsets"])
        if t["dtype"] == "BF16":
            a = (np.frombuffer(raw[begin:end], "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            a = np.frombuffer(raw[begin:end], np.dtype(NUMPY[t["dtype"]]).newbyteorder("<"))
        tensors[name] = t["dtype"], a.reshape(t["shape"])
    return tensors
