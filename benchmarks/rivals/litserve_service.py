"""LitServe with onnxruntime, as its documentation shows a service: `python litserve_service.py HOST PORT`."""

import json
import os
import sys
from pathlib import Path

import litserve
import numpy as np
import onnxruntime as ort


class MixedAPI(litserve.LitAPI):
    def setup(self, device):
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["ONNX"], options, providers=["CPUExecutionProvider"])
        # Of each column its name, and of a category the code of each value.
        self.columns = json.loads(Path(os.environ["COLUMNS"]).read_text())

    def decode_request(self, request):
        return np.array([[codes[request[name]] if codes else request[name] for name, codes in self.columns]])

    def predict(self, x):
        return self.session.run(["label", "probabilities"], {"x": x})

    def encode_response(self, output):
        label, probabilities = output
        return {
            "prediction": int(label[0]),
            "probabilities": {str(at): value for at, value in enumerate(probabilities[0].tolist())},
        }


if __name__ == "__main__":
    server = litserve.LitServer(
        MixedAPI(), accelerator="cpu", workers_per_device=1, fast_queue=os.environ.get("FAST_QUEUE") == "1"
    )
    server.run(
        host=sys.argv[1], port=int(sys.argv[2]), num_api_servers=1, log_level="warning", generate_client_file=False
    )
