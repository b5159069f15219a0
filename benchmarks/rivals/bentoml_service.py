"""BentoML with onnxruntime, as its documentation shows a service: `bentoml serve bentoml_service:Mixed`.

Asynchronous, without an access log and without types of its own, which was faster than with them.
"""

import json
import os
from pathlib import Path

import bentoml
import numpy as np
import onnxruntime as ort


@bentoml.service(workers=1, traffic={"timeout": 30}, logging={"access": {"enabled": False}})
class Mixed:
    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["ONNX"], options, providers=["CPUExecutionProvider"])
        # Of each column its name, and of a category the code of each value.
        self.columns = json.loads(Path(os.environ["COLUMNS"]).read_text())

    @bentoml.api
    async def predict(self, record: dict) -> dict:
        x = np.array([[codes[record[name]] if codes else record[name] for name, codes in self.columns]])
        label, probabilities = self.session.run(["label", "probabilities"], {"x": x})
        return {
            "prediction": int(label[0]),
            "probabilities": {str(at): value for at, value in enumerate(probabilities[0].tolist())},
        }
