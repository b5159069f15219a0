"""The least that one could write by hand with FastAPI and onnxruntime: `uvicorn uvicorn_onnx_service:app`."""

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI
from record import Record

options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(os.environ["ONNX"], options, providers=["CPUExecutionProvider"])
# Of each column its name, and of a category the code of each value.
columns = json.loads(Path(os.environ["COLUMNS"]).read_text())
app = FastAPI()


@app.post("/predict")
async def predict(record: Record) -> dict:
    found = record.model_dump()
    x = np.array([[codes[found[name]] if codes else found[name] for name, codes in columns]])
    label, probabilities = session.run(["label", "probabilities"], {"x": x})
    return {
        "prediction": int(label[0]),
        "probabilities": {str(at): value for at, value in enumerate(probabilities[0].tolist())},
    }
