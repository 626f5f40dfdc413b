# Builds archives of the checkpoints in the model store, then ends. Current archives are kept.
FROM python:3.11-slim-bookworm

ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu

WORKDIR /app
COPY requirements/serve.txt requirements/torch.txt requirements/
RUN pip install --no-cache-dir --no-deps -r requirements/serve.txt \
    && pip install --no-cache-dir --retries 1 ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} \
      -r requirements/torch.txt
COPY requirements/archive.txt requirements/int8.txt requirements/
RUN pip install --no-cache-dir --no-deps -r requirements/archive.txt -r requirements/int8.txt

COPY config.properties pyproject.toml ./
COPY handler handler
COPY ui ui
COPY scripts scripts
RUN pip install --no-cache-dir --no-deps --editable . \
    && python -m compileall -q handler ui scripts \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin app \
    && install -d -o app -g app /app/weights /model-store
USER 10001:10001

# /weights has the user's checkpoints, /app/weights the downloaded ones.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp \
    YOLO_CONFIG_DIR=/tmp YOLO_OFFLINE=True YOLOV5_WEIGHTS_DIR=/weights MODEL_STORE=/model-store
ENTRYPOINT ["python", "-m", "server.commands.archives"]
