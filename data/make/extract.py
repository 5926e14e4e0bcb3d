#!/usr/bin/env python3
"""Convert the packages' weight files to safetensors: names, shapes and dtypes as the format stores them.

usage: extract.py PKGS_DIR OUT_DIR

Nothing is executed: pickles go through an unpickler that knows numpy arrays and torch storages and refuses the rest.
Only float tensors are kept; integers in these formats are shapes and indices of the graph, not weights.
"""
import collections
import pickle
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

MTCNN_PARTS = ("pnet", "rnet")


class PlainUnpickler(pickle.Unpickler):
    """Arrays, dictionaries and numbers only; `storages` collects torch storages by key, filled in later."""

    def __init__(self, file, storages=None):
        super().__init__(file, encoding="latin1")
        self.storages = storages

    def find_class(self, module, name):
        if name == "_rebuild_tensor_v2":
            return lambda storage, offset, size, stride, *rest: (storage, offset, size, stride)
        if name == "FloatStorage" and self.storages is not None:
            return name
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("_codecs", "encode"):
            return lambda text, encoding: text.encode(encoding)
        if module.startswith("numpy") and name in ("_reconstruct", "ndarray", "dtype"):
            return {"_reconstruct": np._core.multiarray._reconstruct, "ndarray": np.ndarray, "dtype": np.dtype}[name]
        raise pickle.UnpicklingError(f"refused: {module}.{name}")

    def persistent_load(self, pid):
        _, kind, key, _, length = pid[:5]
        if kind != "FloatStorage":
            raise pickle.UnpicklingError(f"refused storage type {kind}")
        return self.storages.setdefault(key, np.zeros(length, np.float32))


def read_torch(path):
    """A state dict in torch's format before 1.6: four pickles, then the storages."""
    storages = {}
    with open(path, "rb") as f:
        for _ in range(3):  # magic, protocol, system
            PlainUnpickler(f, storages).load()
        state = PlainUnpickler(f, storages).load()
        for key in PlainUnpickler(f).load():
            (length,) = struct.unpack("<q", f.read(8))
            storages[key][:] = np.frombuffer(f.read(4 * length), "<f4")
    tensors = {}
    for name, (storage, offset, size, stride) in state.items():
        view = np.lib.stride_tricks.as_strided(storage[offset:], size, [4 * s for s in stride])
        tensors[name] = np.array(view, order="C")
    return tensors


def read_mtcnn_npy(path, part):
    """One network out of a pickled {network: [array, ...]}; named by position, as Keras' get_weights orders them."""
    with open(path, "rb") as f:
        version = np.lib.format.read_magic(f)
        assert version == (1, 0), version
        np.lib.format.read_array_header_1_0(f)
        networks = PlainUnpickler(f).load().item()
    return {f"weight_{i:02}": a for i, a in enumerate(networks[part])}


def read_onnx(path):
    """Initialisers and Constant nodes, also those in the branches of If nodes."""
    import onnx
    tensors = {}

    def walk(graph):
        for t in graph.initializer:
            tensors[t.name] = onnx.numpy_helper.to_array(t)
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.type == attribute.TENSOR and node.op_type == "Constant":
                    tensors[node.output[0]] = onnx.numpy_helper.to_array(attribute.t)
                elif attribute.type == attribute.GRAPH:
                    walk(attribute.g)

    walk(onnx.load(path).graph)
    return {k: v for k, v in tensors.items() if v.size >= 8}


def read_tflite(path):
    """The constant float tensors of all subgraphs, F32 and F16."""
    import tflite
    model = tflite.Model.GetRootAsModel(Path(path).read_bytes(), 0)
    dtypes = {tflite.TensorType.FLOAT32: np.float32, tflite.TensorType.FLOAT16: np.float16}
    tensors = {}
    for g in range(model.SubgraphsLength()):
        graph = model.Subgraphs(g)
        for i in range(graph.TensorsLength()):
            tensor = graph.Tensors(i)
            buffer = model.Buffers(tensor.Buffer())
            if buffer.DataLength() < 32 or tensor.Type() not in dtypes:
                continue
            data = np.frombuffer(buffer.DataAsNumpy().tobytes(), dtypes[tensor.Type()])
            name = tensor.Name().decode()
            assert name not in tensors, name
            tensors[name] = data.reshape(tensor.ShapeAsNumpy())
    return tensors


def main():
    pkgs, out = Path(sys.argv[1]), Path(sys.argv[2])
    facenet = pkgs / "facenet-pytorch-2.6.0/facenet_pytorch/data"
    mtcnn = pkgs / "mtcnn-0.1.1/mtcnn/data/mtcnn_weights.npy"
    silero = pkgs / "silero-vad-6.2.3/silero_vad/data"
    pitch = pkgs / "basic-pitch-0.4.0/basic_pitch/saved_models/icassp_2022"
    mediapipe = pkgs / "mediapipe-0.10.21/mediapipe/modules"
    jobs = {
        "basic-pitch/nmp-onnx": lambda: read_onnx(pitch / "nmp.onnx"),
        "basic-pitch/nmp-tflite": lambda: read_tflite(pitch / "nmp.tflite"),
        "mediapipe/face-short-range": lambda: read_tflite(mediapipe / "face_detection/face_detection_short_range.tflite"),
        "mediapipe/selfie": lambda: read_tflite(mediapipe / "selfie_segmentation/selfie_segmentation.tflite"),
        "mediapipe/selfie-landscape": lambda: read_tflite(mediapipe / "selfie_segmentation/selfie_segmentation_landscape.tflite"),
        "silero-vad/16k-onnx": lambda: read_onnx(silero / "silero_vad_16k_op15.onnx"),
        "silero-vad/16k-sequence-onnx": lambda: read_onnx(silero / "silero_vad_16k_sequence.onnx"),
    }
    for part in MTCNN_PARTS:
        jobs[f"mtcnn/{part}-torch"] = lambda part=part: read_torch(facenet / f"{part}.pt")
        jobs[f"mtcnn/{part}-keras"] = lambda part=part: read_mtcnn_npy(mtcnn, part)
    for name, read in sorted(jobs.items()):
        tensors = {k: np.ascontiguousarray(v) for k, v in read().items() if v.dtype.kind == "f"}
        path = out / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path)
        print(f"{name}: {len(tensors)} tensors, {sum(v.size for v in tensors.values())} parameters")
    shutil.copyfile(silero / "silero_vad_16k.safetensors", out / "silero-vad/16k.safetensors")


if __name__ == "__main__":
    main()
