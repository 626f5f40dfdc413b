# The server: TorchServe, its workers, and the process that watches them. It has no checkpoints and no ultralytics.
FROM python:3.11-slim-bookworm

# Only archives of the engine `torch` need torch; they are fast only with a GPU.
ARG WITH_TORCH=0
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu

WORKDIR /app
COPY requirements/serve.txt requirements/torch.txt requirements/
RUN pip install --no-cache-dir --no-deps -r requirements/serve.txt \
    && if [ "$WITH_TORCH" = 1 ]; then \
      pip install --no-cache-dir --retries 1 ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} \
        -r requirements/torch.txt; \
    fi
# Netty would unpack this library into /tmp at each start, but files there cannot be executed. TorchServe ends workers
# with the program kill, which the base image has only as a shell builtin.
COPY deploy/images/unpack_netty.py deploy/images/
RUN python deploy/images/unpack_netty.py /usr/lib \
    && printf '#!/bin/sh\nkill "$@"\n' >/usr/local/bin/kill \
    && chmod 755 /usr/local/bin/kill

COPY config.properties pyproject.toml ./
COPY handler handler
COPY ui ui
COPY scripts scripts
RUN pip install --no-cache-dir --no-deps --editable . \
    && python -m compileall -q handler ui scripts \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin app \
    && install -d -o app -g app /run/service /model-store
USER 10001:10001

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp \
    RUN_DIR=/run/service MODEL_STORE=/model-store INFERENCE_HOST=0.0.0.0 LOG_TO=console
EXPOSE 8080
# Ready: every model has its workers and answers. See scripts/server/container/health.py.
HEALTHCHECK --interval=5s --timeout=5s --start-period=300s --retries=3 \
    CMD ["python", "-S", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8083/ready', timeout=4)"]
ENTRYPOINT ["python", "-m", "server.container.main"]
