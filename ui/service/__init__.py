"""The client library of the service. It needs only `requests` and works without the rest of the project.

from service import Client
client = Client("http://127.0.0.1:8080", key_file=Path(".run/key_file.json"))
answer = client.detect("yolov5s", Path("bus.jpg").read_bytes(), confidence=0.4)
print([(detection.class_name, detection.confidence) for detection in answer.detections])
"""

from service.answers import Answer, Detection
from service.client import Client
from service.drain import NotDrained, wait_until_drained
from service.errors import Busy, ErrorKind, Failed, InvalidToken, Refused, ServiceError, TimedOut, Unreachable
from service.operator import InvalidAction, Operator
from service.records import Model, ModelCard, Version, Worker
from service.swap import Step, SwapFailed, hot_swap

__all__ = [
    "Answer", "Busy", "Client", "Detection", "ErrorKind", "Failed", "InvalidAction", "InvalidToken", "Model",
    "ModelCard", "NotDrained", "Operator", "Refused", "ServiceError", "Step", "SwapFailed", "TimedOut", "Unreachable",
    "Version", "Worker", "hot_swap", "wait_until_drained",
]  # fmt: skip
